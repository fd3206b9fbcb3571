import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readChallenge } from '../../../src/world/registry/challenge.ts'

const read = (header: string | string[] | undefined): unknown => {
  const challenge = readChallenge(header)
  return challenge?.kind === 'bearer' ? [challenge.realm.href, challenge.service, challenge.scope] : challenge?.kind
}

for (const [header, expected] of [
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"',
    ['https://auth.docker.io/token', 'registry.docker.io', 'repository:a/b:pull'],
  ],
  ['bearer REALM="https://x/token" , service=abc', ['https://x/token', 'abc', undefined]],
  ['Bearer realm="https://x/t",scope="repository:a:pull,push"', ['https://x/t', undefined, 'repository:a:pull,push']],
  ['Bearer realm="https://x/t?a=\\"b\\""', ['https://x/t?a=%22b%22', undefined, undefined]],
  ['Basic realm="registry"', 'basic'],
  ['Basic', 'basic'],
  ['Basic realm="r", Bearer realm="https://x/t",service="s"', ['https://x/t', 's', undefined]],
  [
    ['Basic realm="r"', 'Bearer realm="https://x/t"'],
    ['https://x/t', undefined, undefined],
  ],
  ['Negotiate abc==, Basic realm="r"', 'basic'],
  ['Bearer realm="not a url", Basic realm="r"', 'basic'],
  ['Bearer realm="https://user:pw@x/t"', undefined],
  ['Bearer realm="file:///etc/passwd"', undefined],
  ['Bearer service="s"', undefined],
  ['Digest realm="r"', undefined],
  ['', undefined],
  [undefined, undefined],
  ['Bearer realm="https://x/t', undefined],
] as const)
  test(`${JSON.stringify(header)} is read as ${JSON.stringify(expected)}`, () =>
    assert.deepEqual(read(typeof header === 'object' ? [...header] : header), expected))

test('a challenge of any length is read in linear time', () => {
  const start = performance.now()
  for (const piece of ['a', 'a=', 'a="', '"\\', ', ', 'Bearer realm=']) readChallenge(piece.repeat(100_000))
  assert.ok(performance.now() - start < 1000)
})
