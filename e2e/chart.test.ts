import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { configurationAfter, configurations } from '../programs/controller/configuration.ts'
import { alertRules, dashboard } from '../tools/monitoring.ts'
import {
  type Manifest,
  type Pod,
  type Rendering,
  type Rule,
  type Selector,
  type WebhookManifest,
  manifestsIn,
  plainManifests,
  rendered,
  template,
} from './chart.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'

const skip = leftOutWithout(['helm'])
const helm = partsIfPresent(['helm'])?.helm ?? ''
const deploy = fileURLToPath(new URL('../deploy/', import.meta.url))

const render = (values: object = {}, more: Rendering = {}): Promise<readonly Manifest[]> => rendered(helm, { values, ...more })

function one(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter((m) => m.kind === kind && (name === undefined || m.metadata.name === name))
  assert.equal(
    found.length,
    1,
    `${kind} ${name ?? ''}: ${found.length} of ${manifests.map((m) => `${m.kind}/${m.metadata.name}`).join(', ')}`,
  )
  return found[0] as Manifest
}
function podOf(manifests: readonly Manifest[]): Pod {
  const pod = one(manifests, 'Deployment').spec?.template?.spec
  assert.ok(pod)
  return pod
}
const containerOf = (manifests: readonly Manifest[]) => podOf(manifests).containers[0]

function webhookOf(manifests: readonly Manifest[], kind: string, name: string): WebhookManifest {
  const [webhook, ...others] = one(manifests, kind, name).webhooks ?? []
  assert.ok(webhook && others.length === 0)
  return webhook
}

test('the plain manifests are what the chart renders', { skip }, async () => {
  const made = await plainManifests(helm)
  for (const [path, text] of Object.entries(made))
    assert.equal(readFileSync(deploy + path, 'utf8'), text, `${path}: node e2e/make-manifests.ts`)
  const listed = parse(readFileSync(`${deploy}manifests/kustomization.yaml`, 'utf8')) as { resources: string[] }
  const there = readdirSync(`${deploy}manifests`).filter((file) => file !== 'kustomization.yaml')
  assert.deepEqual(listed.resources.toSorted(), there.toSorted())
  assert.deepEqual(
    there.filter((file) => file !== 'namespace.yaml').toSorted(),
    Object.keys(made)
      .filter((path) => path.startsWith('manifests/'))
      .map((path) => path.slice('manifests/'.length))
      .toSorted(),
  )
})

test('what is installed has the names, ports and labels of the sigstore policy controller', { skip }, async () => {
  const manifests = await render()
  const { spec } = one(manifests, 'Service', 'webhook')
  assert.deepEqual(spec?.selector, { role: 'webhook' })
  assert.deepEqual(spec?.ports, [{ name: 'https-webhook', port: 443, targetPort: 'https-webhook' }])
  assert.deepEqual(one(manifests, 'Deployment', 'webhook').spec?.selector, { matchLabels: { role: 'webhook' } })
  assert.deepEqual(containerOf(manifests).ports, [
    { name: 'https-webhook', containerPort: 8443 },
    { name: 'metrics', containerPort: 9090 },
  ])
  for (const [kind, name] of [
    ['ServiceAccount', 'webhook'],
    ['Secret', 'webhook-certs'],
    ['ConfigMap', 'config-policy-controller'],
    ['MutatingWebhookConfiguration', 'policy.sigstore.dev'],
    ['ValidatingWebhookConfiguration', 'policy.sigstore.dev'],
    ['MutatingWebhookConfiguration', 'defaulting.clusterimagepolicy.sigstore.dev'],
    ['ValidatingWebhookConfiguration', 'validating.clusterimagepolicy.sigstore.dev'],
    ['CustomResourceDefinition', 'clusterimagepolicies.policy.sigstore.dev'],
    ['CustomResourceDefinition', 'trustroots.policy.sigstore.dev'],
  ] as const)
    one(manifests, kind, name)
})

test('lesson 34, 35: nothing is left behind by a hook: there is none, and no job', { skip }, async () => {
  for (const values of [{}, everything])
    for (const { kind, metadata } of await render(values)) {
      assert.ok(!['Job', 'CronJob', 'Pod'].includes(kind), kind)
      assert.ok(!Object.keys(metadata.annotations ?? {}).some((name) => name.startsWith('helm.sh/hook')), `${kind} ${metadata.name}`)
    }
})

