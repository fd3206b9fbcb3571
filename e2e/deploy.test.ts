import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { renewed } from '../programs/webhook/certificate.ts'
import { type Manifest, CHART, rendered } from './chart.ts'
import { type Cluster, applied, startCluster } from './cluster.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { type Said, run, temporaryFolder } from './processes.ts'

const needed = ['kube-apiserver', 'etcd', 'kubectl', 'helm'] as const
// The version that is stored: nobody is here to convert.
const POLICIES = 'clusterimagepolicies.v1alpha1.policy.sigstore.dev'
const deploy = fileURLToPath(new URL('../deploy/', import.meta.url))

suite('what is in deploy/, given to a real API server', { skip: leftOutWithout(needed), timeout: 180_000 }, () => {
  const folder = temporaryFolder('deploy')
  let cluster: Cluster
  let helm = ''
  before(async () => {
    const parts = partsIfPresent(needed)
    assert.ok(parts)
    helm = parts.helm
    cluster = await startCluster(parts, join(folder, 'cluster'), [{ namespace: 'cosign-system', name: 'webhook' }])
  })
  after(() => cluster?.stop())

  const kubectl = (line: string, input?: string): Promise<Said> => cluster.kubectl(line.split(' '), input)
  const must = (line: string, input?: string): Promise<string> => applied(cluster, line.split(' '), input)
  const listOf = (objects: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  const apply = (...objects: readonly object[]): Promise<string> => must('apply -f -', listOf(objects))
  /** As `apply`, for policies and trust roots: nobody is here whom the API server could ask about them. */
  const store = async (...objects: readonly object[]): Promise<string> => {
    await must(
      'delete --ignore-not-found validatingwebhookconfiguration/validating.clusterimagepolicy.sigstore.dev mutatingwebhookconfiguration/defaulting.clusterimagepolicy.sigstore.dev',
    )
    for (let tries = 0; tries < 50; tries++) {
      const { code, stdout } = await kubectl('apply -f -', listOf(objects))
      if (code === 0) return stdout
      await wait(100)
    }
    return apply(...objects)
  }

  /** As `must`, for what the API server knows only some time after it has accepted it. */
  const soon = async (line: string): Promise<string> => {
    for (let tries = 0; tries < 50; tries++) {
      const { code, stdout } = await kubectl(line)
      if (code === 0) return stdout
      await wait(100)
    }
    return must(line)
  }

  const policy = (name: string, version = 'v1alpha1') => ({
    apiVersion: `policy.sigstore.dev/${version}`,
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { mode: 'enforce', images: [{ glob: '**' }], authorities: [{ name: 'a', static: { action: 'pass' } }] },
  })

  test('kubectl apply -k installs everything, twice over', async () => {
    await must(`apply -k ${deploy}`)
    await must(
      'wait --for=condition=Established --timeout=30s crd/clusterimagepolicies.policy.sigstore.dev crd/trustroots.policy.sigstore.dev',
    )
    const versions = () => must(`get -k ${deploy} -o jsonpath={range.items[*]}{.kind}/{.metadata.name}:{.metadata.resourceVersion},{end}`)
    const before = await versions()
    await must(`apply -k ${deploy}`)
    assert.equal(await versions(), before)
    assert.match(before, /CustomResourceDefinition\/trustroots.policy.sigstore.dev:/)
    for (const object of [
      'lease/sealgate-webhook',
      'deployment/webhook',
      'service/webhook',
      'secret/webhook-certs',
      'poddisruptionbudget/webhook',
    ])
      await must(`get ${object} -n cosign-system`)
  })

  test('kubectl apply -k deploy/opt-out checks every other namespace', async () => {
    await must(`apply -k ${deploy}opt-out --dry-run=server`)
    const objects = await must(`kustomize ${deploy}opt-out`)
    assert.equal([...objects.matchAll(/key: policy\.sigstore\.dev\/exclude\n +operator: DoesNotExist/g)].length, 2)
  })

  test('kubectl apply -k deploy/change-over stands beside another controller, and touches nothing of what that uses', async () => {
    const objects = (await must(`kustomize ${deploy}change-over`)).split(/^---$/m)
    const names = objects.map((object) => `${/^kind: (.*)$/m.exec(object)?.[1]} ${/^ {2}name: (.*)$/m.exec(object)?.[1]}`)
    assert.deepEqual(
      names.filter((name) => !/ sealgate(-webhook)?$/.test(name)),
      [],
    )
    assert.ok(!names.some((name) => /^(Namespace|Service|Secret|ConfigMap|\w+WebhookConfiguration|CustomResourceDefinition) /.test(name)))
    const deployment = objects.find((object) => object.includes('kind: Deployment')) ?? ''
    assert.match(deployment, /^ +- name: SEALGATE_READ_ONLY\n +value: "true"$/m)
    assert.match(deployment, /^ {6}labels:\n(?: {8}.*\n)* {8}role: webhook$/m)
    await must(`apply -k ${deploy}change-over --dry-run=server`)
  })

  test('kubectl explain teaches', async () => {
    for (const [path, said] of [
      ['cip.spec.authorities.key.kms', /Where a key management service keeps the key: awskms:\/\//],
      ['cip.spec.images.glob', /\* stands for any text without a slash/],
      ['trustroot.spec.trustedRoot', /A Sigstore trusted root as it is/],
      ['cip.status.annotations', /keysReadAt/],
    ] as const)
      assert.match((await soon(`explain ${path}`)).replaceAll(/\s+/g, ' '), said)
  })

  test('policies and trust roots are listed with what one wants to see at once', async () => {
    await store(policy('listed'), {
      apiVersion: 'policy.sigstore.dev/v1alpha1',
      kind: 'TrustRoot',
      metadata: { name: 'listed' },
      spec: { remote: { mirror: 'https://tuf.example.com', root: 'e30=' } },
    })
    const status = JSON.stringify({
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        annotations: {
          images: '**,other',
          authorities: 'a,b',
          keys: '2',
          keysReadAt: new Date(Date.now() - 5_000).toISOString(),
          expires: '2030-01-01T00:00:00Z',
          ours: 'kept',
        },
      },
    })
    for (const kind of [POLICIES, 'trustroot']) await must(`patch ${kind} listed --subresource=status --type=merge -p ${status}`)
    assert.match(
      await must(`get ${POLICIES} listed`),
      /^NAME +MODE +IMAGES +AUTHORITIES +READY +AGE\nlisted +enforce +\*\*,other +a,b +True +\d+s\n$/,
    )
    assert.match(
      await must('get trustroot listed'),
      /^NAME +MIRROR +KEYS +READ +EXPIRES +READY +AGE\nlisted +https:\/\/tuf\.example\.com +2 +\d+s +2030-01-01T00:00:00Z +True +\d+s\n$/,
    )
    assert.equal(await must(`get ${POLICIES} listed -o jsonpath={.status.annotations.ours}`), 'kept')
  })

  test('a trusted root is kept whole, as an object and as a text', async () => {
    const trustRoot = (name: string, trustedRoot: unknown) => ({
      apiVersion: 'policy.sigstore.dev/v1alpha1',
      kind: 'TrustRoot',
      metadata: { name },
      spec: { trustedRoot },
    })
    const root = { mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1', tlogs: [{ unknown: { deep: [1, null] } }] }
    await store(trustRoot('object', root), trustRoot('text', JSON.stringify(root)))
    const get = async (name: string) =>
      (JSON.parse(await must(`get trustroot ${name} -o json`)) as { spec: { trustedRoot: unknown } }).spec.trustedRoot
    assert.deepEqual(await get('object'), root)
    assert.equal(await get('text'), JSON.stringify(root))
  })

  test('with nobody answering, the namespaces of the controller and of the system still start what they need', async () => {
    const pod = (namespace: string) => kubectl(`run web --image=registry.example.com/web -n ${namespace} --dry-run=server`)
    await must(`apply -k ${deploy}`)
    await must('create namespace shop')
    // The restricted standard of its own namespace asks for the security context that its Pods have.
    const [deployment] = (await rendered(helm)).filter(({ kind }) => kind === 'Deployment')
    const own = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'webhook', labels: { role: 'webhook' } },
      spec: deployment?.spec?.template?.spec,
    }
    const starts = async (): Promise<void> => {
      const said = await kubectl('create -n cosign-system --dry-run=server -f -', JSON.stringify(own))
      assert.deepEqual([said.code, said.stderr], [0, ''])
      assert.equal((await pod('kube-system')).code, 0)
    }
    await must('label namespace shop policy.sigstore.dev/include=true')
    await must('label namespace cosign-system kube-system policy.sigstore.dev/include=true --overwrite')
    assert.match((await pod('shop')).stderr, /failed calling webhook "policy\.sigstore\.dev"/)
    await starts()
    assert.match(
      (await kubectl('create -f -', JSON.stringify(policy('new')))).stderr,
      /failed calling webhook "defaulting\.clusterimagepolicy/,
    )

    await must('label namespace shop cosign-system kube-system policy.sigstore.dev/include-')
    await must(`apply -k ${deploy}opt-out`)
    await must('label namespace cosign-system policy.sigstore.dev/include-')
    assert.match((await pod('shop')).stderr, /failed calling webhook "policy\.sigstore\.dev"/)
    await starts()
    await must('label namespace shop policy.sigstore.dev/include=false')
    assert.equal((await pod('shop')).code, 0)
    await must(`apply -k ${deploy}`)
  })

  test('lesson 31: only those with the right to take a namespace out of the checks by its labels, with every replica down', async () => {
    await must(`apply -k ${deploy}guard`)
    await must('create namespace guarded')
    await must('create clusterrole namespaces --verb=get,list,create,update,patch --resource=namespaces,namespaces/status')
    for (const user of ['developer', 'operator']) await must(`create clusterrolebinding ${user} --clusterrole=namespaces --user=${user}`)
    await must('create clusterrolebinding exempt --clusterrole=sealgate-exempt-namespaces --user=operator')
    const label = (user: string, label: string, more = '') => kubectl(`label namespace guarded ${label} --overwrite --as=${user}${more}`)
    const refused = async (said: Said, text: RegExp): Promise<void> => {
      assert.equal(said.code, 1, said.stdout)
      assert.match(said.stderr, text)
    }
    // A policy is in force some time after it was created.
    for (let tries = 0; (await label('developer', 'policy.sigstore.dev/exclude=x', ' --dry-run=server')).code === 0; tries++)
      assert.ok(tries < 100, 'the guard is not in force')

    assert.equal((await label('developer', 'policy.sigstore.dev/include=true')).code, 0)
    assert.equal((await label('developer', 'team=a')).code, 0)
    await refused(await label('developer', 'policy.sigstore.dev/include-'), /include=true can be taken away only with the right to exempt/)
    await refused(await label('developer', 'policy.sigstore.dev/include=no'), /include=true can be taken away only/)
    await refused(await label('developer', 'policy.sigstore.dev/include=false'), /include=true can be taken away only/)
    await refused(await label('developer', 'webhooks.knative.dev/exclude='), /can be given only with the right to exempt/)
    const through = `patch namespace guarded --subresource=status --type=merge --as=developer -p {"metadata":{"labels":{"policy.sigstore.dev/include":null}}}`
    await refused(await kubectl(through), /include=true can be taken away only/)
    const created = (name: string, value: string) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'policy.sigstore.dev/include': value } },
    })
    await refused(await kubectl('create --as=developer -f -', JSON.stringify(created('new', 'false'))), /include=false can be given only/)
    assert.equal((await kubectl('create --as=developer -f -', JSON.stringify(created('new', 'true')))).code, 0)

    assert.equal((await label('operator', 'policy.sigstore.dev/include=false')).code, 0)
    assert.equal((await label('developer', 'team=b')).code, 0)
    assert.equal((await label('developer', 'policy.sigstore.dev/include=true')).code, 0)
    assert.equal((await kubectl('label namespace guarded policy.sigstore.dev/include-')).code, 0)
    await must(`delete -k ${deploy}guard`)
  })

  test('the definitions apply over those of the sigstore policy controller, and what is stored stays as it is', async () => {
    await must(`delete -k ${deploy}crds`)
    const foreign = foreignDefinition((await renewed(undefined, ['webhook.cosign-system.svc'], new Date())).ca)
    await must('create -f -', JSON.stringify(foreign))
    await must('wait --for=condition=Established --timeout=30s crd/clusterimagepolicies.policy.sigstore.dev')
    await store(policy('old'))
    const before = await must(`get ${POLICIES} old -o json`)
    await must(`apply -k ${deploy}crds`)
    await soon('explain cip.spec.images.glob')
    assert.equal(await must(`get ${POLICIES} old -o json`), before)
    await must(`replace -f -`, JSON.stringify(foreign))
    await helmMust(`install gate ${CHART} -n cosign-system --take-ownership`)
    assert.equal(await must('get crd clusterimagepolicies.policy.sigstore.dev -o jsonpath={.spec.conversion}'), '{"strategy":"None"}')
    await soon('get clusterimagepolicies.v1beta1.policy.sigstore.dev old')
    await helmMust('uninstall gate -n cosign-system')
  })

  const helmSays = (line: string): Promise<Said> =>
    run(helm, line.split(' '), { env: { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: cluster.adminKubeconfig } })
  const helmMust = async (line: string): Promise<string> => {
    const said = await helmSays(line)
    assert.equal(said.code, 0, `helm ${line}: ${said.stderr}`)
    return said.stdout
  }

  test('lesson 34, 35: helm installs, upgrades, uninstalls and installs again, and the policies are still there', async () => {
    // No controller is here that would empty the namespace, so its end is not waited for.
    await must(`delete -k ${deploy} --wait=false --ignore-not-found`)
    for (const kind of ['clusterimagepolicies', 'trustroots']) await must(`wait --for=delete --timeout=30s crd/${kind}.policy.sigstore.dev`)
    await must('create namespace trust')
    await helmMust(`install gate ${CHART} -n trust`)
    await must('wait --for=condition=Established --timeout=30s crd/clusterimagepolicies.policy.sigstore.dev')
    await store(policy('kept'))
    // What the controller fills in, an upgrade leaves there.
    const ca = Buffer.from('a CA').toString('base64')
    const filled = JSON.stringify([{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: ca }])
    await must(`patch secret webhook-certs -n trust --type=merge -p {"data":{"ca-cert.pem":"${ca}"}}`)
    await must(`patch validatingwebhookconfiguration policy.sigstore.dev --type=json -p ${filled}`)
    await helmMust(`upgrade gate ${CHART} -n trust --set webhook.replicaCount=3,webhook.webhookTimeoutSeconds.workloads=20`)
    assert.equal(await must('get secret webhook-certs -n trust -o jsonpath={.data.ca-cert\\.pem}'), ca)
    assert.equal(
      await must(
        'get validatingwebhookconfiguration policy.sigstore.dev -o jsonpath={.webhooks[0].clientConfig.caBundle}{.webhooks[0].timeoutSeconds}',
      ),
      `${ca}20`,
    )
    await helmMust('uninstall gate -n trust')
    const left = await must('get all,secrets,configmaps,leases,serviceaccounts,roles,rolebindings,poddisruptionbudgets -n trust -o name')
    assert.deepEqual(
      left.split('\n').filter((line) => line !== '' && !/^clusterimagepolicy|^trustroot/.test(line)),
      [],
    )
    const wide = await must('get clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations -o name')
    assert.doesNotMatch(wide, /sealgate-webhook|policy\.sigstore\.dev/)
    assert.match(await must('get cip kept'), /enforce/)
    await helmMust(`install gate ${CHART} -n trust`)
    assert.match(await must('get cip kept'), /enforce/)
    await helmMust('uninstall gate -n trust')
  })

  test('what the chart renders is what the API server knows, whatever is chosen', async () => {
    await must('create -f -', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: foreignKinds.map(definitionOf) }))
    for (const { plural, group } of foreignKinds) await must(`wait --for=condition=Established --timeout=30s crd/${plural}.${group}`)
    for (const values of choices) {
      const objects: readonly Manifest[] = await rendered(helm, { namespace: 'trust', values })
      // Strict: a field that Kubernetes does not know is an error.
      const said = await kubectl(
        'apply --server-side --dry-run=server --validate=strict --force-conflicts -f -',
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
      )
      assert.deepEqual([said.code, said.stderr], [0, ''], JSON.stringify(values))
    }
  })
})

