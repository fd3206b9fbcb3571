import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeSigner } from '../../fakes/signer.ts'
import type { Logged } from '../../src/sigstore/log-body.ts'
import { MAX_BODY_BYTES, proposedEntries, whyNotAbout } from '../../src/sigstore/log-body.ts'
import type { Kind } from './log.ts'
import { bodyOf, bytesLogged, CERTIFICATE, envelopeLogged, KINDS_OF_BYTES, KINDS_OF_ENVELOPES, pemOf, spkiOf } from './log.ts'

function why(kind: Kind, entryAbout: Logged, about: Logged = entryAbout, form: 'bundle' | 'old form' = 'bundle'): string | undefined {
  return whyOf(bodyOf(kind, entryAbout), about, form)
}

function whyOf(body: object, about: Logged, form: 'bundle' | 'old form' = 'bundle'): string | undefined {
  const { kind = '', apiVersion = '' } = body as { kind?: string; apiVersion?: string }
  return whyNotAbout(Buffer.from(JSON.stringify(body)), about, form === 'bundle' ? { kind, version: apiVersion } : undefined)
}

const payload = bytesLogged()
const envelope = envelopeLogged('bundle')
const old = envelopeLogged('old form')
const other = Buffer.from('another signature')
const otherSigner = Buffer.from('3003020102', 'hex')
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

// — of this signature, signer and content

const cases: readonly (readonly [Kind, string, Logged])[] = [
  ...KINDS_OF_BYTES.map((kind) => [kind, 'a signature over bytes', payload] as const),
  ...KINDS_OF_ENVELOPES.filter((kind) => kind !== 'intoto 0.0.1').map((kind) => [kind, 'an envelope in a bundle', envelope] as const),
  ...KINDS_OF_ENVELOPES.map((kind) => [kind, 'an envelope of the old form', old] as const),
  ['hashedrekord 0.0.1', 'what the signature of an envelope is over', envelope],
  ['hashedrekord 0.0.2', 'what the signature of an envelope is over', envelope],
]

for (const [kind, title, about] of cases) {
  test(`an entry of the kind ${kind} is about ${title}`, () => assert.equal(why(kind, about), undefined))

  if (kind !== 'intoto 0.0.1') {
    test(`lesson 17: an entry of the kind ${kind} for ${title} is not about another signature`, () =>
      assert.equal(why(kind, about, { ...about, signature: other }), 'signature in bundle does not match signature being verified'))
  }

  test(`lesson 17: an entry of the kind ${kind} for ${title} is not of another signer`, () =>
    assert.equal(
      why(kind, about, { ...about, signer: otherSigner }),
      `comparing public key PEMs, expected ${pemOf(otherSigner)}, got ${pemOf(CERTIFICATE)}`,
    ))

  test(`lesson 17: an entry of the kind ${kind} for ${title} is not about other content`, () => {
    const content: Logged['content'] =
      about.content.is === 'envelope'
        ? {
            is: 'envelope',
            envelope: { ...about.content.envelope, payload: Buffer.from('{}') },
            json: about.content.json && Buffer.from('{"another":"envelope"}'),
          }
        : { is: 'bytes', bytes: Buffer.from('other bytes') }
    assert.match(
      why(kind, about, { ...about, content }) ?? '',
      /^matching bundle to payload: bundle="[0-9a-f]{64}", payload="[0-9a-f]{64}"$/,
    )
  })
}

test('an entry is about bytes of which only the digest is known', () => {
  const digest = createHash('sha256').update('a payload').digest()
  for (const kind of KINDS_OF_BYTES) {
    assert.equal(why(kind, payload, { ...payload, content: { is: 'digest', sha256: digest } }), undefined)
    const wrong = Buffer.from(digest)
    wrong[0] = 255 ^ (wrong[0] ?? 0)
    assert.match(why(kind, payload, { ...payload, content: { is: 'digest', sha256: wrong } }) ?? '', /^matching bundle to payload/)
  }
  const body = bodyOf('hashedrekord 0.0.1', payload, 'sha512')
  assert.equal(whyOf(body, { ...payload, content: { is: 'digest', sha256: digest } }), 'unexpected algorithm: "sha512"')
})

test('an entry about an envelope is not about bytes, although they are the payload', () => {
  const bytes = envelope.content.is === 'envelope' ? envelope.content.envelope.payload : Buffer.alloc(0)
  for (const kind of ['dsse 0.0.1', 'dsse 0.0.2', 'intoto 0.0.2'] as const) {
    assert.equal(
      why(kind, envelope, { ...envelope, content: { is: 'bytes', bytes } }),
      'the entry is about an envelope, and what is signed is not one',
    )
  }
})