test('what is installed is as the controller wants it, but for the CA that it fills in', { skip }, async () => {
  const names = {
    workloads: 'policy.sigstore.dev',
    defaulting: 'defaulting.clusterimagepolicy.sigstore.dev',
    validating: 'validating.clusterimagepolicy.sigstore.dev',
  }
  for (const values of [{}, { crds: { conversion: 'Webhook' } }, { webhook: { optOut: true } }]) {
    const manifests = await render(values)
    for (const configuration of configurations(names)) {
      const object = one(manifests, configuration.kind, configuration.name)
      assert.equal(configurationAfter(configuration, object, { authorities: [], owner: undefined }), undefined, configuration.name)
    }
  }
})

test('workloads are asked about in both configurations, refused while nobody answers, and never their status', { skip }, async () => {
  const manifests = await render()
  for (const [kind, path] of [
    ['MutatingWebhookConfiguration', '/mutations'],
    ['ValidatingWebhookConfiguration', '/validations'],
  ] as const) {
    const webhook = webhookOf(manifests, kind, 'policy.sigstore.dev')
    assert.deepEqual(webhook.clientConfig, { service: { name: 'webhook', namespace: 'cosign-system', port: 443, path } })
    assert.equal(webhook.failurePolicy, 'Fail')
    assert.equal(webhook.timeoutSeconds, 25)
    assert.deepEqual(
      webhook.rules.flatMap((rule) => rule.resources).filter((r) => r.endsWith('/status')),
      [],
    )
  }
})

/** Whether the API server would send requests of a namespace with these labels. */
function selects(selector: Selector | undefined, name: string, labels: Readonly<Record<string, string>> = {}): boolean {
  const all: Readonly<Record<string, string>> = { 'kubernetes.io/metadata.name': name, ...labels }
  return (selector?.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = all[key]
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
      case 'DoesNotExist':
        return value === undefined
      default:
        throw new Error(operator)
    }
  })
}

const INCLUDED = { 'policy.sigstore.dev/include': 'true' }
const NOT_INCLUDED = { 'policy.sigstore.dev/include': 'false' }

for (const [how, values, cases] of [
  [
    'opted in by their label',
    {},
    [
      ['shop', INCLUDED, true],
      ['shop', {}, false],
      ['shop', NOT_INCLUDED, false],
      ['shop', { ...INCLUDED, 'webhooks.knative.dev/exclude': 'true' }, false],
      ['kube-system', INCLUDED, false],
      ['trust', INCLUDED, false],
      ['cosign-system', INCLUDED, true],
    ],
  ],
  [
    'all but those that are opted out',
    { webhook: { optOut: true } },
    [
      ['shop', INCLUDED, true],
      ['shop', {}, true],
      ['shop', NOT_INCLUDED, false],
      ['shop', { 'policy.sigstore.dev/exclude': 'true' }, false],
      ['shop', { 'webhooks.knative.dev/exclude': '' }, false],
      ['kube-system', {}, false],
      ['kube-node-lease', {}, false],
      ['trust', {}, false],
      ['trust', INCLUDED, false],
    ],
  ],
  [
    'those of a selector of the user, never its own',
    { webhook: { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a'] }] }, systemNamespaces: ['cni'] } },
    [
      ['shop', { team: 'a' }, true],
      ['shop', INCLUDED, false],
      ['cni', { team: 'a' }, false],
      ['kube-system', { team: 'a' }, true],
      ['trust', { team: 'a' }, false],
    ],
  ],
  [
    'every one, where a selector of the user is empty',
    { webhook: { namespaceSelector: { matchExpressions: [] } } },
    [['shop', {}, true] as const, ['trust', {}, false] as const],
  ],
] as const)
  test(`namespaces are checked: ${how}`, { skip }, async () => {
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      const { namespaceSelector } = webhookOf(await render(values, { namespace: 'trust' }), kind, 'policy.sigstore.dev')
      for (const [name, labels, is] of cases)
        assert.equal(selects(namespaceSelector, name, labels), is, `${name} ${JSON.stringify(labels)}`)
    }
  })

test('the Pods pass the restricted Pod security standard, and run as any user', { skip }, async () => {
  const manifests = await render()
  const { securityContext } = podOf(manifests)
  assert.deepEqual(securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  const container = containerOf(manifests)
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
  })
})

