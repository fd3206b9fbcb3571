import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Got, PullSecret } from '../../../src/world/cluster/cluster.ts'
import { PullSecrets, pullSecretOf } from '../../../src/world/cluster/pull-secrets.ts'

/** A source that counts; each answer is a new object. */
function counted(answer: () => Got<PullSecret>): { read: (namespace: string, name: string) => Promise<Got<PullSecret>>; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    async read(namespace, name) {
      asked.push(`${namespace}/${name}`)
      await wait(1)
      return answer()
    },
  }
}

const found = (): Got<PullSecret> => ({
  state: 'found',
  value: { namespace: 'n', name: 's', type: 'kubernetes.io/dockercfg', data: { '.dockercfg': 'e30=' } },
})

test('a pull secret keeps its type and the entries that credentials are read from, nothing else', () => {
  const secret = {
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': 'e30=', 'key.pem': 'c2VjcmV0', '.dockercfg': 7 },
    metadata: { annotations: { a: 'b' } },
  }
  assert.deepEqual(pullSecretOf('n', 's', secret), {
    namespace: 'n',
    name: 's',
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': 'e30=' },
  })
  assert.deepEqual(pullSecretOf('n', 's', {}), { namespace: 'n', name: 's', type: 'Opaque', data: {} })
})

test('equal questions at the same time are asked once, and then remembered', async () => {
  const source = counted(found)
  const secrets = new PullSecrets(source.read)
  const answers = await Promise.all([
    secrets.get('n', 's', false),
    secrets.get('n', 's', false),
    secrets.get('n', 's', true),
    secrets.get('m', 's', false),
  ])
  assert.equal(new Set(answers).size, 2)
  await secrets.get('n', 's', false)
  assert.deepEqual(source.asked, ['n/s', 'm/s'])
})

test('a fresh answer is read anew, and remembered for the others', async () => {
  let answer = found()
  const source = counted(() => answer)
  const secrets = new PullSecrets(source.read)
  await secrets.get('n', 's', false)
  answer = { state: 'absent' }
  assert.equal((await secrets.get('n', 's', false)).state, 'found')
  assert.equal((await secrets.get('n', 's', true)).state, 'absent')
  assert.equal((await secrets.get('n', 's', false)).state, 'absent')
  assert.equal(source.asked.length, 2)
})

test('a failure is not remembered', async () => {
  let answer: Got<PullSecret> = { state: 'failed', text: 'secrets "s" is forbidden' }
  const source = counted(() => answer)
  const secrets = new PullSecrets(source.read)
  assert.deepEqual(await secrets.get('n', 's', false), answer)
  answer = found()
  assert.equal((await secrets.get('n', 's', false)).state, 'found')
})

test('what is remembered ends', async () => {
  const source = counted(found)
  const secrets = new PullSecrets(source.read, 5)
  await secrets.get('n', 's', false)
  await wait(20)
  await secrets.get('n', 's', false)
  assert.equal(source.asked.length, 2)
})

test('what is remembered is bounded by bytes', async () => {
  const large = 'x'.repeat(1_500_000)
  const source = counted(() => ({ state: 'found', value: { namespace: 'n', name: 's', type: 'x', data: { '.dockercfg': large } } }))
  const secrets = new PullSecrets(source.read)
  for (let i = 0; i < 20; i++) await secrets.get('n', `s${i}`, false)
  await secrets.get('n', 's19', false)
  assert.equal(source.asked.length, 20)
  await secrets.get('n', 's0', false)
  assert.equal(source.asked.length, 21)
})
