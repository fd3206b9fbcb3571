import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Workload } from '../../../src/admission/workload.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import type { Cluster, PullSecret } from '../../../src/world/cluster/cluster.ts'
import type { CredentialOptions } from '../../../src/world/registry/credentials.ts'
import { CredentialSource } from '../../../src/world/registry/credentials.ts'
import type { OwnCredentials } from '../../../src/world/registry/own-credentials.ts'
import { NO_CREDENTIALS } from '../../../src/world/registry/own-credentials.ts'
import { dockerConfig } from '../../desk.ts'

const subject = { group: '', version: 'v1', kind: 'Pod', resource: 'pods', namespace: 'demo', name: 'app', labels: {} }
const workload: Workload = { subject, isPod: true, podSpecPath: 'spec', images: [], serviceAccount: 'default', pullSecrets: ['mine'] }

function source(
  secrets: readonly PullSecret[],
  more: { accounts?: Cluster['pullSecretsOf']; failing?: string; asked?: string[]; own?: CredentialOptions['own'] } = {},
) {
  const cluster: Pick<Cluster, 'pullSecretsOf' | 'pullSecret'> = {
    pullSecretsOf: more.accounts ?? (() => ({ state: 'found', value: ['theirs'] })),
    pullSecret: async (namespace, name, fresh) => {
      more.asked?.push(`${namespace}/${name}${fresh ? ' anew' : ''}`)
      if (more.failing === name) return { state: 'failed', text: `secrets "${name}" is forbidden` }
      const secret = secrets.find((s) => s.namespace === namespace && s.name === name)
      return secret ? { state: 'found', value: secret } : { state: 'absent' }
    },
  }
  return new CredentialSource({
    cluster: cluster as Cluster,
    systemNamespace: 'cosign-system',
    own: more.own ?? (() => NO_CREDENTIALS),
    scopeKey: Buffer.alloc(32),
  })
}

async function sources(credentials: CredentialSource, names?: readonly string[]): Promise<readonly string[]> {
  const access = await credentials.access(workload, names ? { of: 'pullSecrets', names } : { of: 'workload' })
  assert.ok(access.ok)
  return access.value.keychain.credentialsFor('registry.example', 'app').map((c) => c.source)
}

const mine = dockerConfig('demo', 'mine', 'me', 'a')
const theirs = dockerConfig('demo', 'theirs', 'them', 'b')

const own = (source: string): OwnCredentials => ({
  credentialsFor: (registry) => (registry === 'registry.example' ? [{ kind: 'basic', source, username: 'own', password: source }] : []),
})

test('the order is: the workload’s own, its ServiceAccount’s, the controller’s, anonymous', async () => {
  const credentials = source([theirs, mine], { own: () => own('Amazon ECR') })
  assert.deepEqual(await sources(credentials), ['Secret demo/mine', 'Secret demo/theirs', 'Amazon ECR', 'anonymous'])
})

test('the controller’s own are taken anew when they change, and not with signaturePullSecrets', async () => {
  let now = own('one')
  const credentials = source([mine], { own: () => now })
  assert.deepEqual(await sources(credentials), ['Secret demo/mine', 'one', 'anonymous'])
  now = own('two')
  assert.deepEqual(await sources(credentials), ['Secret demo/mine', 'two', 'anonymous'])
  assert.deepEqual(await sources(credentials, ['mine']), ['Secret demo/mine'])
})

test('Secrets and ServiceAccounts that do not exist are passed over', async () => {
  assert.deepEqual(await sources(source([], { accounts: () => ({ state: 'absent' }) })), ['anonymous'])
})

test('a Secret that cannot be read is an answer of its own, not a Secret that is missing', async () => {
  const access = await source([mine], { failing: 'theirs' }).access(workload, { of: 'workload' })
  assert.deepEqual(access, { ok: false, reason: { code: 'credentials-unreadable', text: 'secrets "theirs" is forbidden' } })
})

test('a ServiceAccount that cannot be read is too', async () => {
  const access = await source([], { accounts: () => ({ state: 'failed', text: 'serviceaccounts are forbidden' }) }).access(workload, {
    of: 'workload',
  })
  assert.deepEqual(access, { ok: false, reason: { code: 'credentials-unreadable', text: 'serviceaccounts are forbidden' } })
})

test('signaturePullSecrets come from the namespace of the controller, else from the workload’s, and stand alone', async () => {
  const own = dockerConfig('cosign-system', 'sig', 'own', 'c')
  const local = dockerConfig('demo', 'sig', 'local', 'd')
  assert.deepEqual(await sources(source([own, local, mine]), ['sig']), ['Secret cosign-system/sig'])
  assert.deepEqual(await sources(source([local, mine]), ['sig']), ['Secret demo/sig'])
})

test('the same Secrets give the same access, changed ones another with another scope', async () => {
  const secrets = [mine]
  const credentials = source(secrets)
  const of = async () => {
    const access = await credentials.access(workload, { of: 'workload' })
    assert.ok(access.ok)
    return access.value
  }
  const first = await of()
  assert.equal(await of(), first)
  secrets[0] = dockerConfig('demo', 'mine', 'me', 'changed')
  const second = await of()
  assert.notEqual(second.scope('registry.example', 'app'), first.scope('registry.example', 'app'))
})

test('unrelated Secrets do not change the scope', async () => {
  const scope = async (...secrets: PullSecret[]) => {
    const access = await source(secrets).access(workload, { of: 'workload' })
    return access.ok && access.value.scope('registry.example', 'app')
  }
  assert.equal(await scope(mine), await scope(mine, dockerConfig('demo', 'theirs', 'x', 'y', 'other.example')))
})

test('renewed reads the Secrets anew, and answers nothing when they are the same', async () => {
  const asked: string[] = []
  const secrets = [mine]
  const access = await source(secrets, { asked }).access(workload, { of: 'workload' })
  assert.ok(access.ok)
  assert.equal(await access.value.renewed(), undefined)
  assert.deepEqual(asked.slice(-2), ['demo/mine anew', 'demo/theirs anew'])
  secrets[0] = dockerConfig('demo', 'mine', 'me', 'changed')
  assert.notEqual(await access.value.renewed(), undefined)
})

test('lesson 40: more pull secrets than any workload has are not read: each would be a question to the API server', async () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`)
  for (const [ofWorkload, ofAccount, isRead] of [
    [60, 4, true],
    [60, 5, false],
    [1, 10_000, false],
  ] as const) {
    const asked: string[] = []
    const theirs = names(ofAccount).map((name) => `their-${name}`)
    const credentials = source([], { asked, accounts: () => ({ state: 'found', value: theirs }) })
    const access = await credentials.access({ ...workload, pullSecrets: names(ofWorkload) }, { of: 'workload' })
    assert.equal(access.ok, isRead)
    assert.equal(asked.length, isRead ? 64 : 0)
    if (!access.ok)
      assert.equal(sentenceOf(access.reason), `number of imagePullSecrets (${ofWorkload + ofAccount}) exceeded the limit (64)`)
  }
})

test('lesson 40: of a Secret with very many credentials for one place a few are tried', async () => {
  const auths = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`registry.example/${'a'.repeat(i)}`, { auth: 'YTpi' }]))
  const data = { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') }
  const many: PullSecret = { namespace: 'demo', name: 'mine', type: 'kubernetes.io/dockerconfigjson', data }
  const access = await source([many]).access(workload, { of: 'workload' })
  assert.ok(access.ok)
  assert.equal(access.value.keychain.credentialsFor('registry.example', 'a'.repeat(600)).length, 33, 'the last is anonymous')
})
