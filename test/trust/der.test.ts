import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ASN1Obj } from '@sigstore/core'
import fc from 'fast-check'
import { octets, sequence, tlv } from '../../fakes/sigstore/der.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { verifyTimestamp } from '../../src/sigstore/timestamp.ts'
import { readCertificate } from '../../src/trust/certificate.ts'
import { isSoonRead, NotDer, parseDer } from '../../src/trust/der.ts'

/**
 * Each four bytes are an OCTET STRING of two, which look like the beginning of one of eight: that reaches over the next two of the four bytes,
 * and the library reads them inside of it, and again after it. So the steps grow like Fibonacci's numbers.
 */
function hostile(elements: number): Buffer {
  return tlv(0x30, Buffer.from('04020408'.repeat(elements), 'hex'), Buffer.alloc(8, 0x05))
}

function millisecondsOf(work: () => unknown): number {
  const start = performance.now()
  try {
    work()
  } catch {
    // That it is refused is not the question.
  }
  return performance.now() - start
}

describe('DER of strangers is read in bounded time', () => {
  test('the library alone takes longer and longer: this is what the bound is for', () => {
    const [some, more] = [14, 20].map((elements) => millisecondsOf(() => ASN1Obj.parseBuffer(Buffer.from(hostile(elements))))) as [
      number,
      number,
    ]
    assert.ok(more > 3 * some, `${some} ms and ${more} ms`)
  })

  test('what would take too long is refused at once', () => {
    for (const elements of [40, 200, 2_000]) {
      const bytes = hostile(elements)
      // Without the bound this would not end.
      assert.throws(() => parseDer(bytes), NotDer)
    }
  })

  test('as a certificate', () => {
    const answer = readCertificate(hostile(400))
    assert.ok(!answer.ok && answer.reason.code === 'certificate-malformed')
  })

  test('as a timestamp', () => {
    const answer = verifyTimestamp(hostile(400), Buffer.from('signature'), [])
    assert.ok(!answer.ok && answer.reason.code === 'timestamp-invalid')
  })

  test('elements within elements without end are refused', () => {
    let deep: Buffer = Buffer.alloc(0)
    for (let i = 0; i < 500; i++) deep = sequence(deep)
    assert.throws(() => parseDer(deep))
    assert.throws(() => parseDer(tlv(0x30, Buffer.alloc(20_000, Buffer.from([0x05, 0x00])))), NotDer)
  })
})

test('real certificates stay far below the bound', async () => {
  const sigstore = await Sigstore.create()
  const [authority] = sigstore.authorities
  for (const { der } of authority?.part.chain ?? []) assert.ok(isSoonRead(der))
})

test('what the library reads within the bound is read as by the library, octets that are no DER included', () => {
  const small = fc.uint8Array({ maxLength: 40 })
  const document = fc.array(
    fc.oneof(
      small.map(octets),
      small.map((bytes) => tlv(0x04, octets(bytes))),
      small,
    ),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(document, (parts) => {
      const bytes = tlv(0x30, ...parts)
      if (!isSoonRead(bytes)) return
      const read = (parse: (der: Buffer) => ASN1Obj): unknown => {
        try {
          return parse(bytes).toDER().toString('hex')
        } catch (error) {
          return error instanceof NotDer ? 'too long' : 'refused'
        }
      }
      assert.equal(
        read(parseDer),
        read((der) => ASN1Obj.parseBuffer(Buffer.from(der))),
      )
    }),
    { numRuns: 500 },
  )
})
