import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makeSigner } from '../../fakes/signer.ts'
import { readPolicy } from '../../src/policy/read.ts'
import type { Terms } from '../../src/policy/validate.ts'
import { whyNotPolicy } from '../../src/policy/validate.ts'
import { errorText, warningLines } from '../../src/verdict/diagnostic.ts'
import { mintAuthority, mintLeaf } from '../trust/authority.ts'

const terms: Terms = { systemNamespace: 'cosign-system', failOnEmptyAuthorities: true }
const root = mintAuthority('CN=root')
const chain = mintAuthority('CN=intermediate', { by: root }).pem + root.pem
const { pem } = makeSigner('p256')

const images = [{ glob: '**' }]
const identities = [{ issuer: 'https://i', subject: 's' }]
const pass = { static: { action: 'pass' } }
const keyless = (more: object): object => ({ keyless: { url: 'https://fulcio.local', identities, ...more } })
const identity = (...of: object[]): object => ({ authorities: [keyless({ identities: of })] })
const attested = (...attestations: object[]): object => ({ authorities: [{ key: { data: pem }, attestations }] })
const attestedBy = (policy: object): object => attested({ name: 'n', predicateType: 'https://x/y', policy })

function said(spec: object, of: Terms = terms) {
  const diagnostics = whyNotPolicy(readPolicy('p', { spec: { images, authorities: [pass], ...spec } }).spec, of)
  return { errors: errorText(diagnostics), warnings: warningLines(diagnostics) }
}

const A = 'spec.authorities[0]'
const I = `${A}.keyless.identities[0]`
const P = `${A}.attestations.policy`

