import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeSigner, oldEvidence } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import type { Check } from '../../fakes/sigstore/fault.ts'
import { authorityFaults, signingFaults } from '../../fakes/sigstore/fault.ts'
import type { SignOptions } from '../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../fakes/sigstore/sigstore.ts'
import { digestOf } from '../../src/image/digest.ts'
import { verifyAttestation } from '../../src/sigstore/attestation.ts'
import type { SignatureEvidence } from '../../src/sigstore/evidence.ts'
import { readSearchAnswer } from '../../src/sigstore/log-entry.ts'
import type { Verification, VerifiedSignature } from '../../src/sigstore/signature.ts'
import { verifySignature } from '../../src/sigstore/signature.ts'
import type { Terms } from '../../src/sigstore/terms.ts'
import { annotated } from '../../src/sigstore/verification-material.ts'
import { verifySigned } from '../../src/sigstore/verification.ts'
import type { Code } from '../../src/verdict/reason.ts'
import { outcomeOf, sentenceOf } from '../../src/verdict/reason.ts'
import type { Demands } from './demands.ts'
import { byKey, fetched, keyOf, keyless, trustOf } from './demands.ts'

const digest = digestOf(Buffer.from('an image'))
const MINUTE = 60 * 1000
const HOUR = 60 * MINUTE
const LATER = SIGNED_AT + 30 * 24 * HOUR
const NOT_AFTER = SIGNED_AT + 10 * MINUTE
const PROVENANCE = 'https://slsa.dev/provenance/v1'
const forms = ['annotations', 'bundle'] as const
const sigstore = await Sigstore.create()

function said(verification: Verification): string {
  return verification.ok ? 'verified' : sentenceOf(verification.reason)
}

function signed(form: (typeof forms)[number], options: SignOptions = {}, by: Sigstore = sigstore): SignatureEvidence {
  return fetched(by.signImage({ digest, form, ...options }))
}

function stands(verification: Verification): VerifiedSignature {
  assert.ok(verification.ok, said(verification))
  return verification.signature
}

describe('a keyless signature stands long after its certificate has ended, and says who signed and when', () => {
  for (const form of forms) {
    for (const [what, made, demands, times] of [
      ['by the time of the log', {}, {}, [1000]],
      ['by a timestamp, without a log', { log: 'none', timestamp: true }, { log: 'ignored', time: 'required' }, [2000]],
      ['by both', { timestamp: true }, { time: 'required' }, [1000, 2000]],
      ['by the time of the log, whatever timestamp lies beside', { timestamp: true, broken: 'timestamp-tampered' }, {}, [1000]],
    ] as const satisfies [string, SignOptions, Demands, number[]][]) {
      test(`${form}: ${what}`, () => {
        const signature = stands(verifySignature(signed(form, made), digest, keyless(sigstore, demands), LATER))
        assert.deepEqual(
          signature.times,
          times.map((after) => SIGNED_AT + after),
        )
        assert.equal(signature.until, undefined)
        assert.ok(signature.signer.by === 'certificate')
        assert.deepEqual(signature.signer.subjects, [DEFAULT_SUBJECT])
        assert.equal(signature.signer.issuer, DEFAULT_ISSUER)
        assert.match(signature.signer.fingerprint, /^[0-9a-f]{64}$/)
      })
    }
  }
  for (const version of ['0.1', '0.2', '0.3'] as const)
    test(`bundle ${version}`, () => void stands(verifySignature(signed('bundle', { version }), digest, keyless(sigstore), LATER)))
  for (const keyType of ['p256', 'p384', 'p521', 'rsa2048', 'ed25519'] as const)
    for (const form of forms)
      test(`${form}: by a certificate for ${keyType}`, () => {
        // Clients that lay annotations hash with SHA-256, whatever the key; this fake hashes by the curve.
        if (form === 'annotations' && (keyType === 'p384' || keyType === 'p521')) return
        const demands: Demands = { log: 'ignored', time: 'required' }
        const evidence = signed(form, { signer: { keyType }, log: 'none', timestamp: true })
        stands(verifySignature(evidence, digest, keyless(sigstore, demands), LATER))
      })
})

