import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OldSignature } from '../../fakes/signer.ts'
import { attestationManifest, bundleReferrer, makeSigner, signatureManifest, signatureReferrer } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import { FakeRekor } from '../../fakes/sigstore/rekor.ts'
import type { ImageOptions } from '../../fakes/sigstore/sigstore.ts'
import { Sigstore, SIGNED_AT } from '../../fakes/sigstore/sigstore.ts'
import { merged } from '../../fakes/sigstore/trusted-root.ts'
import { defaulted } from '../../src/policy/default.ts'
import { compileDemands } from '../../src/policy/demand.ts'
import type { Outside } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import { readPolicy } from '../../src/policy/read.ts'
import { defaultSettings } from '../../src/policy/settings.ts'
import { readPublicKey } from '../../src/trust/key.ts'
import type { TrustMaterial } from '../../src/trust/material.ts'
import { trustMaterial, readTrustedRoot } from '../../src/trust/trusted-root.ts'
import type { Decision } from '../../src/verdict/decision.ts'
import { about, Desk, pod } from '../desk.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const identities = [{ issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }]
const key = makeSigner()

let sigstore: Sigstore
let other: Sigstore
let trust: TrustMaterial
let otherTrust: TrustMaterial
let outside: Outside
let rekor: FakeRekor

before(async () => {
  sigstore = await Sigstore.create()
  other = await Sigstore.create({ name: 'other.example' })
  rekor = await FakeRekor.start(sigstore)
  trust = materialOf(sigstore.trustedRoot(), 'tr')
  otherTrust = materialOf(other.trustedRoot(), 'other')
  outside = {
    ...nothingFetched(),
    trustRoots: new Map([
      ['tr', { ok: true, value: trust }],
      ['other', { ok: true, value: otherTrust }],
      ['wrong', { ok: false, reason: { code: 'trust-root-unreadable', name: 'wrong', detail: 'mediaType is missing' } }],
    ]),
  }
})
after(() => rekor.close())

function materialOf(root: object, name: string): TrustMaterial {
  const read = readTrustedRoot(JSON.stringify(root), name)
  assert.ok(read.ok, JSON.stringify(read))
  return read.value
}

const keyless = (more: object = {}): object => ({ url: 'https://fulcio.example', identities, trustRootRef: 'tr', ...more })

