import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { workloadKinds } from '../../src/admission/kind.ts'
import type { WorkloadKind } from '../../src/admission/kind.ts'
import type { Review } from '../../src/admission/review.ts'
import type { Workload } from '../../src/admission/workload.ts'
import { readWorkload } from '../../src/admission/workload.ts'
import type { Json } from '../../src/image/json.ts'

const [podKind] = workloadKinds as readonly [WorkloadKind, ...WorkloadKind[]]

/** A review that creates an object of the kind with this pod spec. */
function creating(kind: WorkloadKind, podSpec: Json, metadata: Json = { name: 'app', namespace: 'demo' }): Review {
  const inner = kind.podSpec.reduceRight<Json>((value, segment) => ({ [segment]: value }), podSpec)
  return reviewOf(kind, { metadata, ...(inner as Record<string, Json>) })
}

function reviewOf(kind: WorkloadKind, object: Json): Review {
  return { uid: 'u', kind, operation: 'CREATE', subResource: '', namespace: 'demo', name: 'app', user: 'admin', object, oldObject: null }
}

function workloadOf(review: Review): Workload {
  const read = readWorkload(review)
  return read.ok ? read.workload : assert.fail(read.text)
}

function refusalOf(review: Review): string {
  const read = readWorkload(review)
  return read.ok ? assert.fail('it was read') : `${read.step} failed: ${read.text}`
}

const everywhere = {
  volumes: [
    { name: 'a', emptyDir: {} },
    { name: 'b', image: { reference: 'vol:1' } },
    { name: 'c', image: {} },
    { name: 'd', image: { reference: '' } },
    null,
  ],
  ephemeralContainers: [{ name: 'debug', image: 'debug:1' }],
  containers: [
    { name: 'c0', image: 'main:1' },
    { name: 'c1', image: 'side:1' },
  ],
  initContainers: [{ name: 'i0', image: 'init:1' }],
}

for (const kind of workloadKinds) {
  const at = kind.podSpec.join('.')
  test(`every image of a ${kind.kind} (${kind.version}) is found: init containers, containers, ephemeral containers, image volumes (lessons 26, 27, 28)`, () => {
    assert.deepEqual(
      workloadOf(creating(kind, everywhere)).images.map((i) => [i.written, i.path, i.pointer]),
      [
        ['init:1', `${at}.initContainers[0].image`, `/${at.replaceAll('.', '/')}/initContainers/0/image`],
        ['main:1', `${at}.containers[0].image`, `/${at.replaceAll('.', '/')}/containers/0/image`],
        ['side:1', `${at}.containers[1].image`, `/${at.replaceAll('.', '/')}/containers/1/image`],
        ['debug:1', `${at}.ephemeralContainers[0].image`, `/${at.replaceAll('.', '/')}/ephemeralContainers/0/image`],
        ['vol:1', `${at}.volumes[1].image`, `/${at.replaceAll('.', '/')}/volumes/1/image/reference`],
      ],
    )
  })
}

test('the ephemeralcontainers subresource sends the whole Pod, and all of its images are found (lesson 27)', () => {
  const review = { ...creating(podKind, everywhere), operation: 'UPDATE', subResource: 'ephemeralcontainers' }
  assert.equal(workloadOf(review).images.length, 5)
})

test('a mirror pod of the kubelet, an owner or an annotation exempts nothing (lessons 13, 14, 30)', () => {
  const metadata = {
    name: 'app',
    annotations: { 'kubernetes.io/config.mirror': 'abc', 'policy.sigstore.dev/verified': 'true' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'parent', uid: '1', controller: true }],
  }
  assert.equal(workloadOf(creating(podKind, everywhere, metadata)).images.length, 5)
})