/** What a reason may be called that says that this check refused. */
const CODES: { readonly [check in Check]: RegExp } = {
  'certificate path': /^(leaf-)?certificate-untrusted$|^(certificate|signature)-malformed$/,
  'certificate time': /^leaf-certificate-untrusted$|^certificate-not-valid-then$/,
  'certificate timestamp': /^certificate-timestamps-too-few$|sct|^certificate-log/,
  'identity': /identity-mismatch$/,
  'signature': /signature-invalid$/,
  'log entry': /^log-/,
  // Without a promise the proof stands, and no time.
  'inclusion promise': /^log-|^bundle-malformed$|^timestamps-too-few$/,
  'inclusion proof': /^log-|^bundle-malformed$/,
  'timestamp': /^timestamp/,
  // What is not signed cannot be what the log has.
  'envelope': /signature-invalid$|-malformed$|^log-entry-invalid$/,
  'statement': /other|signature-invalid$|-malformed$/,
}

describe('one broken part is enough to be refused, by the check whose part it is', () => {
  for (const { fault, trips, needs } of [...authorityFaults, ...signingFaults]) {
    for (const form of needs.form ? [needs.form] : forms) {
      for (const log of needs.log === 'any' ? (['v1', 'v2'] as const) : [needs.log ?? 'v1']) {
        if (log === 'v2' && form === 'annotations') continue // annotations have no place for a proof
        test(`${form}, log ${log}: ${fault}`, async () => {
          const isAuthority = authorityFaults.some((row) => row.fault === fault)
          const by = isAuthority ? await Sigstore.create({ broken: fault as (typeof authorityFaults)[number]['fault'] }) : sigstore
          const broken = isAuthority ? [] : [fault as (typeof signingFaults)[number]['fault']]
          const options: SignOptions = { log, timestamp: needs.timestamp === true || log === 'v2', broken }
          const terms = keyless(by, { time: needs.timestamp ? 'required' : 'ignored' })
          const attested = needs.makes === 'statement'
          const evidence = attested
            ? fetched(by.attest({ digest, form, predicateType: PROVENANCE, predicate: {}, ...options }))
            : signed(form, options, by)
          const answer = attested
            ? verifyAttestation(evidence, digest, terms, [PROVENANCE], LATER)
            : verifySignature(evidence, digest, terms, LATER)
          assert.ok(!answer.ok, 'it was believed')
          assert.match(answer.reason.code satisfies Code, CODES[trips], sentenceOf(answer.reason))
        })
      }
    }
  }
})

describe('without a log and a timestamp a certificate is checked against now', () => {
  for (const form of forms) {
    test(`${form}: it counts until the certificate ends (Q7)`, () => {
      const terms = keyless(sigstore, { log: 'ignored' })
      const evidence = signed(form, { log: 'none' })
      const { until, times } = stands(verifySignature(evidence, digest, terms, SIGNED_AT + MINUTE))
      assert.deepEqual([until, times], [NOT_AFTER, []])
      assert.equal(verifySignature(evidence, digest, terms, NOT_AFTER).ok, true)
      const words = {
        annotations: 'expected a signed timestamp to verify an expired certificate',
        bundle: 'failed to verify leaf certificate: leaf certificate verification failed',
      }
      assert.equal(said(verifySignature(evidence, digest, terms, NOT_AFTER + 1)), words[form])
      assert.equal(verifySignature(evidence, digest, terms, SIGNED_AT - 1).ok, false)
      assert.equal(verifySignature(evidence, digest, terms, NaN).ok, false)
    })
  }
})

describe('lesson 19, lesson 22: every proven time is checked, each against every certificate of the path', () => {
  test('a good time of the log does not make up for a timestamp after the end', () => {
    const evidence = signed('annotations', { timestamp: true, broken: 'timestamp-after-certificate' })
    const words =
      'checking expiry on certificate with timestamp: certificate expired before observed time: 2026-01-01T00:10:00Z is before 2026-01-01T01:00:00Z'
    assert.equal(said(verifySignature(evidence, digest, keyless(sigstore, { time: 'required' }), LATER)), words)
  })
  test('a good timestamp does not make up for a time of the log before the beginning', () => {
    const evidence = signed('annotations', { timestamp: true, broken: 'leaf-not-yet-valid' })
    const words = /^checking expiry on certificate with (timestamp|bundle): certificate was issued after observed time: /
    assert.match(said(verifySignature(evidence, digest, keyless(sigstore, { time: 'required' }), LATER)), words)
  })
})

