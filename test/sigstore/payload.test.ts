import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { makePayload } from '../../fakes/signer.ts'
import { digestOf } from '../../src/image/digest.ts'
import { MAX_PAYLOAD_BYTES, readPayload } from '../../src/sigstore/payload.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'

const DIGEST = digestOf(Buffer.from('an image'))

function digestIn(text: string): string {
  const read = readPayload(Buffer.from(text))
  return read.ok ? read.value.digest : sentenceOf(read.reason)
}

test('a payload claims a digest, and may carry annotations of its signer', () => {
  assert.deepEqual(readPayload(makePayload(DIGEST)), { ok: true, value: { digest: DIGEST, annotations: {} } })
  const annotated = readPayload(makePayload(DIGEST, 'registry.example/app', { env: 'prod', timestamp: 1 }))
  assert.ok(annotated.ok)
  assert.deepEqual(annotated.value.annotations, { env: 'prod', timestamp: 1 })
})

for (const [title, text, digest] of [
  ['pretty printed', JSON.stringify(JSON.parse(makePayload(DIGEST).toString()), null, 2), DIGEST],
  ['with fields in another case', `{"Critical":{"IMAGE":{"Docker-Manifest-Digest":"${DIGEST}"}}}`, DIGEST],
  [
    'with two digests, in the order they are written',
    `{"critical":{"image":{"docker-manifest-digest":"a","Docker-Manifest-Digest":"b"}}}`,
    'b',
  ],
  ['with unknown fields', `{"critical":{"image":{"docker-manifest-digest":"${DIGEST}","x":1},"y":[]},"z":null}`, DIGEST],
  ['without anything', '{}', ''],
  ['of null', 'null', ''],
  ['with nulls', '{"critical":{"identity":null,"image":{"docker-manifest-digest":null},"type":null},"optional":null}', ''],
] as const) {
  test(`a payload ${title} claims ${digest === DIGEST ? 'the digest' : JSON.stringify(digest)}`, () => assert.equal(digestIn(text), digest))
}

for (const [text, sentence] of [
  ['hello', "invalid character 'h' looking for beginning of value"],
  [`\ufeff${makePayload(DIGEST).toString()}`, "invalid character 'ï' looking for beginning of value"],
  [`${makePayload(DIGEST).toString()} trailing`, "invalid character 't' after top-level value"],
  ['', 'unexpected end of JSON input'],
  ['[]', 'json: cannot unmarshal array into Go value of type payload.SimpleContainerImage'],
  ['true', 'json: cannot unmarshal bool into Go value of type payload.SimpleContainerImage'],
  ['{"critical":5}', 'json: cannot unmarshal number into Go struct field SimpleContainerImage.critical'],
  [
    '{"critical":{"image":{"docker-manifest-digest":["a"]}}}',
    'json: cannot unmarshal array into Go struct field Image.critical.image.docker-manifest-digest of type string',
  ],
  ['{"critical":{"type":1}}', 'json: cannot unmarshal number into Go struct field Critical.critical.type of type string'],
  ['{"optional":"x"}', 'json: cannot unmarshal string into Go struct field SimpleContainerImage.optional'],
] as const) {
  test(`${JSON.stringify(text.slice(0, 60))} is no payload: ${sentence}`, () => assert.equal(digestIn(text), sentence))
}

test('lesson 38: a payload beyond its bounds is refused', () => {
  assert.equal(
    digestIn(' '.repeat(MAX_PAYLOAD_BYTES + 1)),
    `size of document (${MAX_PAYLOAD_BYTES + 1}) exceeded the limit (${MAX_PAYLOAD_BYTES})`,
  )
  assert.equal(digestIn('['.repeat(40)), 'exceeded max depth')
})

test('whatever the bytes are, reading answers and never throws', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => typeof readPayload(bytes).ok === 'boolean'))
  fc.assert(
    fc.property(
      fc.jsonValue(),
      (value) => typeof readPayload(Buffer.from(JSON.stringify({ critical: value, optional: value }))).ok === 'boolean',
    ),
  )
})