test('an entry about the payload alone is not about the envelope: its type is signed, too', () => {
  const bytes = envelope.content.is === 'envelope' ? envelope.content.envelope.payload : Buffer.alloc(0)
  assert.match(why('hashedrekord 0.0.1', bytesLogged(bytes), envelope) ?? '', /^matching bundle to payload/)
})

test('the old form compares the hash of the envelope, a bundle that of the payload', () => {
  const wrong = { algorithm: 'sha256', value: sha256(Buffer.from('x')) }
  const withHash = (member: string): object => {
    const body = bodyOf('dsse 0.0.1', old) as { spec: object }
    return { ...body, spec: { ...body.spec, [member]: wrong } }
  }
  assert.equal(whyOf(withHash('payloadHash'), old, 'old form'), undefined)
  assert.match(whyOf(withHash('envelopeHash'), old, 'old form') ?? '', /^matching bundle to payload/)
  assert.equal(whyOf(withHash('envelopeHash'), envelope), undefined)
  assert.match(whyOf(withHash('payloadHash'), envelope) ?? '', /^matching bundle to payload/)
})

test('lesson 17: an entry of intoto 0.0.1 names no signature: only the hash of the whole envelope can stand for it', () => {
  assert.equal(why('intoto 0.0.1', envelope), 'the entry does not name the signature that it is about')
})

test('in an entry of several signatures, signature and signer must stand together', () => {
  const body = bodyOf('dsse 0.0.1', envelope) as { spec: { signatures: [{ signature: string; verifier: string }] } }
  const [ours] = body.spec.signatures
  const theirs = {
    signature: other.toString('base64'),
    verifier: Buffer.from(pemOf(otherSigner)).toString('base64'),
  }
  const withSignatures = (...signatures: object[]): object => ({ ...body, spec: { ...body.spec, signatures } })
  assert.equal(whyOf(withSignatures(theirs, ours), envelope), undefined)
  const crossed = [
    { ...theirs, verifier: ours.verifier },
    { ...ours, verifier: theirs.verifier },
  ]
  assert.match(whyOf(withSignatures(...crossed), envelope) ?? '', /^comparing public key PEMs/)
  assert.match(whyOf(withSignatures(), envelope) ?? '', /a dsse 0\.0\.1 is malformed$/)
})

test('an entry of intoto 0.0.2 may have its signature in base64 once or twice', () => {
  const body = bodyOf('intoto 0.0.2', envelope) as { spec: { content: { envelope: { signatures: [{ sig: string }] } } } }
  body.spec.content.envelope.signatures[0].sig = Buffer.from(envelope.signature).toString('base64')
  assert.equal(whyOf(body, envelope), undefined)
})

test('a key is compared as its bytes, however its PEM is written', () => {
  const signer = makeSigner('rsa2048')
  const about = { ...payload, signer: spkiOf(signer.publicKey) }
  const body = bodyOf('hashedrekord 0.0.1', about) as { spec: { signature: { publicKey: { content: string } } } }
  for (const pem of [
    signer.pem,
    'a comment\r\n' + signer.pem.replaceAll('\n', '\r\n'),
    signer.publicKey.export({ format: 'pem', type: 'pkcs1' }),
  ]) {
    body.spec.signature.publicKey.content = Buffer.from(pem).toString('base64')
    assert.equal(whyOf(body, about), undefined)
  }
  const stranger = makeSigner('rsa2048')
  body.spec.signature.publicKey.content = Buffer.from(stranger.pem).toString('base64')
  assert.equal(whyOf(body, about), `comparing public key PEMs, expected ${signer.pem}, got ${stranger.pem}`)
})

// — algorithms, kinds, shapes

for (const algorithm of ['sha384', 'sha512'] as const) {
  test(`in a bundle an entry may hash with ${algorithm}; the old form knows SHA-256 only`, () => {
    assert.equal(whyOf(bodyOf('hashedrekord 0.0.1', payload, algorithm), payload), undefined)
    assert.equal(whyOf(bodyOf('hashedrekord 0.0.2', payload, algorithm), payload), undefined)
    assert.equal(whyOf(bodyOf('hashedrekord 0.0.1', payload, algorithm), payload, 'old form'), `unexpected algorithm: "${algorithm}"`)
  })
}

test('a hash of another algorithm is no hash, whatever it is called', () => {
  for (const name of ['sha1', 'md5', '', '__proto__', 'constructor']) {
    const body = bodyOf('hashedrekord 0.0.1', payload) as { spec: { data: { hash: { algorithm: string } } } }
    body.spec.data.hash.algorithm = name
    assert.equal(whyOf(body, payload), `unexpected algorithm: ${JSON.stringify(name)}`)
  }
})