test('a policy sees group, version, resource, namespace, name and the labels of the object itself, not of its template', () => {
  const deployment = workloadKinds.find((k) => k.kind === 'Deployment')!
  const object = {
    metadata: { name: 'app', labels: { app: 'tap' } },
    spec: { template: { metadata: { labels: { app: 'other' } }, spec: {} } },
  }
  assert.deepEqual(workloadOf(reviewOf(deployment, object)).subject, {
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    resource: 'deployments',
    namespace: 'demo',
    name: 'app',
    labels: { app: 'tap' },
  })
})

test("the namespace is the object's, else the request's, as for Pods that a controller makes", () => {
  assert.equal(workloadOf(creating(podKind, {}, { namespace: 'own' })).subject.namespace, 'own')
  assert.equal(workloadOf(creating(podKind, {}, {})).subject.namespace, 'demo')
})

test('credentials come from the pod spec: its pull secrets and its ServiceAccount, by default `default`', () => {
  const plain = workloadOf(creating(podKind, {}))
  assert.deepEqual([plain.serviceAccount, plain.pullSecrets, plain.isPod, plain.podSpecPath], ['default', [], true, 'spec'])
  const cronJob = workloadKinds.find((k) => k.kind === 'CronJob')!
  const named = workloadOf(creating(cronJob, { serviceAccountName: 'builder', imagePullSecrets: [{ name: 'a' }, {}, { name: 'b' }, null] }))
  assert.deepEqual([named.serviceAccount, named.pullSecrets, named.isPod], ['builder', ['a', 'b'], false])
  assert.equal(named.podSpecPath, 'spec.jobTemplate.spec.template.spec')
})

for (const container of [{ name: 'c' }, { name: 'c', image: '' }, { name: 'c', image: null }, null]) {
  test(`the container ${JSON.stringify(container)} has the image «», which is no reference: it is not passed over`, () => {
    assert.deepEqual(
      workloadOf(creating(podKind, { containers: [container] })).images.map((i) => i.written),
      [''],
    )
  })
}

for (const object of [{}, { spec: null }, { metadata: null, spec: {} }, { spec: { containers: null } }] as Json[]) {
  test(`the object ${JSON.stringify(object)} has no images`, () => assert.deepEqual(workloadOf(reviewOf(podKind, object)).images, []))
}

for (const [kind, name] of [
  [{ group: 'apps', version: 'v1beta1', kind: 'Deployment' }, 'apps/v1beta1, Kind=Deployment'],
  [{ group: '', version: 'v1', kind: 'PodTemplate' }, '/v1, Kind=PodTemplate'],
  [{ group: 'autoscaling', version: 'v1', kind: 'Scale' }, 'autoscaling/v1, Kind=Scale'],
  [{ group: '', version: '', kind: '' }, '/, Kind='],
] as const) {
  test(`${name} is refused as a kind that nothing is known about (lesson 29)`, () => {
    assert.equal(refusalOf({ ...creating(podKind, everywhere), kind }), `decoding request failed: unhandled kind: ${name}`)
  })
}