// Rule by rule, in the order and the words of specification 2.3.
for (const [rule, spec, text] of [
  ['V1', { images: [] }, 'missing field(s): spec.images'],
  ['V2', { images: [{}, { glob: '' }] }, 'missing field(s): spec.images[0].glob, spec.images[1].glob'],
  ['V3', { images: [{ glob: '[' }] }, 'invalid value: [: spec.images[0].glob\nglob is invalid: syntax error in pattern'],
  ['V3', { images: [{ glob: 'a\\' }] }, 'invalid value: a\\: spec.images[0].glob\nglob is invalid: syntax error in pattern'],
  ['V4', { images: [{ glob: '$FOO*' }] }, 'invalid value: $FOO*: spec.images[0].glob\nglob is invalid: invalid glob "$FOO*"'],
  ['V4', { images: [{ glob: 'a\n' }] }, 'invalid value: a\n: spec.images[0].glob\nglob is invalid: invalid glob "a\\n"'],
  ['V5', { authorities: [] }, 'missing field(s): spec.authorities'],
  ['V6', { mode: 'garbage' }, 'invalid value: garbage: spec.mode\nunsupported mode'],
  [
    'V7',
    { authorities: [{ rfc3161timestamp: { trustRootRef: 'x' }, source: [{ oci: 'foo/bar' }] }] },
    `expected exactly one, got neither: ${A}.key, ${A}.keyless, ${A}.static`,
  ],
  ['V8', { authorities: [{ key: {}, keyless: {} }] }, `expected exactly one, got both: ${A}.key, ${A}.keyless, ${A}.static`],
  ['V9', { authorities: [{ static: {} }] }, `missing field(s): ${A}.static.action`],
  ['V10', { authorities: [{ static: { action: 'warn' } }] }, `invalid value: warn: ${A}.static.action\nunsupported action`],
  [
    'V11',
    {
      authorities: [
        { ...pass, source: [{ oci: 'a.b/cc' }], ctlog: {}, rfc3161timestamp: {}, attestations: [{ name: 'n', predicateType: '/x' }] },
      ],
    },
    `expected exactly one, got both: ${A}.attestations, ${A}.ctlog, ${A}.rfc3161timestamp, ${A}.source, ${A}.static`,
  ],
  [
    'V12',
    { authorities: [{ key: { data: pem }, source: [{ oci: 'foo/bar' }, {}] }] },
    `invalid value: source: ${A}.source\nonly single source is supported`,
  ],
  [
    'V13',
    { authorities: [{ key: { data: pem }, source: [{ oci: 'foo/bar' }] }] },
    `invalid value: foo/bar: ${A}.source[0].oci\nregistries must be valid RFC 3986 URI authorities: foo/bar`,
  ],
  [
    'V14',
    { authorities: [{ key: { data: pem }, source: [{ signaturePullSecrets: [{ name: 'x' }, {}] }] }] },
    `missing field(s): ${A}.source[0].signaturePullSecrets[1].name`,
  ],
  [
    'V14 of two secrets, each put before what was found so far',
    { authorities: [{ key: { data: pem }, source: [{ oci: 'foo/bar', signaturePullSecrets: [{}, {}] }] }] },
    `invalid value: foo/bar: ${A}.source[0].signaturePullSecrets[1].signaturePullSecrets[0].oci\nregistries must be valid RFC 3986 URI authorities: foo/bar\n` +
      `missing field(s): ${A}.source[0].signaturePullSecrets[1].name, ${A}.source[0].signaturePullSecrets[1].signaturePullSecrets[0].name`,
  ],
  ['V15', { authorities: [{ key: {} }] }, `expected exactly one, got neither: ${A}.key.data, ${A}.key.kms, ${A}.key.secretref`],
  [
    'V16',
    { authorities: [{ key: { data: 'garbage', kms: 'mykey' } }] },
    `expected exactly one, got both: ${A}.key.data, ${A}.key.kms, ${A}.key.secretref`,
  ],
  [
    'V16 with a Secret that has no name',
    { authorities: [{ key: { data: pem, secretRef: {} } }] },
    `expected exactly one, got both: ${A}.key.data, ${A}.key.kms, ${A}.key.secretref`,
  ],
  ['V17', { authorities: [{ key: { data: pem, hashAlgorithm: 'md5' } }] }, `invalid value: md5: ${A}.key.hashAlgorithm`],
  ['V18', { authorities: [{ key: { data: 'garbage' } }] }, `invalid value: garbage: ${A}.key.data`],
  ['V18 of a certificate', { authorities: [{ key: { data: root.pem } }] }, `invalid value: ${root.pem}: ${A}.key.data`],
  [
    'V19',
    { authorities: [{ key: { kms: 'mykey' } }] },
    `invalid value: mykey: ${A}.key.kms\nmalformed KMS format, should be prefixed by any of the supported providers: [awskms:// azurekms:// hashivault:// gcpkms://]`,
  ],
  [
    'V20',
    { authorities: [{ key: { kms: 'awskms:///alias/ExampleAlias' } }] },
    `invalid value: awskms:///alias/ExampleAlias: ${A}.key.kms\nfailed to parse either key or alias arn: arn: invalid prefix`,
  ],
  [
    'V21',
    { authorities: [{ key: { secretRef: { name: 's', namespace: 'default' } } }] },
    `invalid value: default: ${A}.key.secretref.namespace\nsecretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed`,
  ],
  ['V22', { authorities: [keyless({ url: undefined })] }, `expected exactly one, got neither: ${A}.keyless.ca-cert, ${A}.keyless.url`],
  [
    'V24: V15',
    { authorities: [keyless({ 'ca-cert': {} })] },
    `expected exactly one, got neither: ${A}.keyless.ca-cert.data, ${A}.keyless.ca-cert.kms, ${A}.keyless.ca-cert.secretref`,
  ],
  [
    'V24: V16, V17',
    { authorities: [keyless({ 'ca-cert': { data: chain, kms: 'gcpkms://x', hashAlgorithm: 'md5' } })] },
    `expected exactly one, got both: ${A}.keyless.ca-cert.data, ${A}.keyless.ca-cert.kms, ${A}.keyless.ca-cert.secretref\n` +
      `invalid value: md5: ${A}.keyless.ca-cert.hashAlgorithm`,
  ],
  [
    'V24: V18, with why it is no certificate chain',
    { authorities: [keyless({ 'ca-cert': { data: 'garbage' } })] },
    `invalid value: garbage: ${A}.keyless.ca-cert.data\nca-cert cannot be used: the certificate cannot be read: error during PEM decoding`,
  ],
  [
    'V24: V19',
    { authorities: [keyless({ 'ca-cert': { kms: 'mykey' } })] },
    `invalid value: mykey: ${A}.keyless.ca-cert.kms\nmalformed KMS format, should be prefixed by any of the supported providers: [awskms:// azurekms:// hashivault:// gcpkms://]`,
  ],
  [
    'V24: V21',
    { authorities: [keyless({ 'ca-cert': { secretRef: { name: 's', namespace: 'x' } } })] },
    `invalid value: x: ${A}.keyless.ca-cert.secretref.namespace\nsecretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed`,
  ],
  ['V25', identity(), `missing field(s): ${A}.keyless.identities`],
  ['V26', identity({ issuer: 'i', issuerRegExp: 'i', subject: 's' }), `expected exactly one, got both: ${I}.issuer, ${I}.issuerRegExp`],
  ['V27', identity({ issuer: 'i', subject: 's', subjectRegExp: 's' }), `expected exactly one, got both: ${I}.subject, ${I}.subjectRegExp`],
  [
    'V28',
    identity({ issuerRegExp: '****', subjectRegExp: '[' }),
    `invalid value: ****: ${I}.issuerRegExp\nregex is invalid: error parsing regexp: missing argument to repetition operator: \`*\`\n` +
      `invalid value: [: ${I}.subjectRegExp\nregex is invalid: error parsing regexp: missing closing ]: \`[\``,
  ],
  ['V29', identity({ issuer: 'i' }), `missing field(s): ${I}.subject, ${I}.subjectRegExp`],
  ['V30', identity({ subject: 's' }), `missing field(s): ${I}.issuer, ${I}.issuerRegExp`],
  ['V31', attested({ predicateType: 'https://x/y' }), `missing field(s): ${A}.attestations.name`],
  ['V32', attested({ name: 'n' }, { name: 'm' }), `missing field(s): ${A}.attestations.predicateType`],
  ['V34: P1', attestedBy({ type: 'js', data: 'x' }), `invalid value: js: ${P}.type\nonly [cue,rego] are supported at the moment`],
  ['V34: P2', attestedBy({ type: 'cue' }), `missing field(s): ${P}.configMapRef, ${P}.data, ${P}.remote`],
  [
    'V34: P3',
    attestedBy({ type: 'cue', data: 'a: 1', configMapRef: { name: 'n', key: 'k' } }),
    `expected exactly one, got both: ${P}.configMapRef, ${P}.data, ${P}.remote`,
  ],
  [
    'V34: P4',
    attestedBy({ type: 'cue', remote: { url: 'http://x/y', sha256sum: 'aa' } }),
    `invalid value: http://x/y: ${P}.remote.url\nurl valid is invalid. host and https scheme are expected`,
  ],
  [
    'V34: P4 without a url',
    attestedBy({ type: 'cue', remote: { sha256sum: 'aa' } }),
    `invalid value: : ${P}.remote.url\nurl valid is invalid. host and https scheme are expected`,
  ],
  [
    'V34: P4 without a host',
    attestedBy({ type: 'cue', remote: { url: 'https:///y', sha256sum: 'aa' } }),
    `invalid value: https:///y: ${P}.remote.url\nurl valid is invalid. host and https scheme are expected`,
  ],
  ['V34: P5', attestedBy({ type: 'rego', remote: { url: 'https://x/y' } }), `missing field(s): ${P}.remote.sha256sum`],
  ['V34: P6', attestedBy({ type: 'cue', configMapRef: {} }), `missing field(s): ${P}.configMapRef.key, ${P}.configMapRef.name`],
  [
    'V34: P7',
    attestedBy({ type: 'cue', data: 'a: 1', fetchConfigFile: true, includeSpec: false, includeObjectMeta: true, includeTypeMeta: false }),
    `must not set the field(s): ${P}.fetchConfigFile, ${P}.includeObjectMeta, ${P}.includeSpec, ${P}.includeTypeMeta`,
  ],
  ['V35', { match: [{ version: 'v1', resource: 'apple' }] }, 'invalid value: apple: spec.match[0].resource\nunsupported resource name'],
  [
    'V36',
    { match: [{ selector: { matchLabels: { a: 'b' } } }] },
    'invalid value: : spec.match[0].selector\nselector requires a resource type to match the labels',
  ],
  ['V37: P1', { policy: { data: 'a: 1' } }, 'invalid value: : spec.type\nonly [cue,rego] are supported at the moment'],
  ['V37: P2', { policy: { type: 'cue' } }, 'missing field(s): spec.configMapRef, spec.data, spec.remote'],
  [
    'V37: P4, P5',
    { policy: { type: 'cue', remote: {} } },
    'invalid value: : spec.remote.url\nurl valid is invalid. host and https scheme are expected\nmissing field(s): spec.remote.sha256sum',
  ],
] as const) {
  test(`${rule}: ${text.split('\n')[0]?.slice(0, 100)}`, () => assert.deepEqual(said(spec), { errors: text, warnings: [] }))
}