describe('which checks an authority asks for (specification 7.1)', () => {
  function demandOf(authority: object, settings: object = {}) {
    const { spec } = readPolicy('p', { spec: { images: [{ glob: '**' }], authorities: [authority] } })
    const [read] = defaulted(spec).authorities ?? []
    assert.ok(read)
    const signer = readPublicKey(key.pem, '')
    assert.ok(signer.ok)
    const wanted = read.keyless ? ({ by: 'keyless', anchor: undefined } as const) : ({ by: 'key', key: signer.value } as const)
    return compileDemands(read, wanted, 'spec.authorities[0]', { ...defaultSettings, ...settings }, outside)
  }
  const shown = (authority: object, form: 'annotations' | 'bundle', settings?: object) => {
    const [demand] = demandOf(authority, settings).demands
    assert.ok(demand)
    const { log, time } = demand[form]
    const keys =
      log === 'ignored' || 'code' in log.keys
        ? log
        : log.keys === trust.transparencyLogs
          ? 'tr'
          : log.keys === otherTrust.transparencyLogs
            ? 'other'
            : 'public'
    return {
      log: keys,
      search: log === 'ignored' ? undefined : log.search,
      time: time === 'ignored' ? time : time.isRequired ? 'required' : 'optional',
    }
  }
  const url = 'https://rekor.example'
  const lastLog = 'https://rekor.example.last'
  for (const [what, authority, annotations, bundle] of [
    ['a key asks for no log', { key: { data: key.pem } }, ['ignored', undefined, 'ignored'], ['ignored', undefined, 'ignored']],
    [
      'a key with a log asks for its entry',
      { key: { data: key.pem }, ctlog: { url } },
      ['public', url, 'ignored'],
      ['public', url, 'ignored'],
    ],
    [
      'keyless against the public instance asks for an entry that came with the signature',
      { keyless: { url: 'https://f', identities } },
      ['public', undefined, 'ignored'],
      ['public', undefined, 'ignored'],
    ],
    [
      'keyless with a trust root and no ctlog asks for no log in the old form (Q7), and for one in a bundle',
      { keyless: keyless() },
      ['ignored', undefined, 'ignored'],
      ['tr', undefined, 'ignored'],
    ],
    [
      'an empty ctlog asks for no log in the old form (Q7)',
      { keyless: keyless(), ctlog: {} },
      ['ignored', undefined, 'ignored'],
      ['tr', undefined, 'ignored'],
    ],
    [
      'a ctlog with a URL is searched there, by the public keys',
      { keyless: { url: 'https://f', identities }, ctlog: { url } },
      ['public', url, 'ignored'],
      ['public', url, 'ignored'],
    ],
    [
      'a ctlog with a trust root is searched where that says',
      { keyless: keyless(), ctlog: { url, trustRootRef: 'tr' } },
      ['tr', lastLog, 'ignored'],
      ['tr', lastLog, 'ignored'],
    ],
    [
      'the trust root of the log may be another than that of the certificates',
      { keyless: keyless(), ctlog: { trustRootRef: 'other' } },
      ['other', lastLog, 'ignored'],
      ['other', lastLog, 'ignored'],
    ],
    [
      'timestamps take the place of the log',
      { keyless: keyless(), ctlog: { url, trustRootRef: 'tr' }, rfc3161timestamp: { trustRootRef: 'tr' } },
      ['ignored', undefined, 'required'],
      ['ignored', undefined, 'required'],
    ],
    [
      'timestamps for a key',
      { key: { data: key.pem }, rfc3161timestamp: { trustRootRef: 'tr' } },
      ['ignored', undefined, 'required'],
      ['ignored', undefined, 'required'],
    ],
    [
      'an empty rfc3161timestamp asks for none',
      { keyless: keyless(), rfc3161timestamp: {} },
      ['ignored', undefined, 'ignored'],
      ['tr', undefined, 'ignored'],
    ],
  ] as const) {
    test(what, () => {
      const found = { annotations: shown(authority, 'annotations'), bundle: shown(authority, 'bundle') }
      const [log, search, time] = annotations
      const at = (wanted: string | undefined, root: unknown) =>
        wanted === lastLog ? (root === 'other' ? otherTrust : trust).transparencyLogs.at(-1)?.url : wanted
      assert.deepEqual(found.annotations, { log, search: at(search, log), time })
      const [bundleLog, bundleSearch, bundleTime] = bundle
      assert.deepEqual(found.bundle, { log: bundleLog, search: at(bundleSearch, bundleLog), time: bundleTime })
    })
  }

  test('with require-timestamps: false a timestamp of the old form is verified where there is one, and a bundle still needs one', () => {
    const authority = { keyless: keyless(), rfc3161timestamp: { trustRootRef: 'tr' } }
    assert.equal(shown(authority, 'annotations', { requireTimestamps: false }).time, 'optional')
    assert.equal(shown(authority, 'bundle', { requireTimestamps: false }).time, 'required')
    const warnings = (more: object = {}) => demandOf({ ...authority, ...more }, { requireTimestamps: false }).warnings.join('\n')
    assert.match(warnings(), /with require-timestamps: false a signature under the \.sig and \.att tags passes without one/)
    assert.doesNotMatch(warnings({ signatureFormat: 'bundle' }), /require-timestamps/)
  })

  for (const [what, authority, text] of [
    [
      'keyless',
      { name: 'ci', keyless: keyless({ trustRootRef: 'none' }) },
      'constructing checkOpts for ci: getting Fulcio certs: ci: trustRootRef none not found',
    ],
    [
      'ctlog',
      { name: 'ci', keyless: keyless(), ctlog: { trustRootRef: 'none' } },
      'constructing checkOpts for ci: getting Rekor public keys: ci: fetching keys for trustRootRef: trustRootRef none not found',
    ],
    [
      'rfc3161timestamp',
      { name: 'ci', keyless: keyless(), rfc3161timestamp: { trustRootRef: 'none' } },
      'constructing checkOpts for ci: trustRootRef none not found',
    ],
    [
      'keyless, for attestations',
      { name: 'ci', keyless: keyless({ trustRootRef: 'none' }), attestations: [{ name: 'a', predicateType: 'custom' }] },
      'creating CheckOpts: getting Fulcio certs: ci: trustRootRef none not found',
    ],
    [
      'a bundle',
      {
        name: 'ci',
        keyless: keyless({ trustRootRef: 'none' }),
        attestations: [{ name: 'a', predicateType: 'custom' }],
        signatureFormat: 'bundle',
      },
      'creating CheckOpts: trustRootRef none not found',
    ],
  ] as const) {
    test(`a trust root that is not there refuses in the specified words: ${what}`, () => {
      assert.deepEqual(demandOf(authority).refuses, [{ code: 'trust-root-not-found', text }])
    })
  }

  test('one that is there and wrong is called not found as well, and then what is wrong with it', () => {
    const { refuses } = demandOf({ name: 'ci', keyless: keyless({ trustRootRef: 'wrong' }) })
    assert.deepEqual(
      refuses.map((r) => r.code),
      ['trust-root-not-found', 'trust-root-unreadable'],
    )
  })

  test('bundles alone are verified with one trust root', () => {
    for (const [more, which] of [
      [{ rfc3161timestamp: { trustRootRef: 'other' } }, 'TSA'],
      [{ ctlog: { url } }, 'TLog'],
    ] as const) {
      const { refuses } = demandOf({ name: 'ci', keyless: keyless(), signatureFormat: 'bundle', ...more })
      const text = `constructing checkOpts for ci: when using the new bundle format, the trustRootRef for the ${which} must be the same as the trustRootRef for the Keyless authority`
      assert.deepEqual(refuses, [{ code: 'options-contradictory', text }])
    }
  })

  test('the author is told what is not checked, and how identities are read', () => {
    assert.match(demandOf({ keyless: keyless() }).warnings.join('\n'), /no transparency log is checked for signatures under the \.sig/)
    assert.match(
      demandOf({ keyless: keyless(), ctlog: { url }, rfc3161timestamp: { trustRootRef: 'tr' } }).warnings.join('\n'),
      /timestamps are checked, and the transparency log is not/,
    )
    const glob = { issuer: DEFAULT_ISSUER, subject: 'https://github.com/acme/*/.github/workflows/*@*' }
    assert.match(demandOf({ keyless: keyless({ identities: [glob] }), ctlog: { trustRootRef: 'tr' } }).warnings.join('\n'), /pull request/)
  })

  test('a certificate-transparency log whose keys nobody knows refuses with a code of its own, unless SCTs are ignored', () => {
    const without = trustMaterial({ ...trust, certificateLogs: [] })
    const { hash: _, ...rest } = { ...outside, hash: '' }
    const before = outside
    outside = { ...rest, trustRoots: new Map([['tr', { ok: true, value: without }]]) }
    try {
      const [demand] = demandOf({ keyless: keyless() }).demands
      assert.deepEqual(demand?.annotations.signer.by === 'certificate' && demand.annotations.signer.certificateLogs, {
        code: 'sct-no-keys',
      })
      const [ignoring] = demandOf({ keyless: keyless({ insecureIgnoreSCT: true }) }).demands
      assert.equal(ignoring?.annotations.signer.by === 'certificate' && ignoring.annotations.signer.certificateLogs, 'insecure-ignored')
    } finally {
      outside = before
    }
  })
})