for (const form of forms) {
  test(`${form}: lesson 22: a good timestamp, though it is the earliest, does not make up for a time of the log after the end`, () => {
    const late = signed(form, { timestamp: true, broken: ['leaf-expired', 'timestamp-before-certificate'] })
    const verdict = verifySignature(late, digest, keyless(sigstore, { time: 'required' }), LATER)
    assert.ok(!verdict.ok && 'detail' in verdict.reason)
    assert.match(String(verdict.reason.detail), /^checking expiry on certificate with bundle: certificate expired before observed time: /)
    stands(verifySignature(late, digest, keyless(sigstore, { time: 'required', log: 'ignored' }), LATER))
  })
}

describe('where a policy asks for a timestamp, one is needed (Q11)', () => {
  const none = {
    annotations: 'no signed timestamp was found, and the authority asks for one',
    bundle: 'failed to verify timestamps: threshold not met for verified signed timestamps: 0 < 1',
  }
  for (const form of forms) {
    test(`${form}: its absence refuses, unless the setting says that it may be absent`, () => {
      assert.equal(said(verifySignature(signed(form), digest, keyless(sigstore, { time: 'required' }), LATER)), none[form])
      stands(verifySignature(signed(form), digest, keyless(sigstore, { time: 'optional' }), LATER))
    })
    test(`${form}: a bad one refuses even then`, () => {
      const evidence = signed(form, { timestamp: true, broken: 'timestamp-over-other-bytes' })
      assert.match(said(verifySignature(evidence, digest, keyless(sigstore, { time: 'optional' }), LATER)), /hashed messages don't match$/)
    })
  }
  test('annotations without one are judged to the end, in the specified words, and never stand', () => {
    const terms = keyless(sigstore, { log: 'ignored', time: 'required' })
    const saidOf = (options: SignOptions, at: number): string =>
      said(verifySignature(signed('annotations', { log: 'none', ...options }), digest, terms, at))
    assert.equal(saidOf({}, LATER), 'expected a signed timestamp to verify an expired certificate')
    assert.equal(saidOf({}, SIGNED_AT + MINUTE), none.annotations)
    assert.match(saidOf({}, SIGNED_AT - MINUTE), /^certificate was issued after observed time: /)
    assert.match(saidOf({ broken: 'subject-other-than-trusted' }, LATER), /^none of the expected identities matched/)
    assert.match(saidOf({ broken: 'sct-missing' }, LATER), /does not include required embedded SCT/)
    assert.equal(saidOf({ broken: 'signature-by-another-key' }, LATER), 'invalid signature when validating ASN.1 encoded signature')
    assert.match(saidOf({ broken: 'image-other' }, LATER), /^invalid or missing digest in claim/)
    const signer = makeSigner()
    const byItsKey = byKey(sigstore, keyOf(signer.pem), { log: 'ignored', time: 'required' })
    const ofKey = (by: typeof signer): string =>
      said(verifySignature(signed('annotations', { signer: by, log: 'none' }), digest, byItsKey, LATER))
    assert.deepEqual([ofKey(signer), ofKey(makeSigner())], [none.annotations, 'invalid signature when validating ASN.1 encoded signature'])
  })
  test('lesson 20: any of several authorities will do, not only the last (Q27)', async () => {
    const several = await Sigstore.create({ timestampAuthorities: 3 })
    const demands: Demands = { log: 'ignored', time: 'required' }
    const trust = trustOf(several)
    for (const form of forms) {
      const evidence = signed(form, { log: 'none', timestamp: true }, several)
      for (const one of trust.timestampAuthorities) {
        const only = { ...trust, timestampAuthorities: [one] }
        // Annotations have place for one timestamp, that of the first.
        const isOurs = form === 'bundle' || one === trust.timestampAuthorities[0]
        assert.equal(verifySignature(evidence, digest, keyless(several, { ...demands, trust: only }), LATER).ok, isOurs)
      }
      stands(verifySignature(evidence, digest, keyless(several, demands), LATER))
    }
  })
})

test('lesson 39: more bytes of timestamps than any signature needs are not read', () => {
  const { bundle } = sigstore.signImage({ digest, form: 'bundle', timestamp: true })
  const { verificationMaterial: material } = bundle as typeof bundle & { verificationMaterial: object }
  const nonsense = (i: number) => ({ signedTimestamp: Buffer.alloc(16 * 1024, i + 1).toString('base64') })
  const of = (count: number) => ({ rfc3161Timestamps: Array.from({ length: count }, (_, i) => nonsense(i)) })
  const saidOf = (count: number) =>
    said(
      verifySignature(
        fetched({ bundle: { ...bundle, verificationMaterial: { ...material, timestampVerificationData: of(count) } } }),
        digest,
        keyless(sigstore, { time: 'required' }),
        LATER,
      ),
    )
  assert.match(saidOf(4), /it is not a timestamp in DER/)
  assert.equal(saidOf(5), 'failed to verify timestamps: size of timestamps (81920) exceeded the limit (65536)')
})

test('lesson 18: the key of a certificate that nobody vouches for, or that is a stranger’s, is not even tried: who brings it chooses what that costs', async () => {
  const evidence = signed('annotations')
  assert.ok(evidence.form === 'annotations')
  const { annotations } = evidence
  let tried = 0
  const saidTo = (terms: Terms) => {
    const bytes = Buffer.from('what is signed')
    const verdict = verifySigned(
      {
        ...annotated(annotations),
        searched: undefined,
        stamped: bytes,
        content: { is: 'bytes', bytes },
        anySignature: bytes,
        signatureBy: () => {
          tried++
          return { ok: true, value: bytes }
        },
        whyNotClaimed: () => undefined,
      },
      terms,
      SIGNED_AT,
    )
    return verdict.ok ? 'verified' : sentenceOf(verdict.reason)
  }
  assert.match(saidTo(keyless(await Sigstore.create(), { log: 'ignored' })), /signed by unknown authority/)
  assert.match(
    saidTo(keyless(sigstore, { log: 'ignored', identities: [{ subject: 'x', issuer: 'y' }] })),
    /none of the expected identities/,
  )
  assert.equal(tried, 0)
  assert.equal(saidTo(keyless(sigstore, { log: 'ignored' })), 'verified')
  assert.equal(tried, 1)
})

test('lesson 20: the same timestamp twice is refused', () => {
  const { bundle } = sigstore.signImage({ digest, form: 'bundle', timestamp: true })
  const { verificationMaterial: material } = bundle as typeof bundle & {
    verificationMaterial: { timestampVerificationData: { rfc3161Timestamps: object[] } }
  }
  const rfc3161Timestamps = material.timestampVerificationData.rfc3161Timestamps.flatMap((stamp) => [stamp, stamp])
  const twice = fetched({ bundle: { ...bundle, verificationMaterial: { ...material, timestampVerificationData: { rfc3161Timestamps } } } })
  const words = 'failed to verify timestamps: duplicate timestamps found'
  assert.equal(said(verifySignature(twice, digest, keyless(sigstore, { time: 'required' }), LATER)), words)
})

describe('Rekor v2 says no time, so a certificate needs a timestamp', () => {
  test('with one it stands, although the policy asks for none', () => {
    const { times } = stands(verifySignature(signed('bundle', { log: 'v2', timestamp: true }), digest, keyless(sigstore), LATER))
    assert.deepEqual(times, [SIGNED_AT + 2000])
  })
  test('without one it is refused, even while the certificate is valid', () => {
    const evidence = signed('bundle', { log: 'v2' })
    const words = 'failed to verify timestamps: threshold not met for verified signed timestamps: 0 < 1'
    assert.equal(said(verifySignature(evidence, digest, keyless(sigstore), SIGNED_AT + MINUTE)), words)
  })
  test('a signature by key needs none', () => {
    const signer = makeSigner()
    const evidence = signed('bundle', { signer, log: 'v2' })
    stands(verifySignature(evidence, digest, byKey(sigstore, keyOf(signer.pem)), LATER))
  })
})

describe('the log', () => {
  test('a signature without an entry is refused offline, in the specified words', () => {
    const terms = keyless(sigstore)
    assert.equal(said(verifySignature(signed('annotations', { log: 'none' }), digest, terms, LATER)), 'offline verification failed')
    const words = 'failed to verify log inclusion: not enough verified log entries from transparency log: 0 < 1'
    assert.equal(said(verifySignature(signed('bundle', { log: 'none' }), digest, terms, LATER)), words)
  })
  test('a signature by key needs one where the policy asks for one, and has it', () => {
    const signer = makeSigner()
    const terms = byKey(sigstore, keyOf(signer.pem))
    for (const form of forms) {
      stands(verifySignature(signed(form, { signer }), digest, terms, LATER))
      assert.equal(verifySignature(signed(form, { signer, log: 'none' }), digest, terms, LATER).ok, false)
      assert.equal(verifySignature(signed(form, { signer, broken: 'entry-of-another-certificate' }), digest, terms, LATER).ok, false)
    }
  })
  test('lesson 17: the entry of another signature of the same signer is refused', () => {
    const [one, other] = [sigstore.signImage({ digest, form: 'annotations' }), sigstore.signImage({ digest, form: 'annotations' })]
    const swapped = { ...one.annotations, 'dev.sigstore.cosign/bundle': other.annotations['dev.sigstore.cosign/bundle'] ?? '' }
    assert.equal(verifySignature(oldEvidence({ ...one, annotations: swapped }), digest, keyless(sigstore), LATER).ok, false)
  })
  test('lesson 18, lesson 23: keys of logs come from the terms alone; without any the reason says so', () => {
    const reason = { code: 'field-not-carried-out', field: 'no key of a log is known' } as const
    const terms: Terms = { ...keyless(sigstore), log: { keys: reason, search: undefined } }
    for (const form of forms) assert.deepEqual(verifySignature(signed(form), digest, terms, LATER), { ok: false, reason })
    const none: Terms = { ...keyless(sigstore), log: { keys: [], search: undefined } }
    for (const form of forms) assert.equal(verifySignature(signed(form), digest, none, LATER).ok, false)
  })
  test('a signature from before a part was replaced stands, and so does one from after', async () => {
    const rotated = await Sigstore.create()
    const before = forms.map((form) => signed(form, { at: SIGNED_AT - HOUR, timestamp: true }, rotated))
    for (const part of ['authority', 'certificate-log', 'log-v1', 'timestamp-authority'] as const) rotated.rotate(part)
    const after = forms.map((form) => signed(form, { at: SIGNED_AT + HOUR, timestamp: true }, rotated))
    for (const evidence of [...before, ...after]) stands(verifySignature(evidence, digest, keyless(rotated, { time: 'required' }), LATER))
  })
})

describe('searching the log', () => {
  const search = keyless(sigstore, { log: 'search' })
  const answer = (evidence: SignatureEvidence, entries: SignatureEvidence['entries']) =>
    verifySignature({ ...evidence, entries }, digest, search, LATER)

  for (const form of forms) {
    test(`${form}: a signature without an entry says what to search for, and stands once that is found`, async () => {
      const by = await Sigstore.create()
      const terms = keyless(by, { log: 'search' })
      const made = by.signImage({ digest, form })
      const evidence = bare(fetched(made))
      const first = verifySignature(evidence, digest, terms, LATER)
      assert.ok(!first.ok && first.search, said(first))
      assert.equal(first.reason.code, 'log-entry-missing')
      const found = by.logs.v1.flatMap(({ part }) => part.find((body) => body.includes('signature')))
      const bodies = found.map(({ uuid, entry: { body, logId, index, integratedTime, promise, proof } }) => ({
        [uuid]: {
          body: body.toString('base64'),
          logID: logId.toString('hex'),
          logIndex: index,
          integratedTime,
          verification: {
            signedEntryTimestamp: promise?.toString('base64'),
            inclusionProof: proof && {
              logIndex: proof.index,
              treeSize: proof.size,
              rootHash: proof.root.toString('hex'),
              hashes: proof.path.map((hash) => hash.toString('hex')),
              checkpoint: proof.checkpoint,
            },
          },
        },
      }))
      const entries = readSearchAnswer(Buffer.from(JSON.stringify(bodies)))
      assert.ok(entries.ok)
      const { times } = stands(verifySignature({ ...evidence, entries: entries.value }, digest, terms, LATER))
      assert.deepEqual(times, [SIGNED_AT + 1000])
      // What another log, or nobody, has is not enough.
      assert.equal(answer(evidence, entries.value).ok, false)
      assert.match(said(answer(evidence, entries.value)), /^no valid tlog entries found /)
    })
    test(`${form}: not found is a failure, a time-out is unknown`, () => {
      const evidence = bare(signed(form))
      const timedOut = { code: 'log-search-timeout', text: 'too slow' } as const
      for (const reason of [{ code: 'log-entry-not-found' } as const, timedOut])
        assert.deepEqual(answer(evidence, reason), { ok: false, reason })
      assert.deepEqual([outcomeOf({ code: 'log-entry-not-found' }), outcomeOf(timedOut)], ['fail', 'unknown'])
      assert.equal(said(answer(evidence, [])), 'no valid tlog entries found with proposed entry')
    })
    test(`${form}: an entry that came with the signature spares the search, and where it is wrong no search makes up for it`, () => {
      stands(verifySignature(signed(form), digest, search, LATER))
      const wrong = verifySignature(signed(form, { broken: 'promise-by-another-key' }), digest, search, LATER)
      assert.ok(!wrong.ok && !wrong.search)
    })
  }

  function bare(evidence: SignatureEvidence): SignatureEvidence {
    if (evidence.form === 'annotations') {
      const { 'dev.sigstore.cosign/bundle': _, ...annotations } = evidence.annotations
      return { ...evidence, annotations }
    }
    assert.ok(evidence.bytes instanceof Uint8Array)
    const bundle = JSON.parse(Buffer.from(evidence.bytes).toString()) as { verificationMaterial: object }
    return fetched({ bundle: { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries: [] } } })
  }
})