test('a Pod has longer to end than the process takes', { skip }, async () => {
  for (const graceSeconds of [10, 270]) {
    const manifests = await render({ webhook: { drain: { graceSeconds, quietSeconds: 5 } } })
    assert.equal(podOf(manifests).terminationGracePeriodSeconds, graceSeconds + 30)
    assert.ok(containerOf(manifests).args.includes(`--drain-grace=${graceSeconds}s`))
    assert.ok(containerOf(manifests).args.includes('--drain-quiet=5s'))
  }
})

test('with one replica no budget holds up a drain; with more it keeps one', { skip }, async () => {
  const budgets = async (webhook: object) => (await render({ webhook })).filter(({ kind }) => kind === 'PodDisruptionBudget')
  assert.deepEqual(await budgets({ replicaCount: 1 }), [])
  assert.deepEqual(await budgets({ podDisruptionBudget: { enabled: false } }), [])
  assert.equal((await budgets({}))[0]?.spec?.minAvailable, 1)
  const [most] = await budgets({ podDisruptionBudget: { maxUnavailable: '25%' } })
  assert.equal(most?.spec?.maxUnavailable, '25%')
  assert.equal(most?.spec?.minAvailable, undefined)
})

test('the number of replicas is left to the autoscaler where there is one', { skip }, async () => {
  const manifests = await render({ webhook: { autoscaling: { enabled: true, minReplicas: 3 } } })
  assert.equal(one(manifests, 'Deployment').spec?.replicas, undefined)
  assert.equal(one(manifests, 'HorizontalPodAutoscaler').spec?.minReplicas, 3)
})

test('values of the public chart mean the same here', { skip }, async () => {
  const manifests = await render({
    commonNodeSelector: { disk: 'ssd' },
    commonTolerations: [{ key: 'dedicated', operator: 'Exists' }],
    commonAnnotations: { owner: 'security' },
    imagePullSecrets: [{ name: 'pull' }],
    serviceMonitor: { enabled: true },
    cosign: { webhookName: 'images.example.com' },
    leasescleanup: { image: { repository: 'example.com/kubectl', version: '1' } },
    webhook: {
      name: 'gate',
      replicaCount: 3,
      image: { repository: 'registry.example.com/sealgate', version: `sha256:${'0'.repeat(64)}`, pullPolicy: 'Always' },
      configData: { 'no-match-policy': 'warn', 'enable-oci11': true },
      env: { SSL_CERT_DIR: '/certs', SIZE: 5, HOME: '/home' },
      extraArgs: { 'policy-resync-period': '1h', 'mirror': ['a=https://b', 'c=https://d'] },
      failurePolicy: 'Ignore',
      serviceAccount: { name: 'checker', annotations: { 'eks.amazonaws.com/role-arn': 'arn' } },
      service: { port: 8443, type: 'NodePort', nodePort: 30443, annotations: { a: 'b' } },
      volumes: [{ name: 'certs', emptyDir: {} }],
      volumeMounts: [{ name: 'certs', mountPath: '/certs' }],
      registryCaBundle: { name: 'ca-bundle-config', key: 'ca-bundle.crt' },
      podAnnotations: { p: 'q' },
      customLabels: { l: 'm' },
      podSecurityContext: { runAsUser: 1000 },
      securityContext: { enabled: false },
    },
  })
  const pod = podOf(manifests)
  const container = containerOf(manifests)
  assert.deepEqual(pod.nodeSelector, { disk: 'ssd' })
  assert.deepEqual(pod.tolerations, [{ key: 'dedicated', operator: 'Exists' }])
  assert.deepEqual(pod.imagePullSecrets, [{ name: 'pull' }])
  assert.equal(pod.serviceAccountName, 'checker')
  assert.equal(pod.securityContext, undefined)
  assert.equal(container.securityContext.runAsUser, 1000)
  assert.equal(container.image, `registry.example.com/sealgate@sha256:${'0'.repeat(64)}`)
  assert.equal(container.imagePullPolicy, 'Always')
  for (const argument of [
    '--webhook-name=images.example.com',
    '--service-name=gate',
    '--policy-resync-period=1h',
    '--mirror=a=https://b',
    '--mirror=c=https://d',
  ])
    assert.ok(container.args.includes(argument), argument)
  const env = new Map(container.env.map(({ name, value }) => [name, value]))
  assert.equal(env.get('SSL_CERT_DIR'), '/certs')
  assert.equal(env.get('SIZE'), '5')
  assert.equal(env.get('HOME'), '/home')
  assert.equal(env.size, container.env.length, 'no variable stands twice')
  const ca = container.args.find((argument) => argument.startsWith('--registry-ca='))?.slice('--registry-ca='.length)
  const mount = container.volumeMounts.find((m) => ca?.startsWith(`${m.mountPath}/`))
  assert.equal(ca, `${mount?.mountPath}/ca-bundle.crt`)
  assert.deepEqual(pod.volumes.find((v) => v.name === mount?.name)?.configMap, { name: 'ca-bundle-config' })
  assert.deepEqual(one(manifests, 'ConfigMap', 'config-policy-controller').data, { 'no-match-policy': 'warn', 'enable-oci11': 'true' })
  assert.equal(one(manifests, 'Deployment', 'gate').spec?.replicas, 3)
  assert.equal(one(manifests, 'Service', 'gate').spec?.ports?.[0]?.nodePort, 30443)
  assert.deepEqual(one(manifests, 'Service', 'gate').metadata.annotations, { a: 'b', owner: 'security' })
  assert.deepEqual(one(manifests, 'ServiceAccount').metadata.annotations, { 'eks.amazonaws.com/role-arn': 'arn', 'owner': 'security' })
  const webhook = webhookOf(manifests, 'ValidatingWebhookConfiguration', 'images.example.com')
  assert.equal(webhook.name, 'images.example.com')
  assert.equal(webhook.failurePolicy, 'Ignore')
  assert.deepEqual(webhook.clientConfig.service, { name: 'gate', namespace: 'cosign-system', port: 8443, path: '/validations' })
  for (const { kind, metadata } of manifests) assert.equal(metadata.annotations?.['owner'], 'security', `${kind} ${metadata.name}`)
})