/** Value sets that between them choose everything that can be chosen. */
const choices: readonly object[] = [
  {},
  { webhook: { optOut: true, replicaCount: 1, service: { ipFamilyPolicy: '' } } },
  {
    crds: { conversion: 'Webhook', keep: false },
    certManager: { enabled: true },
    networkPolicy: { enabled: true, metricsFrom: [{ namespaceSelector: {} }], webhookFrom: [{ ipBlock: { cidr: '::/0' } }], egress: [{}] },
    serviceMonitor: { enabled: true, interval: '30s', labels: { release: 'prometheus' } },
    prometheusRule: { enabled: true },
    grafanaDashboard: { enabled: true },
    namespaceLabelGuard: { enabled: true, validationActions: ['Warn', 'Audit'] },
    commonAnnotations: { a: 'b' },
    commonNodeSelector: { a: 'b' },
    commonTolerations: [{ operator: 'Exists' }],
    imagePullSecrets: [{ name: 'pull' }],
    webhook: {
      autoscaling: { enabled: true },
      configData: { 'no-match-policy': 'warn' },
      objectSelector: { matchLabels: { a: 'b' } },
      matchConditions: [{ name: 'not-of-the-platform', expression: "!request.namespace.startsWith('openshift-')" }],
      hostNetwork: true,
      priorityClassName: 'system-cluster-critical',
      runtimeClassName: 'gvisor',
      service: { type: 'NodePort', nodePort: 30443 },
      envFrom: [{ secretRef: { name: 'cloud' } }],
      env: { TOKEN: { valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } }, SIZE: 1 },
      affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
      topologySpreadConstraints: [
        { maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { role: 'webhook' } } },
      ],
      podDisruptionBudget: { maxUnavailable: '25%' },
      registryCaBundle: { name: 'ca', key: 'ca.crt' },
      volumes: [{ name: 'x', emptyDir: {} }],
      volumeMounts: [{ name: 'x', mountPath: '/x' }],
    },
  },
]

