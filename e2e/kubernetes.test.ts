import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ApiServer } from '../src/world/cluster/api-server.ts'
import { openAccess } from '../src/world/cluster/kubeconfig.ts'
import { openKubernetes } from '../src/world/cluster/kubernetes.ts'
import { Watch } from '../src/world/cluster/watch.ts'
import { silent } from '../src/world/log.ts'
import { clusterImagePolicies } from '../tools/crds.ts'
import { applied, startCluster } from './cluster.ts'
import { leftOutWithout, type Parts, partsIfPresent } from './parts.ts'

const NEEDED = ['kube-apiserver', 'etcd', 'kubectl'] as const
const deploy = (file: string) => new URL(`../deploy/${file}`, import.meta.url).pathname

const policy = (name: string, mode: string) =>
  JSON.stringify({
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { mode, images: [{ glob: '**' }], authorities: [{ static: { action: 'pass' } }] },
  })

/** Waits, at most a minute, until something has come about. */
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 3_000 && !isSo(); i++) await wait(20)
  assert.ok(isSo(), what)
}

test(
  'a real API server is listed, watched, lost and found again with the rights of the deployment',
  { skip: leftOutWithout(NEEDED) },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sealgate-kubernetes-'))
    const real = await startCluster(partsIfPresent(NEEDED) as Parts, folder, [{ namespace: 'cosign-system', name: 'webhook' }])
    const kubeconfig = real.kubeconfigOf('cosign-system', 'webhook')
    const apply = (text: string) => applied(real, ['apply', '-f', '-'], text)
    await applied(real, ['apply', '-f', deploy('manifests/namespace.yaml'), '-f', deploy('manifests/rbac.yaml')])
    await applied(real, ['create', 'namespace', 'demo'])
    const cluster = await openKubernetes({ kubeconfig, systemNamespace: 'cosign-system', log: silent })
    const api = new ApiServer(await openAccess({ kubeconfig, env: {} }))
    t.after(async () => {
      await cluster.close()
      await api.close()
      await real.stop()
      await rm(folder, { recursive: true, force: true })
    })
    const modes = () =>
      [...cluster.objects().policies].map(([name, object]) => `${name} ${(object as { spec: { mode: string } }).spec.mode}`).join()

    // Without the CRD nothing is known about policies, and everything else is.
    await until('all but policies', () => cluster.waitingFor().length === 1 && !cluster.waitingFor()[0]?.endsWith('not read yet'))
    assert.deepEqual(cluster.waitingFor(), [
      'clusterimagepolicies.policy.sigstore.dev: the API server does not serve it; is its CustomResourceDefinition installed?',
    ])
    assert.ok(cluster.objects().policiesIncomplete)
    // Nobody is here to convert.
    await apply(clusterImagePolicies('None'))
    await until('ready', () => cluster.waitingFor().length === 0 && cluster.objects().policiesIncomplete === undefined)

    await apply(policy('p', 'warn'))
    await until('created', () => modes() === 'p warn')
    await apply(policy('p', 'enforce'))
    await until('changed', () => modes() === 'p enforce')

    const account = (name: string) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name, namespace: 'demo' },
        imagePullSecrets: [{ name: `pull-${name}` }],
      })
    for (const name of ['one', 'two', 'three']) await apply(account(name))
    await until('accounts', () => cluster.pullSecretsOf('demo', 'three').state === 'found')
    assert.deepEqual(cluster.pullSecretsOf('demo', 'one'), { state: 'found', value: ['pull-one'] })

    await applied(real, ['create', 'secret', 'docker-registry', 'pull-one', '-n', 'demo', '--docker-username=u', '--docker-password=p'])
    const secret = await cluster.pullSecret('demo', 'pull-one', false)
    assert.equal(secret.state === 'found' && secret.value.type, 'kubernetes.io/dockerconfigjson')
    assert.deepEqual(await cluster.pullSecret('demo', 'nothing', false), { state: 'absent' })

    // Pages of one object each.
    const paged = new Watch(
      api,
      {
        resource: 'serviceaccounts',
        paths: ['/api/v1/serviceaccounts'],
        query: {},
        pageSize: 1,
        key: (ns, name) => `${ns}/${name}`,
        keep: () => true,
      },
      silent,
      () => undefined,
    )
    paged.start()
    await until('pages', () => paged.isListed)
    assert.ok(['one', 'two', 'three'].every((name) => paged.items.has(`demo/${name}`)))
    await paged.close()

    // What may not be read, in the API server's own words.
    const never = new AbortController().signal
    const forbidden = await api.get('/api/v1/namespaces/demo/secrets', {}, never)
    assert.match(
      forbidden.state === 'refused' ? forbidden.text : '',
      /^secrets is forbidden: User "system:serviceaccount:cosign-system:webhook" cannot list resource "secrets"/,
    )

    await real.killApiServer()
    await until('the loss is noticed', () => cluster.objects().policiesIncomplete !== undefined)
    assert.equal(modes(), 'p enforce')
    await real.startApiServer()
    await applied(real, ['delete', 'clusterimagepolicies', 'p'])
    await apply(policy('q', 'enforce'))
    await until('found again', () => modes() === 'q enforce' && cluster.objects().policiesIncomplete === undefined)
    assert.ok(cluster.lastContactAge() < 60_000)

    // An API server that was started later knows no events before that.
    const lines: string[] = []
    await api.watch('/api/v1/serviceaccounts', { resourceVersion: '1', timeoutSeconds: '2' }, 10_000, never, {
      opened: () => undefined,
      line: (line) => lines.push(line),
    })
    assert.match(lines[0] ?? '', /"type":"ERROR".*"code":410/)

    // Without the CRD again, there is no complete list of no policies.
    await applied(real, ['delete', 'crd', 'clusterimagepolicies.policy.sigstore.dev'])
    await until(
      'the CRD is missed',
      () =>
        cluster.objects().policiesIncomplete?.endsWith('the API server does not serve it; is its CustomResourceDefinition installed?') ===
        true,
    )
  },
)