test('certificates of registries come as texts and from Secrets, beside the ConfigMap of the public chart', { skip }, async () => {
  const bundle = { registryCaBundle: { name: 'ca-bundle-config', key: 'ca-bundle.crt' } }
  const registryCaSecrets = [{ name: 'first-ca' }, { name: 'second-ca', key: 'ca.crt' }]
  const given = (manifests: readonly Manifest[]) => containerOf(manifests).args.filter((argument) => argument.startsWith('--registry-ca='))
  const manifests = await render({ webhook: { ...bundle, registryCas: ['first\npem\n', 'second'], registryCaSecrets } })
  assert.deepEqual(one(manifests, 'ConfigMap', 'webhook-registry-cas').data, { '0.pem': 'first\npem\n', '1.pem': 'second' })
  const { volumes } = podOf(manifests)
  const mounted = new Map(
    containerOf(manifests).volumeMounts.map(({ mountPath, name }) => [mountPath, volumes.find((v) => v.name === name)]),
  )
  assert.deepEqual(
    given(manifests).map((argument) => argument.slice('--registry-ca='.length)),
    [
      '/var/run/sealgate/registry-ca/ca-bundle.crt',
      '/var/run/sealgate/registry-cas',
      '/var/run/sealgate/registry-ca-secrets/0',
      '/var/run/sealgate/registry-ca-secrets/1/ca.crt',
    ],
  )
  assert.deepEqual(mounted.get('/var/run/sealgate/registry-cas')?.configMap, { name: 'webhook-registry-cas' })
  assert.deepEqual(mounted.get('/var/run/sealgate/registry-ca-secrets/0')?.secret, { secretName: 'first-ca' })
  assert.deepEqual(mounted.get('/var/run/sealgate/registry-ca-secrets/1')?.secret, { secretName: 'second-ca' })
  assert.deepEqual(given(await render()), [])
})

test('the Sigstore instance is the public one, one of one’s own, or nobody who is asked', { skip }, async () => {
  const given = async (tuf: object): Promise<readonly string[]> =>
    containerOf(await render({ webhook: { tuf } })).args.filter((argument) => /tuf/.test(argument))
  assert.deepEqual(await given({}), [])
  assert.deepEqual(await given({ enabled: false }), ['--disable-tuf'])
  assert.deepEqual(await given({ mirror: 'https://mirror.example.com/tuf' }), ['--tuf-mirror=https://mirror.example.com/tuf'])
  const own = { mirror: 'http://tuf.tuf-system.svc', root: '{\n "signed": {}\n}\n' }
  assert.deepEqual(await given(own), ['--tuf-mirror=http://tuf.tuf-system.svc', '--tuf-root=/var/run/sealgate/tuf/root.json'])
  const manifests = await render({ webhook: { tuf: own } })
  assert.deepEqual(one(manifests, 'ConfigMap', 'webhook-tuf-root').data, { 'root.json': own.root })
  const mount = containerOf(manifests).volumeMounts.find(({ mountPath }) => mountPath === '/var/run/sealgate/tuf')
  assert.deepEqual(podOf(manifests).volumes.find(({ name }) => name === mount?.name)?.configMap, { name: 'webhook-tuf-root' })
  for (const [tuf, said] of [
    [{ root: '{}' }, /say where it is in webhook\.tuf\.mirror/],
    [{ enabled: false, mirror: 'https://mirror.example.com' }, /webhook\.tuf\.enabled is false/],
  ] as const)
    assert.match((await template(helm, { values: { webhook: { tuf } } })).stderr, said)
})