const deploymentKind = workloadKinds.find((k) => k.kind === 'Deployment')!
const cronJobKind = workloadKinds.find((k) => k.kind === 'CronJob')!
for (const [kind, object, detail] of [
  [podKind, 'x', 'string into Go value of type v1.Pod'],
  [podKind, [], 'array into Go value of type v1.Pod'],
  [podKind, { metadata: 'x' }, 'string into Go struct field Pod.metadata of type v1.ObjectMeta'],
  [podKind, { metadata: { labels: { a: 1 } } }, 'number into Go struct field ObjectMeta.metadata.labels of type string'],
  [podKind, { metadata: { labels: ['a'] } }, 'array into Go struct field ObjectMeta.metadata.labels of type map[string]string'],
  [podKind, { spec: 'x' }, 'string into Go struct field Pod.spec of type v1.PodSpec'],
  [podKind, { spec: { containers: 'x' } }, 'string into Go struct field PodSpec.spec.containers of type []v1.Container'],
  [podKind, { spec: { containers: { 0: { image: 'x' } } } }, 'object into Go struct field PodSpec.spec.containers of type []v1.Container'],
  [podKind, { spec: { containers: ['x'] } }, 'string into Go struct field PodSpec.spec.containers of type v1.Container'],
  [podKind, { spec: { containers: [{ image: 1 }] } }, 'number into Go struct field Container.spec.containers.image of type string'],
  [podKind, { spec: { containers: [{ image: ['a'] }] } }, 'array into Go struct field Container.spec.containers.image of type string'],
  [podKind, { spec: { initContainers: true } }, 'bool into Go struct field PodSpec.spec.initContainers of type []v1.Container'],
  [
    podKind,
    { spec: { ephemeralContainers: 1 } },
    'number into Go struct field PodSpec.spec.ephemeralContainers of type []v1.EphemeralContainer',
  ],
  [podKind, { spec: { volumes: {} } }, 'object into Go struct field PodSpec.spec.volumes of type []v1.Volume'],
  [podKind, { spec: { volumes: [{ image: 'x' }] } }, 'string into Go struct field Volume.spec.volumes.image of type v1.ImageVolumeSource'],
  [
    podKind,
    { spec: { volumes: [{ image: { reference: 1 } }] } },
    'number into Go struct field ImageVolumeSource.spec.volumes.image.reference of type string',
  ],
  [
    podKind,
    { spec: { imagePullSecrets: 'a' } },
    'string into Go struct field PodSpec.spec.imagePullSecrets of type []v1.LocalObjectReference',
  ],
  [podKind, { spec: { serviceAccountName: 1 } }, 'number into Go struct field PodSpec.spec.serviceAccountName of type string'],
  [deploymentKind, { spec: 'x' }, 'string into Go struct field Deployment.spec of type v1.DeploymentSpec'],
  [deploymentKind, { spec: { template: [] } }, 'array into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec'],
  [
    deploymentKind,
    { spec: { template: { spec: 1 } } },
    'number into Go struct field PodTemplateSpec.spec.template.spec of type v1.PodSpec',
  ],
  [
    cronJobKind,
    { spec: { jobTemplate: { spec: 'x' } } },
    'string into Go struct field JobTemplateSpec.spec.jobTemplate.spec of type v1.JobSpec',
  ],
] as const) {
  test(`a ${kind.kind} ${JSON.stringify(object)} is refused, in Go's words: no image hides behind a wrong type`, () => {
    assert.equal(
      refusalOf(reviewOf(kind, object as Json)),
      `decoding request failed: cannot decode incoming new object: json: cannot unmarshal ${detail}`,
    )
  })
}

test('a create or update without an object is refused', () => {
  assert.equal(refusalOf(reviewOf(podKind, null)), 'validation failed: the new object may not be nil')
})

test('two hundred containers are judged, more than a thousand images are not', () => {
  const containers = (count: number) =>
    creating(podKind, { containers: Array.from({ length: count }, (_, i) => ({ name: `c${i}`, image: `a/b:${i}` })) })
  assert.equal(workloadOf(containers(200)).images.length, 200)
  assert.equal(
    refusalOf(containers(1001)),
    'decoding request failed: cannot decode incoming new object: it has 1001 images, at most 1000 are judged',
  )
})

test('members named like those of every JavaScript object are no fields', () => {
  const object = JSON.parse(
    '{"__proto__":{"spec":{"containers":[{"image":"a"}]}},"constructor":1,"spec":{"containers":[{"image":"b","__proto__":{"image":"c"}}]}}',
  ) as Json
  assert.deepEqual(
    workloadOf(reviewOf(podKind, object)).images.map((i) => i.written),
    ['b'],
  )
})

test('any object is read or refused, never thrown at', () => {
  fc.assert(
    fc.property(fc.constantFrom(...workloadKinds), fc.jsonValue(), fc.jsonValue(), (kind, podSpec, item) => {
      readWorkload(reviewOf(kind, podSpec as Json))
      readWorkload(creating(kind, podSpec as Json))
      readWorkload(creating(kind, { containers: [item as Json], volumes: [{ image: item as Json }], initContainers: item as Json }))
    }),
  )
})