describe('a keyless authority, from the registry to the answer', () => {
  type Form = 'annotations' | 'bundle' | 'old-referrer'
  type Case = {
    readonly authority?: object
    readonly form?: Form
    readonly signing?: Omit<Partial<ImageOptions>, 'digest'> & { readonly of?: 'other' }
    readonly settings?: Readonly<Record<string, string>>
    readonly attested?: string
    readonly now?: number
    readonly outside?: Partial<Outside>
  }

  async function judged(given: Case) {
    const { form = 'bundle', signing = {}, attested } = given
    const authority = given.authority ?? { keyless: keyless(), ctlog: { trustRootRef: 'tr' } }
    await using desk = await Desk.open({
      policies: { p: about({ name: 'ci', ...authority }) },
      outside: { ...outside, ...given.outside },
      now: given.now ?? SIGNED_AT + DAY,
      ...(given.settings && { settings: given.settings }),
    })
    const image = desk.image('app')
    const by = signing.of === 'other' ? other : sigstore
    const what = { digest: image.digest, ...signing }
    const made = (of: 'annotations' | 'bundle') =>
      attested === undefined
        ? by.signImage({ ...what, form: of })
        : by.attest({ ...what, form: of, predicateType: attested, predicate: {} })
    if (form === 'bundle') desk.push('app', bundleReferrer(image, (made('bundle') as { bundle: object }).bundle as never, attested))
    else if (form === 'old-referrer') desk.push('app', signatureReferrer(image, [made('annotations') as OldSignature]))
    else if (attested === undefined) desk.push('app', signatureManifest(image.digest, [made('annotations') as OldSignature]))
    else desk.push('app', attestationManifest(image.digest, [made('annotations') as OldSignature]))
    const answer = await desk.validate(pod(`registry.example/app@${image.digest}`))
    return { ...answer, desk }
  }

  const slsa = 'https://slsa.dev/provenance/v1'
  const attestations = [{ name: 'provenance', predicateType: 'slsaprovenance1' }]
  const logged = { keyless: keyless(), ctlog: { trustRootRef: 'tr' } }

  for (const form of ['annotations', 'bundle', 'old-referrer'] as const) {
    test(`admits what an identity of the policy signed, in the form ${form}`, async () => {
      const { allowed, message } = await judged({ form })
      assert.ok(allowed, message)
    })
    test(`refuses another identity, in the form ${form}`, async () => {
      const { allowed, codes } = await judged({
        form,
        signing: { signer: { subject: 'https://github.com/evil/web/.github/workflows/release.yml@refs/heads/main' } },
      })
      assert.equal(allowed, false)
      assert.ok(
        codes.some((code) => code === 'identity-mismatch' || code === 'bundle-identity-mismatch'),
        codes.join(),
      )
    })
    test(`refuses the right identity from a certificate authority that the trust root does not name, in the form ${form}`, async () => {
      assert.equal((await judged({ form, signing: { of: 'other' } })).allowed, false)
    })
    test(`admits it where the policy asks for timestamps, and refuses it without one, in the form ${form}`, async () => {
      const authority = { keyless: keyless(), rfc3161timestamp: { trustRootRef: 'tr' } }
      const { allowed, message } = await judged({ form, authority, signing: { timestamp: true } })
      assert.ok(allowed, message)
      assert.equal((await judged({ form, authority, signing: { timestamp: false } })).allowed, false)
    })
  }

  for (const form of ['annotations', 'bundle'] as const) {
    test(`admits an attestation of the wanted type by the identity, in the form ${form}`, async () => {
      const { allowed, message } = await judged({ form, attested: slsa, authority: { ...logged, attestations } })
      assert.ok(allowed, message)
    })
    test(`refuses an attestation of another type, in the form ${form}`, async () => {
      const { allowed, codes } = await judged({ form, attested: 'https://example.com/other', authority: { ...logged, attestations } })
      assert.deepEqual([allowed, codes.includes('attestation-other-type')], [false, true])
    })
    test(`refuses an attestation by somebody else, in the form ${form}`, async () => {
      const authority = { ...logged, attestations }
      assert.equal((await judged({ form, attested: slsa, authority, signing: { signer: { subject: 'eve@example.com' } } })).allowed, false)
    })
  }

  test('signatureFormat: bundle does not look at the old form, and legacy not at bundles', async () => {
    const refusedBy = async (form: Form, signatureFormat: string) =>
      (await judged({ form, authority: { ...logged, signatureFormat } })).allowed
    assert.deepEqual([await refusedBy('annotations', 'bundle'), await refusedBy('bundle', 'bundle')], [false, true])
    assert.deepEqual([await refusedBy('annotations', 'legacy'), await refusedBy('bundle', 'legacy')], [true, false])
  })

  test('where only bundles count and there is none, the specified text says so', async () => {
    const { message } = await judged({
      form: 'annotations',
      attested: slsa,
      authority: { ...logged, attestations, signatureFormat: 'bundle' },
    })
    assert.match(message, /: no valid bundles exist in registry$/)
  })

  test('a decision says each step that stood, in order, and where a refusal came', async () => {
    const leaves = (of: Decision | undefined): readonly string[] =>
      of === undefined ? [] : of.reason ? [of.reason.code] : of.parts.flatMap(leaves)
    const steps = async (given: Case) => leaves((await judged({ form: 'annotations', ...given })).admission.decision)
    const stood = ['log-entry-verified', 'certificate-trusted', 'identity-matches', 'certificate-logged', 'signature-intact']
    assert.deepEqual(await steps({}), [...stood, 'identity-verified'])
    assert.deepEqual(await steps({ signing: { broken: 'sct-missing' } }), [...stood.slice(0, 3), 'sct-missing', 'no-referrers'])
    const stamped = { keyless: keyless(), rfc3161timestamp: { trustRootRef: 'tr' } }
    assert.deepEqual(await steps({ authority: stamped, signing: { timestamp: true } }), [
      'timestamp-verified',
      ...stood.slice(1),
      'identity-verified',
    ])
  })

  test('url says nothing about whom to believe (Q33)', async () => {
    assert.equal(
      (await judged({ authority: { keyless: keyless({ url: 'https://nobody.invalid' }), ctlog: { trustRootRef: 'tr' } } })).allowed,
      true,
    )
  })

  test('insecureIgnoreSCT admits a certificate without SCT, and nothing else does', async () => {
    const signing = { broken: 'sct-missing' } as const
    for (const form of ['annotations', 'bundle'] as const) {
      assert.equal((await judged({ form, signing })).allowed, false)
      const ignoring = { keyless: keyless({ insecureIgnoreSCT: true }), ctlog: { trustRootRef: 'tr' } }
      const { allowed, message } = await judged({ form, signing, authority: ignoring })
      assert.ok(allowed, message)
    }
  })

  test('keyless: disabled refuses it and names the setting', async () => {
    const { allowed, message } = await judged({ settings: { keyless: 'disabled' } })
    assert.equal(allowed, false)
    assert.match(message, /keyless: disabled in config-policy-controller/)
  })

  test('subject-globs: false takes a star as a star', async () => {
    const glob = keyless({ identities: [{ issuer: DEFAULT_ISSUER, subject: 'https://github.com/acme/*/.github/workflows/*@*' }] })
    const authority = { keyless: glob, ctlog: { trustRootRef: 'tr' } }
    assert.equal((await judged({ authority })).allowed, true)
    assert.equal((await judged({ authority, settings: { 'subject-globs': 'false' } })).allowed, false)
  })

  test('require-timestamps: false lets a signature pass that has no timestamp while its certificate is valid', async () => {
    const given = {
      form: 'annotations',
      authority: { keyless: keyless(), rfc3161timestamp: { trustRootRef: 'tr' } },
      signing: { timestamp: false },
    } as const
    const now = SIGNED_AT + MINUTE
    assert.equal((await judged({ ...given, now })).allowed, false)
    assert.equal((await judged({ ...given, now, settings: { 'require-timestamps': 'false' } })).allowed, true)
    assert.equal((await judged({ ...given, settings: { 'require-timestamps': 'false' } })).allowed, false, 'it has ended')
  })

  test('a malformed expression refuses, whoever signed', async () => {
    const authority = { keyless: keyless({ identities: [{ issuerRegExp: '(', subjectRegExp: '.*' }] }) }
    const { allowed, message } = await judged({ authority })
    assert.equal(allowed, false)
    assert.match(message, /malformed issuer in identity: \( : error parsing regexp: missing closing \)/)
  })

  test('ca-cert takes the place of the certificate authorities of the trust root, and is not added to them', async () => {
    const authority = (caCert: object) => ({ keyless: keyless({ 'ca-cert': caCert }), ctlog: { trustRootRef: 'tr' } })
    assert.equal((await judged({ authority: authority({ data: sigstore.caPem() }) })).allowed, true)
    const { allowed } = await judged({ authority: authority({ data: other.caPem() }) })
    assert.equal(allowed, false, 'the trust root names the signer’s CA, and does not count')
  })

  test('a public key as ca-cert never passes, and the message says why', async () => {
    const caCert = { data: key.pem }
    const { allowed, message } = await judged({ authority: { keyless: { identities, 'trustRootRef': 'tr', 'ca-cert': caCert } } })
    assert.equal(allowed, false)
    assert.match(message, / no Keyless URL specified\nca-cert is a public key/)
  })

  test('trust that has expired is not believed, though it was when the policy came', async () => {
    const ending = { ...trust, until: SIGNED_AT + DAY }
    const roots: Partial<Outside> = { trustRoots: new Map([['tr', { ok: true, value: ending }]]) }
    assert.equal((await judged({ outside: roots, now: SIGNED_AT + DAY })).allowed, true)
    const { allowed, message, codes } = await judged({ outside: roots, now: SIGNED_AT + DAY + 1 })
    assert.deepEqual([allowed, codes], [false, ['trust-root-expired']])
    assert.match(message, /the trust root `tr` ended at 2026-01-02T00:00:00\.000Z/)
  })
})