test('what is read at the start only, when it is another, makes other Pods', { skip }, async () => {
  const mark = async (webhook: object): Promise<string | undefined> =>
    one(await render({ webhook }), 'Deployment').spec?.template?.metadata?.annotations?.['policy.sigstore.dev/trust']
  assert.equal(await mark({}), undefined)
  const marks = await Promise.all(
    [
      { registryCas: ['a'] },
      { registryCas: ['b'] },
      { tuf: { mirror: 'http://a', root: '1' } },
      { tuf: { mirror: 'http://a', root: '2' } },
    ].map(mark),
  )
  assert.equal(new Set(marks).size, 4)
  assert.ok(!marks.includes(undefined))
})

test('a priority class that the cluster gives by quota alone has its quota', { skip }, async () => {
  const priorityClassName = 'system-cluster-critical'
  const quotas = async (webhook: object) => (await render({ webhook })).filter(({ kind }) => kind === 'ResourceQuota')
  assert.deepEqual(await quotas({ priorityClassName }), [])
  const [quota] = await quotas({ priorityClassName, podQuota: 6 })
  assert.deepEqual(quota?.spec?.hard, { pods: '6' })
  assert.deepEqual(quota?.spec?.scopeSelector, {
    matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: [priorityClassName] }],
  })
  assert.match((await template(helm, { values: { webhook: { podQuota: '6' } } })).stderr, /name it in webhook\.priorityClassName/)
})

test('a value that does not exist is refused by its name', { skip }, async () => {
  for (const values of [{ webhook: { replicas: 3 } }, { failurePolicy: 'Ignore' }, { webhook: { failurePolicy: 'Sometimes' } }]) {
    const said = await template(helm, { values })
    assert.notEqual(said.code, 0)
    assert.match(said.stderr, /replicas|failurePolicy/)
  }
})

test('the definitions stay when the release goes, unless that is not wanted', { skip }, async () => {
  const kept = async (values: object) =>
    (await render(values))
      .filter(({ kind }) => kind === 'CustomResourceDefinition')
      .map(({ metadata }) => metadata.annotations?.['helm.sh/resource-policy'])
  assert.deepEqual(await kept({}), ['keep', 'keep'])
  assert.deepEqual(await kept({ crds: { keep: false } }), [undefined, undefined])
  assert.deepEqual(await kept({ installCRDs: false }), [])
})

test('rights are tied to names wherever Kubernetes can tie them', { skip }, async () => {
  const manifests = await render({}, { namespace: 'trust' })
  const rules = (kind: string): readonly Rule[] => one(manifests, kind, 'sealgate-webhook').rules ?? []
  for (const rule of [...rules('ClusterRole'), ...rules('Role')]) {
    assert.ok(![rule.apiGroups, rule.resources, rule.verbs].flat().includes('*'), JSON.stringify(rule))
    const writes = rule.verbs.some((verb) => ['update', 'patch', 'delete'].includes(verb))
    const isOurs = rule.apiGroups.includes('policy.sigstore.dev') || rule.resources.includes('events')
    if (writes && !isOurs) assert.ok((rule.resourceNames?.length ?? 0) > 0, JSON.stringify(rule))
    assert.ok(!rule.verbs.includes('delete') || rule.resourceNames?.[0] === 'sealgate-webhook', JSON.stringify(rule))
    assert.ok(!rule.verbs.includes('deletecollection'), JSON.stringify(rule))
  }
  const secrets = rules('ClusterRole').filter(({ resources }) => resources.includes('secrets'))
  assert.deepEqual(secrets, [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }])
  for (const kind of ['ClusterRoleBinding', 'RoleBinding'])
    assert.deepEqual(one(manifests, kind).subjects, [{ kind: 'ServiceAccount', name: 'webhook', namespace: 'trust' }])
  assert.equal((await render({ rbac: { create: false } })).filter(({ kind }) => /Role/.test(kind)).length, 0)
})