for (const [body, detail] of [
  [{ kind: 'helm', apiVersion: '0.0.1', spec: {} }, 'unsupported type `helm 0.0.1`'],
  [{ kind: 'hashedrekord', apiVersion: '0.0.3', spec: {} }, 'unsupported type `hashedrekord 0.0.3`'],
  [{ kind: '__proto__', apiVersion: '', spec: {} }, 'unsupported type `__proto__ `'],
  [{ not: 'an entry' }, 'failed to extract signature from bundle: kind in body is required'],
  [[], 'failed to extract signature from bundle: kind in body is required'],
  [{ kind: 'dsse' }, 'failed to extract signature from bundle: apiVersion in body is required'],
  [{ kind: 'dsse', apiVersion: '0.0.1' }, 'failed to extract signature from bundle: a dsse 0.0.1 is malformed'],
  [
    { kind: 'rekord', apiVersion: '0.0.1', spec: { signature: { format: 'pgp' } } },
    'failed to extract signature from bundle: a rekord 0.0.1 is malformed',
  ],
] as const) {
  test(`an entry that is ${JSON.stringify(body)} is about nothing: ${detail}`, () => assert.equal(whyOf(body, payload, 'old form'), detail))
}

test('a body must be of the kind that the bundle says', () => {
  const body = Buffer.from(JSON.stringify(bodyOf('hashedrekord 0.0.1', payload)))
  assert.equal(
    whyNotAbout(body, payload, { kind: 'hashedrekord', version: '0.0.2' }),
    'the kind of the entry is not the one that its body names',
  )
})

test('lesson 39: a body has at most 1 MiB', () => {
  const body = Buffer.alloc(MAX_BODY_BYTES + 1, ' ')
  assert.match(whyNotAbout(body, payload, undefined) ?? '', /exceeded the limit \(1048576\)$/)
})

for (const [kind, , about] of cases) {
  const body = bodyOf(kind, about)
  test(`a ${kind} of which any member is missing or something else is about nothing, and nothing throws`, () => {
    const form = about.content.is === 'envelope' && about.content.json ? 'old form' : 'bundle'
    // What is not compared may be anything.
    const free = /keyDetails|payloadType|payloadHash|envelopeHash|hash/
    for (const path of pathsOf(body)) {
      for (const value of [undefined, null, 1, '', '*', {}, [], [null]]) {
        const detail = whyOf(changed(body, path, value) as object, about, form)
        if (!free.test(path.join('.'))) assert.ok(detail !== undefined, `${path.join('.')} = ${JSON.stringify(value)}`)
      }
    }
  })
}

test('whatever bytes a body has, the answer is a reason and never an exception', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assert.ok(whyNotAbout(bytes, payload, undefined))))
  const samples = cases.map(([kind, , about]) => ({ about, body: Buffer.from(JSON.stringify(bodyOf(kind, about))) }))
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.nat(2000), fc.nat(8), fc.string({ maxLength: 4 }), ({ body, about }, at, cut, text) => {
      const from = at % body.length
      const detail = whyNotAbout(Buffer.concat([body.subarray(0, from), Buffer.from(text), body.subarray(from + cut)]), about, undefined)
      assert.ok(detail === undefined || (detail.length > 0 && detail.length < 10_000))
    }),
  )
})

function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [...(path.length > 0 ? [path] : []), ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))]
}

function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to
  const copy: Record<string, unknown> = Object.assign(Array.isArray(value) ? [] : {}, value)
  copy[key] = changed(copy[key], rest, to)
  return copy
}

// — a search

test('a search asks for a hashedrekord of a signature over bytes', () => {
  assert.deepEqual(proposedEntries(payload), [bodyOf('hashedrekord 0.0.1', payload)])
  const digest = createHash('sha256').update('a payload').digest()
  assert.deepEqual(proposedEntries({ ...payload, content: { is: 'digest', sha256: digest } }), proposedEntries(payload))
})

test('a search asks for a key by its own PEM label', () => {
  const { publicKey, pem } = makeSigner()
  const [entry] = proposedEntries({ ...payload, signer: spkiOf(publicKey) }) as [
    { spec: { signature: { publicKey: { content: string } } } },
  ]
  assert.equal(Buffer.from(entry.spec.signature.publicKey.content, 'base64').toString(), pem)
})

test('a search asks for a dsse and an intoto entry of an attestation, with the envelope as it was signed', () => {
  const json = old.content.is === 'envelope' ? Buffer.from(old.content.json ?? []).toString() : ''
  const publicKey = Buffer.from(pemOf(CERTIFICATE)).toString('base64')
  assert.deepEqual(proposedEntries(old), [
    { apiVersion: '0.0.1', kind: 'dsse', spec: { proposedContent: { envelope: json, verifiers: [publicKey] } } },
    { apiVersion: '0.0.1', kind: 'intoto', spec: { content: { envelope: json }, publicKey } },
  ])
  assert.deepEqual(proposedEntries(envelope), [])
})