for (const [title, spec] of [
  ['a static authority', {}],
  ['no authorities, where that is allowed', { authorities: undefined }],
  ['every resource that is judged', { match: [{ version: 'v1', resource: 'replicationcontrollers' }, { resource: 'cronjobs' }] }],
  ['an entry of match that is about nothing, without selector', { match: [{}] }],
  ['a mode that is empty', { mode: '' }],
  ['glob **** and a port', { images: [{ glob: '****' }, { glob: 'a.b:5000/c*' }] }],
  ['a key, any way to have it, and any case of its hash', { authorities: [{ key: { data: `text\n${pem}`, hashAlgorithm: ' SHA512 ' } }] }],
  ['a key in a Secret without a name', { authorities: [{ key: { secretRef: {} } }] }],
  ['a key in a Secret of the own namespace', { authorities: [{ key: { secretRef: { name: 's', namespace: 'cosign-system' } } }] }],
  ['a key in a KMS', { authorities: [{ key: { kms: 'gcpkms://x' } }] }],
  ['keyless with url', { authorities: [keyless({})] }],
  ['keyless with an empty url', { authorities: [keyless({ url: '' })] }],
  ['V23, V24 widened: a certificate chain as ca-cert alone', { authorities: [keyless({ 'url': undefined, 'ca-cert': { data: chain } })] }],
  ['V23, V24 widened: a certificate chain as ca-cert beside url', { authorities: [keyless({ 'ca-cert': { data: chain } })] }],
  ['V24: a public key as ca-cert, as it was always written', { authorities: [keyless({ 'ca-cert': { data: pem } })] }],
  ['ca-cert in a Secret', { authorities: [keyless({ 'ca-cert': { secretRef: { name: 's' } } })] }],
  ['expressions', identity({ issuerRegExp: '.*', subjectRegExp: '^a$' })],
  [
    'a source that is a registry, and tag prefixes of any kind',
    { authorities: [{ key: { data: pem }, source: [{ oci: 'registry.local', tagPrefix: '../x y/' }] }] },
  ],
  [
    'an unknown signatureFormat, empty ctlog and rfc3161timestamp',
    { authorities: [{ ...keyless({}), signatureFormat: 'foo', ctlog: {}, rfc3161timestamp: {} }] },
  ],
  [
    'two authorities of one name',
    {
      authorities: [
        { name: 'a', ...pass },
        { name: 'a', ...pass },
      ],
    },
  ],
  [
    'P8: a policy with all four inclusions',
    { policy: { type: 'rego', data: 'x', fetchConfigFile: true, includeSpec: true, includeObjectMeta: false, includeTypeMeta: true } },
  ],
  ['a policy that does not compile', { policy: { type: 'cue', data: 'a: {' } }],
  ['an attestation policy from elsewhere', attestedBy({ type: 'cue', remote: { url: 'https://x/y', sha256sum: 'aa' } })],
] as const) {
  test(`${title} may be written`, () => {
    const of = 'authorities' in spec && spec.authorities === undefined ? { ...terms, failOnEmptyAuthorities: false } : terms
    assert.deepEqual(said(spec, of), { errors: '', warnings: [] })
  })
}

