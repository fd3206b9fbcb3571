import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leafHash } from '../../../fakes/sigstore/merkle.ts'
import { TransparencyLog } from '../../../fakes/sigstore/transparency-log.ts'

const body = Buffer.from('{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}')
const at = Date.UTC(2026)

test('a v1 log promises and knows the time, a v2 log only proves', () => {
  const [v1, v2] = [new TransparencyLog('v1', 'rekor.example').append(body, at), new TransparencyLog('v2', 'log.example').append(body, at)]
  assert.deepEqual(v1.kind, { kind: 'hashedrekord', version: '0.0.1' })
  assert.equal(v1.integratedTime, at / 1000)
  assert.ok(v1.promise)
  assert.deepEqual([v2.integratedTime, v2.promise], [undefined, undefined])
  for (const { proof } of [v1, v2]) assert.ok(proof && proof.path.length > 1 && proof.checkpoint.includes(proof.root.toString('base64')))
  assert.match(v1.proof?.checkpoint ?? '', /^rekor\.example - \d+\n6\n/)
  assert.match(v2.proof?.checkpoint ?? '', /^log\.example\n6\n/)
})

test("a v1 log counts the entries of its former trees, which its tree's index does not", () => {
  const { index, proof } = new TransparencyLog('v1', 'rekor.example').append(body, at)
  assert.ok(index > (proof?.index ?? index))
})

test('an entry is found again, under the hash of its leaf, in a tree that has grown', () => {
  const log = new TransparencyLog('v1', 'rekor.example')
  log.append(body, at)
  log.append(Buffer.from('{"kind":"other"}'), at)
  const [found] = log.find((each) => each.equals(body))
  assert.match(found?.uuid ?? '', /^[0-9a-f]{80}$/)
  assert.equal(found?.uuid.slice(16), leafHash(body).toString('hex'))
  assert.equal(found?.entry.proof?.size, 7)
})
