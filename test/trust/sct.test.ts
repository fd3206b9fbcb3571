import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { X509SCTExtension } from '@sigstore/core'
import fc from 'fast-check'
import type { CertificatePath } from '../../src/trust/path.ts'
import { findPath } from '../../src/trust/path.ts'
import { whySctsNotBelieved } from '../../src/trust/sct.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import type { KeyKind, Made, Minted, Stamped } from './authority.ts'
import { der, makeLog, mintAuthority, mintLeaf, NOON, SCT_LIST, sequence, trusted, vector } from './authority.ts'

const root = mintAuthority('CN=root')
const log = makeLog()

function pathOf(leaf: Minted, issuer = root): CertificatePath {
  const got = findPath(leaf.certificate, [], [trusted([issuer])], 'code-signing', NOON)
  assert.ok(got.ok, got.ok ? '' : sentenceOf(got.reason))
  return got.value
}

function why(made: Made, logs = [log]): string | undefined {
  const reason = whySctsNotBelieved(
    pathOf(mintLeaf(root, made)),
    logs.map(({ key }) => key),
  )
  return reason && sentenceOf(reason)
}

test('an embedded timestamp of a log that is trusted is believed', () => {
  assert.equal(why({ logs: [log] }), undefined)
  assert.equal(why({ logs: [log] }, [makeLog(), log, makeLog()]), undefined)
})

test('the timestamps of these tests are ones that another implementation takes', () => {
  const leaf = mintLeaf(root, {
    timestamps: (entry) => {
      const stamp = log.stamp(entry)
      const [timestamp] = extensionOf(vector(vector(stamp)))
      assert.ok(timestamp?.verify(entry, log.key.key))
      return vector(vector(stamp))
    },
  })
  assert.equal(whySctsNotBelieved(pathOf(leaf), [log.key]), undefined)
})

function extensionOf(list: Buffer): X509SCTExtension['signedCertificateTimestamps'] {
  const extension = mintLeaf(root, { extensions: [{ oid: SCT_LIST, value: der(0x04, list) }] }).certificate.extSCT
  return extension?.signedCertificateTimestamps ?? []
}

for (const kind of ['P-256', 'P-384', 'P-521', 'RSA', 'Ed25519'] as const satisfies KeyKind[]) {
  test(`a log with a key of the type ${kind} is believed, and another one with such a key is not`, () => {
    const [own, other] = [makeLog({ kind }), makeLog({ kind })]
    assert.equal(why({ logs: [own] }, [own]), undefined)
    const impostor = { ...other, key: { ...other.key, id: own.key.id } }
    assert.equal(
      why({ logs: [own] }, [impostor]),
      `error verifying embedded SCT: failed to verify ${kind.startsWith('P') ? 'ECDSA ' : ''}signature`,
    )
  })
}

test('a certificate without a timestamp is refused', () => {
  assert.equal(why({}), 'certificate does not include required embedded SCT and no detached SCT was set')
  assert.equal(why({ timestamps: () => vector() }), 'certificate does not include required embedded SCT and no detached SCT was set')
})

test('without the key of any log nothing is believed', () => {
  assert.equal(why({ logs: [log] }, []), 'none of the CTFE keys have been found')
})

test('lesson 23: a timestamp of a log that is not in the trust root is refused', () => {
  assert.equal(
    why({ logs: [makeLog()] }),
    'ctfe public key not found for payload. Check your TUF root (see cosign initialize) or set a custom key with env var SIGSTORE_CT_LOG_PUBLIC_KEY_FILE',
  )
})

test('every timestamp must be believed, not only one', () => {
  const bad = makeLog({ extensions: Buffer.from('x'), algorithm: [4, 1] })
  assert.equal(why({ logs: [log, makeLog()] })?.startsWith('ctfe public key not found'), true)
  for (const logs of [
    [log, bad],
    [bad, log],
  ])
    assert.equal(why({ logs }, [log, bad]), 'error verifying embedded SCT: failed to verify ECDSA signature')
  const second = makeLog()
  assert.equal(why({ logs: [log, second] }, [log, second]), undefined)
})