test('a ca-cert that is the certificate of somebody who signs is refused, and why', () => {
  const { errors } = said({ authorities: [keyless({ 'ca-cert': { data: mintLeaf(root).pem } })] })
  assert.match(errors, /\nca-cert cannot be used: its anchor is the certificate of somebody who signs/)
})

for (const [type, isWarned] of [
  ['custom', true],
  ['slsaprovenance', true],
  ['slsaprovenance1', true],
  ['foo', true],
  ['https://slsa.dev/provenance/v1', false],
  ['urn:x:y', false],
  ['/abs', false],
] as const) {
  test(`V33: the predicate type ${type} is ${isWarned ? 'deprecated' : 'taken without a warning'}`, () => {
    const { errors, warnings } = said(attested({ name: 'n', predicateType: type }))
    assert.equal(errors, '')
    const lines = [`invalid value: ${type}: ${A}.attestations.predicateType`, 'deprecated value, please use RFC 3986 conformant values']
    assert.deepEqual(warnings, isWarned ? lines : [])
  })
}

test('everything that is wrong is said at once, merged and in order', () => {
  const spec = {
    images: [{ glob: '' }, { glob: '[' }],
    mode: 'x',
    match: [{ resource: 'foo' }],
    authorities: [{ name: 'a' }, { static: {} }, { key: {} }, { keyless: {} }],
  }
  const of = (i: number, ...fields: string[]) => fields.map((f) => `spec.authorities[${i}].${f}`).join(', ')
  assert.equal(
    said(spec).errors,
    `expected exactly one, got neither: ${of(0, 'key', 'keyless', 'static')}, ${of(2, 'key.data', 'key.kms', 'key.secretref')}, ${of(3, 'keyless.ca-cert', 'keyless.url')}\n` +
      'invalid value: [: spec.images[1].glob\nglob is invalid: syntax error in pattern\n' +
      'invalid value: foo: spec.match[0].resource\nunsupported resource name\n' +
      'invalid value: x: spec.mode\nunsupported mode\n' +
      `missing field(s): ${of(1, 'static.action')}, ${of(3, 'keyless.identities')}, spec.images[0].glob`,
  )
})

test('any spec is looked at without an exception', () => {
  const key = fc.constantFrom(
    'images',
    'authorities',
    'mode',
    'match',
    'policy',
    'key',
    'keyless',
    'static',
    'data',
    'url',
    'identities',
    'ca-cert',
    'source',
    'attestations',
    'oci',
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      fc.string(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4 }),
    ),
  }))
  fc.assert(fc.property(fc.dictionary(key, value, { maxKeys: 5 }), (spec) => void whyNotPolicy(readPolicy('p', { spec }).spec, terms)))
})