describe('several entries in a bundle', () => {
  type Json = { verificationMaterial: { tlogEntries: unknown[] } }
  const entriesOf = (options: SignOptions = {}, by = sigstore) => {
    const { bundle } = by.signImage({ digest, form: 'bundle', ...options })
    return bundle as typeof bundle & Json
  }
  const withEntries = (bundle: Json, ...more: readonly unknown[]): SignatureEvidence => {
    const tlogEntries = [...bundle.verificationMaterial.tlogEntries, ...more]
    return fetched({ bundle: { ...bundle, verificationMaterial: { ...bundle.verificationMaterial, tlogEntries } } })
  }
  test('lesson 20: the same entry twice is refused', () => {
    const bundle = entriesOf()
    const words = 'failed to verify log inclusion: duplicate tlog entries found'
    const twice = withEntries(bundle, ...bundle.verificationMaterial.tlogEntries)
    assert.equal(said(verifySignature(twice, digest, keyless(sigstore), LATER)), words)
    // An index that no promise covers may say anything.
    const [{ inclusionPromise: _, ...unpromised }] = bundle.verificationMaterial.tlogEntries as [Record<string, unknown>]
    const again = withEntries(bundle, { ...unpromised, logIndex: '7' })
    assert.equal(said(verifySignature(again, digest, keyless(sigstore), LATER)), words)
  })
  test('an entry of a log that nobody knows is passed over', async () => {
    const stranger = await Sigstore.create({ name: 'stranger.example' })
    const [theirs] = entriesOf({}, stranger).verificationMaterial.tlogEntries
    stands(verifySignature(withEntries(entriesOf(), theirs), digest, keyless(sigstore), LATER))
  })
  test('a wrong entry of a known log refuses, however good the other one is', () => {
    const [others] = entriesOf().verificationMaterial.tlogEntries
    const answer = verifySignature(withEntries(entriesOf(), others), digest, keyless(sigstore), LATER)
    assert.match(said(answer), /^failed to verify log inclusion: /)
  })
})