for (const [title, said, detail] of [
  ['with extensions of its own', { extensions: Buffer.from('more') }, undefined],
  ['of another version', { version: 1 }, 'the list of timestamps is malformed'],
  ['with a byte behind it', { trailing: Buffer.from([0]) }, 'the list of timestamps is malformed'],
  ['that says it is signed with RSA', { algorithm: [4, 1] }, 'failed to verify ECDSA signature'],
  ['that says it is over SHA-1', { algorithm: [2, 3] }, 'failed to verify ECDSA signature'],
  ['that says it is over nothing', { algorithm: [0, 3] }, 'failed to verify ECDSA signature'],
  ['that says it is over SHA-512', { algorithm: [6, 3] }, 'failed to verify ECDSA signature'],
  ['of a time after everything', { at: 2 ** 52 }, undefined],
] as const satisfies readonly (readonly [string, Stamped, string | undefined])[]) {
  test(`a timestamp ${title} is ${detail === undefined ? 'believed' : 'refused'}`, () => {
    const own = makeLog(said)
    assert.equal(why({ logs: [own] }, [own]), detail && `error verifying embedded SCT: ${detail}`)
  })
}

test('lesson 19: a log is believed for the time that it was in service, both ends included', () => {
  const within = (from: number, until: number | undefined): string | undefined => {
    const own = makeLog({ valid: { from, until } })
    return why({ logs: [own] }, [own])
  }
  assert.equal(within(NOON, NOON), undefined)
  assert.equal(within(NOON - 1, undefined), undefined)
  const text = 'error verifying embedded SCT: the log `https://ct.example` was not in service at 2026-01-15T12:00:00.000Z'
  assert.equal(within(NOON + 1, undefined), text)
  assert.equal(within(0, NOON - 1), text)
})

test('a log may be in the trust root twice, for two periods', () => {
  const early = { ...log, key: { ...log.key, valid: { from: 0, until: NOON - 1 } } }
  const late = { ...log, key: { ...log.key, valid: { from: NOON, until: undefined } } }
  assert.equal(why({ logs: [log] }, [early, late]), undefined)
})

test('lesson 17: a timestamp of another certificate, or for another issuer, is refused', () => {
  let stolen: Buffer | undefined
  mintLeaf(root, { timestamps: (entry) => (stolen = vector(vector(log.stamp(entry)))) })
  assert.equal(why({ timestamps: () => stolen ?? Buffer.alloc(0) }), 'error verifying embedded SCT: failed to verify ECDSA signature')

  const twin = mintAuthority('CN=root')
  const leaf = mintLeaf(root, { logs: [log] })
  const path = { ...pathOf(leaf), certificates: [leaf.certificate, twin.certificate] }
  assert.equal(whySctsNotBelieved(path, [log.key])?.code, 'sct-invalid')
})

test('a timestamp is over everything in the certificate but itself, wherever it stands', () => {
  const keys = root.keys
  const made: Made = { extensions: [{ oid: '1.2.3', value: sequence() }], keys }
  assert.equal(why({ ...made, logs: [log] }), undefined)
  let taken: Buffer | undefined
  mintLeaf(root, { ...made, timestamps: (entry) => (taken = vector(vector(log.stamp(entry)))) })
  const first = { oid: SCT_LIST, value: der(0x04, taken ?? Buffer.alloc(0)) }
  assert.equal(why({ keys, extensions: [first, ...(made.extensions ?? [])] }), undefined)
  assert.match(why({ keys, extensions: [first, { oid: '1.2.4', value: sequence() }] }) ?? '', /failed to verify ECDSA signature/)
})

test('lesson 39: the number of timestamps is bounded', () => {
  const logs = (length: number): (typeof log)[] => Array.from({ length }, () => log)
  assert.equal(why({ logs: logs(16) }), undefined)
  assert.equal(why({ logs: logs(17) }), 'error verifying embedded SCT: number of timestamps (17) exceeded the limit (16)')
})

test('any bytes for a list are refused with a reason', () => {
  const malformed = 'error verifying embedded SCT: the list of timestamps is malformed'
  assert.equal(why({ extensions: [{ oid: SCT_LIST, value: Buffer.from([1, 2, 3]) }] }), malformed)
  assert.equal(why({ extensions: [{ oid: SCT_LIST, value: sequence() }] }), malformed)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, isList) => {
      assert.ok(why({ timestamps: () => (isList ? vector(vector(Buffer.from(bytes))) : Buffer.from(bytes)) }))
    }),
    { numRuns: 200 },
  )
})

test('no byte of a timestamp can be changed', () => {
  fc.assert(
    fc.property(fc.nat(110), fc.integer({ min: 1, max: 255 }), (index, xor) => {
      const got = why({
        timestamps: (entry) => {
          const stamp = log.stamp(entry)
          const i = index % stamp.length
          stamp[i] = (stamp[i] ?? 0) ^ xor
          return vector(vector(stamp))
        },
      })
      assert.ok(got)
    }),
    { numRuns: 200 },
  )
})