describe('a signature that came without its log entry', () => {
  async function searched(misbehave: () => void, authority: object = {}) {
    const root = merged(sigstore.trustedRoot())
    const material = materialOf(root, 'tr')
    const atRekor = { ...material, transparencyLogs: material.transparencyLogs.map((log) => ({ ...log, url: rekor.url })) }
    await using desk = await Desk.open({
      policies: { p: about({ name: 'ci', keyless: keyless(), ctlog: { trustRootRef: 'tr' }, ...authority }) },
      outside: { ...outside, trustRoots: new Map([['tr', { ok: true, value: atRekor }]]) },
      now: SIGNED_AT + DAY,
    })
    const image = desk.image('app')
    desk.push(
      'app',
      signatureManifest(image.digest, [sigstore.signImage({ digest: image.digest, form: 'annotations', carriesEntry: false })]),
    )
    misbehave()
    const before = rekor.seen.length
    const answer = await desk.validate(pod(`registry.example/app@${image.digest}`))
    return { ...answer, searches: rekor.seen.length - before }
  }

  test('is admitted once a search of the log that the policy names finds it', async () => {
    const { allowed, message, searches } = await searched(() => rekor.misbehave())
    assert.ok(allowed, message)
    assert.equal(searches, 1)
  })

  test('is refused when the log does not have it: that is no', async () => {
    const { allowed, codes } = await searched(() => rekor.misbehave({ finds: 'nothing' }))
    assert.deepEqual([allowed, codes.includes('log-entry-not-found')], [false, true])
  })

  test('is refused when the log does not answer: that is not known, and another code', async () => {
    const { allowed, codes } = await searched(() => rekor.misbehave({}, { status: 503, body: 'down' }))
    assert.equal(allowed, false)
    assert.deepEqual([codes.includes('log-search-failed'), codes.includes('log-entry-not-found')], [true, false])
  })

  test('is refused when what is found is another entry', async () => {
    assert.equal((await searched(() => rekor.misbehave({ finds: 'under-another-uuid' }))).allowed, false)
  })

  test('is not searched for where there is nothing to ask for, as of an envelope in a bundle', async () => {
    const search = async (predicate: string) => {
      const root = merged(sigstore.trustedRoot())
      const material = materialOf(root, 'tr')
      const atRekor = { ...material, transparencyLogs: material.transparencyLogs.map((log) => ({ ...log, url: rekor.url })) }
      const attestations = [{ name: 'n', predicateType: 'https://p.example' }]
      await using desk = await Desk.open({
        policies: { p: about({ name: 'ci', keyless: keyless(), ctlog: { trustRootRef: 'tr' }, attestations }) },
        outside: { ...outside, trustRoots: new Map([['tr', { ok: true, value: atRekor }]]) },
        now: SIGNED_AT + DAY,
      })
      const image = desk.image('app')
      const options = { digest: image.digest, predicateType: 'https://p.example', predicate, carriesEntry: false } as const
      if (predicate === '') desk.push('app', bundleReferrer(image, sigstore.attest({ ...options, form: 'bundle' }).bundle))
      else desk.push('app', attestationManifest(image.digest, [sigstore.attest({ ...options, form: 'annotations' })]))
      rekor.misbehave()
      const before = rekor.seen.length
      const { allowed, codes } = await desk.validate(pod(`registry.example/app@${image.digest}`))
      return { allowed, codes, searches: rekor.seen.length - before }
    }
    const bundled = await search('')
    assert.deepEqual([bundled.allowed, bundled.searches], [false, 0])
    assert.ok(bundled.codes.includes('log-entry-missing') && !bundled.codes.includes('log-search-failed'), bundled.codes.join())
    assert.deepEqual([(await search('small')).allowed, (await search('small')).searches], [true, 1])
    const large = await search('x'.repeat(1024 * 1024))
    assert.deepEqual([large.allowed, large.searches], [false, 0], 'lesson 38: no log has anything so large')
    assert.ok(large.codes.includes('log-search-failed'))
  })

  test('is not searched for where the policy names no log', async () => {
    const { allowed, searches, message } = await searched(() => rekor.misbehave(), {
      ctlog: undefined,
      keyless: { url: 'https://f', identities },
    })
    assert.deepEqual([allowed, searches], [false, 0])
    assert.match(message, /offline verification failed/)
  })
})