// — what others install

const foreignKinds = [
  { group: 'cert-manager.io', version: 'v1', kind: 'Certificate', plural: 'certificates' },
  { group: 'cert-manager.io', version: 'v1', kind: 'Issuer', plural: 'issuers' },
  { group: 'monitoring.coreos.com', version: 'v1', kind: 'ServiceMonitor', plural: 'servicemonitors' },
  { group: 'monitoring.coreos.com', version: 'v1', kind: 'PrometheusRule', plural: 'prometheusrules' },
] as const

/** A definition that takes any object of the kind. */
function definitionOf({ group, version, kind, plural }: (typeof foreignKinds)[number]): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, plural },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { 'type': 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  }
}

/** As specification 1.1 has it: the same group, names and versions, conversion by a webhook of which its controller has filled in the CA. */
const foreignDefinition = (ca: string): object => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'clusterimagepolicies.policy.sigstore.dev' },
  spec: {
    group: 'policy.sigstore.dev',
    names: {
      kind: 'ClusterImagePolicy',
      listKind: 'ClusterImagePolicyList',
      plural: 'clusterimagepolicies',
      singular: 'clusterimagepolicy',
      shortNames: ['cip'],
      categories: ['all', 'sigstore'],
    },
    scope: 'Cluster',
    conversion: {
      strategy: 'Webhook',
      webhook: {
        conversionReviewVersions: ['v1beta1', 'v1alpha1'],
        clientConfig: {
          service: { name: 'webhook', namespace: 'cosign-system', path: '/resource-conversion', port: 443 },
          caBundle: Buffer.from(ca).toString('base64'),
        },
      },
    },
    versions: ['v1alpha1', 'v1beta1'].map((name, at) => ({
      name,
      served: true,
      storage: at === 0,
      subresources: { status: {} },
      schema: { openAPIV3Schema: { 'type': 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    })),
  },
})