test('the guard of labels needs a Kubernetes that has it', { skip }, async () => {
  const values = { namespaceLabelGuard: { enabled: true } }
  const said = await template(helm, { values, options: ['--kube-version=1.29.4'] })
  assert.match(said.stderr, /namespaceLabelGuard needs Kubernetes 1\.30/)
  assert.equal(one(await render(values), 'ValidatingAdmissionPolicyBinding').spec?.validationActions?.[0], 'Deny')
})

test('with cert-manager, it makes the certificate and tells the API server of its CA', { skip }, async () => {
  const manifests = await render({ certManager: { enabled: true }, crds: { conversion: 'Webhook' } }, { namespace: 'trust' })
  const certificate = one(manifests, 'Certificate', 'webhook')
  assert.ok(certificate.spec?.dnsNames?.includes('webhook.trust.svc'))
  const volume = podOf(manifests).volumes.find((v) => v.name === 'tls')
  assert.equal(volume?.secret?.secretName, certificate.spec?.secretName)
  assert.ok(containerOf(manifests).args.includes('--tls-cert=/var/run/sealgate/tls/tls.crt'))
  const carriers = manifests.filter(
    ({ kind, metadata }) => kind.endsWith('WebhookConfiguration') || metadata.name === 'clusterimagepolicies.policy.sigstore.dev',
  )
  assert.equal(carriers.length, 5)
  for (const { metadata } of carriers) assert.equal(metadata.annotations?.['cert-manager.io/inject-ca-from'], 'trust/webhook')
  assert.equal(manifests.filter(({ kind }) => kind === 'Secret').length, 0)
  const other = await render({ certManager: { enabled: true, issuerRef: { name: 'corp', kind: 'ClusterIssuer' } } })
  assert.deepEqual(one(other, 'Certificate', 'webhook').spec?.issuerRef, { name: 'corp', kind: 'ClusterIssuer' })
  assert.equal(other.filter(({ kind }) => kind === 'Issuer').length, 0)
})

/** Everything that is optional at once. */
const everything = {
  crds: { conversion: 'Webhook', keep: false },
  certManager: { enabled: true },
  networkPolicy: { enabled: true, metricsFrom: [{ namespaceSelector: {} }], webhookFrom: [{ ipBlock: { cidr: '::/0' } }], egress: [{}] },
  serviceMonitor: { enabled: true, interval: '30s', labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
  grafanaDashboard: { enabled: true },
  namespaceLabelGuard: { enabled: true },
  commonAnnotations: { a: 'b' },
  webhook: {
    autoscaling: { enabled: true },
    optOut: true,
    objectSelector: { matchLabels: { a: 'b' } },
    matchConditions: [{ name: 'not-of-the-platform', expression: "!request.namespace.startsWith('openshift-')" }],
    hostNetwork: true,
    priorityClassName: 'system-cluster-critical',
    podQuota: '6',
    registryCas: ['pem'],
    registryCaSecrets: [{ name: 'first-ca' }],
    tuf: { mirror: 'http://tuf.tuf-system.svc', root: '{}' },
    runtimeClassName: 'gvisor',
    service: { ipFamilies: ['IPv6'] },
    envFrom: [{ secretRef: { name: 'cloud' } }],
    env: { TOKEN: { valueFrom: { secretKeyRef: { name: 'token', key: 'token' } } } },
    affinity: { nodeAffinity: {} },
    topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }],
  },
}

test('everything that is optional can be had at once', { skip }, async () => {
  const manifests = await render(everything)
  const names = manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
  assert.deepEqual([...new Set(names)], names, 'no object stands twice')
  for (const kind of ['NetworkPolicy', 'ServiceMonitor', 'PrometheusRule', 'ValidatingAdmissionPolicy', 'HorizontalPodAutoscaler'])
    one(manifests, kind)
  assert.equal(one(manifests, 'ConfigMap', 'webhook-dashboard').data?.['sealgate.json'], dashboard())
  assert.deepEqual(one(manifests, 'PrometheusRule').spec, parse(alertRules()))
  assert.deepEqual(podOf(manifests).affinity, { nodeAffinity: {} })
})

test('a text of YAML in which a field stands twice is no manifest', () => {
  assert.throws(() => manifestsIn('kind: A\nkind: B\n'))
  assert.deepEqual(manifestsIn('---\n# nothing\n---\nkind: A\n'), [{ kind: 'A' }])
})
