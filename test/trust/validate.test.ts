import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Json, JsonObject } from '../../src/image/json.ts'
import { whyNotTrustRoot } from '../../src/trust/validate.ts'
import { errorText } from '../../src/verdict/diagnostic.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const signed = base64('{"signatures":[],"signed":{}}')
const mirror = 'https://m'

const why = (spec: JsonObject): string => errorText(whyNotTrustRoot(spec))

// Rule by rule, in the words of specification 2.6. T8 and T9 need the archive unpacked: see configure.test.ts.
for (const [rule, spec, text] of [
  ['T1', {}, 'expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys'],
  ['T2', { remote: {}, sigstoreKeys: {} }, 'expected exactly one, got both: spec.remote, spec.repository, spec.sigstoreKeys'],
  [
    'T2 with the fourth kind',
    { remote: {}, trustedRoot: {} },
    'expected exactly one, got both: spec.remote, spec.repository, spec.sigstoreKeys, spec.trustedRoot',
  ],
  ['T3', { repository: { root: signed, mirrorFS: 'eA==' } }, 'missing field(s): spec.repository.targets'],
  ['T4', { repository: { mirrorFS: 'eA==', targets: 't' } }, 'missing field(s): spec.repository.root'],
  ['T4', { remote: { root: null, mirror } }, 'missing field(s): spec.remote.root'],
  [
    'T5',
    { remote: { root: base64('nope'), mirror } },
    "invalid value: failed to unmarshal: spec.remote.root\ninvalid character 'o' in literal null (expecting 'u')",
  ],
  [
    'T5 of an empty root',
    { remote: { root: '', mirror } },
    'invalid value: failed to unmarshal: spec.remote.root\nunexpected end of JSON input',
  ],
  [
    'T5 of JSON that is no object',
    { repository: { root: base64('[]'), mirrorFS: 'eA==', targets: 't' } },
    'invalid value: failed to unmarshal: spec.repository.root\njson: cannot unmarshal array into Go value of type map[string]interface {}',
  ],
  ['T6', { remote: { root: base64('{}'), mirror } }, 'invalid value: missing signatures in root.json: spec.remote.root\nno signatures'],
  ['T7', { repository: { root: signed, targets: 't' } }, 'missing field(s): spec.repository.repository'],
  ['T10', { remote: {} }, 'missing field(s): spec.remote.mirror, spec.remote.root'],
  [
    'T11',
    { sigstoreKeys: { certificateAuthorities: null } },
    'expected exactly one, got neither: spec.sigstoreKeys.certificateAuthority, spec.sigstoreKeys.timestampAuthorities',
  ],
] as const) {
  test(`${rule}: ${text.split('\n')[0]}`, () => assert.equal(why(spec), text))
}

test('a remote and a repository are right so far, whatever the archive holds', () => {
  assert.equal(why({ remote: { root: signed, mirror } }), '')
  assert.equal(why({ repository: { root: signed, mirrorFS: 'eA==', targets: 'targets' } }), '')
})

test('a trusted root may be given as an object and as its JSON, and must be one', async () => {
  const root = (await Sigstore.create()).trustedRoot() as unknown as Json
  assert.equal(why({ trustedRoot: JSON.parse(JSON.stringify(root)) as Json }), '')
  assert.equal(why({ trustedRoot: JSON.stringify(root) }), '')
  for (const trustedRoot of [{}, 'x', 5, []])
    assert.match(why({ trustedRoot }), /^invalid value: failed to parse the trusted root: spec\.trustedRoot\n./)
})

test('any spec is looked at without an exception', () => {
  const kind = fc.constantFrom('remote', 'repository', 'sigstoreKeys', 'trustedRoot')
  fc.assert(fc.property(fc.dictionary(kind, fc.jsonValue()), (spec) => void why(spec as JsonObject)))
  const field = fc.constantFrom('root', 'mirror', 'mirrorFS', 'targets')
  fc.assert(fc.property(kind, fc.dictionary(field, fc.jsonValue()), (k, value) => void why({ [k]: value as Json })))
})