describe('intermediates', () => {
  test('lesson 18: those beside a signature are links, and nothing more is believed of them', async () => {
    const trust = trustOf(sigstore)
    const rootsOnly = { ...trust, certificateAuthorities: trust.certificateAuthorities.map((ca) => ({ ...ca, intermediates: [] })) }
    const terms = keyless(sigstore, { trust: rootsOnly })
    stands(verifySignature(signed('annotations'), digest, terms, LATER))
    const { payload, annotations } = sigstore.signImage({ digest, form: 'annotations' })
    const { 'dev.sigstore.cosign/chain': _, ...bare } = annotations
    const unlinked = verifySignature(oldEvidence({ payload, annotations: bare }), digest, terms, LATER)
    assert.match(said(unlinked), /^cert verification failed: x509: certificate signed by unknown authority/)
    // A chain up to a root of its own is none of ours.
    const stranger = await Sigstore.create()
    assert.equal(verifySignature(signed('annotations', {}, stranger), digest, terms, LATER).ok, false)
  })
})

describe('who signs', () => {
  test('any of several identities will do, in both forms (Q26)', () => {
    const identities = [
      { subject: 'somebody@else.example', issuer: 'https://else.example' },
      { subjectRegExp: '/release.yml@', issuerRegExp: 'actions' },
    ]
    for (const form of forms) {
      stands(verifySignature(signed(form), digest, keyless(sigstore, { identities }), LATER))
      assert.equal(verifySignature(signed(form), digest, keyless(sigstore, { identities: identities.slice(0, 1) }), LATER).ok, false)
      assert.equal(verifySignature(signed(form), digest, keyless(sigstore, { identities: [] }), LATER).ok, false)
    }
  })
  test('another identity is refused in the words of its form', () => {
    const other = [{ subject: 'somebody@else.example', issuer: DEFAULT_ISSUER }]
    const by = [{ subjectRegExp: '^somebody', issuer: DEFAULT_ISSUER }]
    const from = [{ subject: DEFAULT_SUBJECT, issuer: 'https://else.example' }]
    const saidTo = (form: (typeof forms)[number], identities: typeof other | typeof by) =>
      said(verifySignature(signed(form), digest, keyless(sigstore, { identities }), LATER))
    const bundle = 'failed to verify certificate identity: no matching CertificateIdentity found, last error: expected'
    assert.equal(saidTo('bundle', other), `${bundle} SAN value "somebody@else.example", got "${DEFAULT_SUBJECT}"`)
    assert.equal(saidTo('bundle', by), `${bundle} SAN value to match regex "^somebody", got "${DEFAULT_SUBJECT}"`)
    assert.equal(saidTo('bundle', from), `${bundle} issuer value "https://else.example", got "${DEFAULT_ISSUER}"`)
    const words = `none of the expected identities matched what was in the certificate, got subjects [${DEFAULT_SUBJECT}] with issuer ${DEFAULT_ISSUER}`
    assert.equal(saidTo('annotations', other), words)
  })
  test('insecureIgnoreSCT lets a certificate without timestamps of certificate logs in, and nothing else does', () => {
    for (const form of forms) {
      const evidence = signed(form, { broken: 'sct-missing' })
      stands(verifySignature(evidence, digest, keyless(sigstore, { scts: 'insecure-ignored' }), LATER))
      assert.equal(verifySignature(evidence, digest, keyless(sigstore), LATER).ok, false)
    }
  })
  test("a signature by key is nobody's where a certificate is wanted, and the other way round", () => {
    const signer = makeSigner()
    for (const form of forms) {
      assert.equal(said(verifySignature(signed(form, { signer }), digest, keyless(sigstore), LATER)), 'no certificate found on signature')
      assert.equal(verifySignature(signed(form), digest, byKey(sigstore, keyOf(signer.pem)), LATER).ok, false)
    }
  })
})
