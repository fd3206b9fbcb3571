import type { Workload } from '../../../src/admission/workload.ts'
import { readWorkload } from '../../../src/admission/workload.ts'
import type { Json } from '../../../src/image/json.ts'
import type { Reference, Repository } from '../../../src/image/reference.ts'
import { readReference } from '../../../src/image/reference.ts'
import type { Credentials } from '../../../src/policy/ask.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import type { ApiObject } from '../../../src/world/cluster/change.ts'
import { fanOut } from '../../../src/world/fan-out.ts'
import type { Finding } from './finding.ts'
import { named, note, ok, unknown, warning, wrong } from './finding.ts'
import { optedIn } from './namespaces.ts'
import type { Check, Patient } from './patient.ts'
import { nameOf, unread } from './patient.ts'
import { snapshotOf } from './policies.ts'

const MAX_NAMESPACES = 20 // whose Pods are looked at
const MAX_REGISTRIES = 20 // that are asked, each for one image
const BUDGET = 15_000 // ms for each

/** One image, or place of signatures, of a registry, and whose credentials it is read with. */
type Asked = {
  readonly place: Repository
  /** A digest or a tag. */
  readonly reference: string
  readonly workload: Workload
  readonly credentials: Credentials
  readonly shown: string
  /** Nothing lies there by that name: only whether it may be asked is of interest. */
  readonly isProbe: boolean
}

/** Every registry that the checked namespaces run images of, and that policies name, asked with the credentials that there are. */
export const registries: Check = {
  name: 'registries',
  run: async (patient) => {
    const running = await imagesRunning(patient)
    const asked = new Map<string, Asked>()
    for (const one of [...signaturesNamed(patient), ...running.images]) {
      const key = `${one.place.registry} ${one.isProbe ? one.shown : ''}`
      if (!asked.has(key)) asked.set(key, one)
    }
    const answers = await fanOut([...asked.values()].slice(0, MAX_REGISTRIES), (one) => answer(one, patient))
    const left = [...asked.values()].slice(MAX_REGISTRIES).map(({ place }) => place.registry)
    return [
      ...running.findings,
      ...answers,
      ...(left.length > 0 ? [note(`not asked, being beyond the first ${MAX_REGISTRIES}: ${named(left)}`)] : []),
    ]
  },
}

async function answer({ place, reference, workload, credentials, shown, isProbe }: Asked, patient: Patient): Promise<Finding> {
  const access = await patient.access(workload, credentials)
  if (!access.ok) return wrong(`${shown}: ${sentenceOf(access.reason)}`, 'correct the Secret, or let the controller read it')
  const answered = await patient.registry.manifest(place, reference, access.value.keychain, AbortSignal.timeout(BUDGET))
  const tried = answered.tried.length > 0 ? `; tried, in order: ${answered.tried.join(', ')}` : ''
  switch (answered.state) {
    case 'found':
      return ok(shown)
    case 'absent':
      return isProbe
        ? ok(shown)
        : warning(`${shown}: ${sentenceOf(answered.reason)}`, 'what runs is not in the registry any more, so it cannot be verified again')
    case 'failed':
      return answered.reason.code === 'registry-refused'
        ? wrong(
            `${shown}: ${sentenceOf(answered.reason)}${tried}`,
            'give the workload, or signaturePullSecrets of the policy, a Secret that may read the repository',
          )
        : wrong(
            `${shown}: ${sentenceOf(answered.reason)}${tried}`,
            'let the controller reach the registry: its network, --mirror, --registry-ca, HTTPS_PROXY',
          )
  }
}

/** Where policies say that signatures lie. */
function signaturesNamed(patient: Patient): readonly Asked[] {
  const workload = workloadOf({ metadata: {}, spec: { containers: [] } }, patient.settings.systemNamespace)
  if (!workload) return []
  return snapshotOf(patient).policies.flatMap(({ name, authorities }) =>
    authorities.flatMap(({ source: { repository, pullSecrets } }) =>
      repository
        ? [
            {
              place: repository,
              reference: 'sealgate-doctor',
              workload,
              credentials: pullSecrets ? ({ of: 'pullSecrets', names: pullSecrets } as const) : ({ of: 'workload' } as const),
              shown: `${repository.registry}/${repository.repository}, where ${name} has signatures`,
              isProbe: true,
            },
          ]
        : [],
    ),
  )
}

/** What runs now in the namespaces that are checked. */
async function imagesRunning(patient: Patient): Promise<{ readonly images: readonly Asked[]; readonly findings: readonly Finding[] }> {
  const { reader } = patient
  if (!reader) return { images: [], findings: [] }
  const sent = await optedIn(reader, patient)
  if (!sent.ok) return { images: [], findings: [unknown('what runs is not known', 'see «namespaces»')] }
  const names = sent.value.map(nameOf)
  const pods = await Promise.all(names.slice(0, MAX_NAMESPACES).map((name) => reader.all(`/api/v1/namespaces/${name}/pods`)))
  const failure = pods.find((p) => !p.ok)
  const images = pods.flatMap((got, i) => (got.ok ? got.value.flatMap((pod) => imagesOf(pod, names[i] ?? '')) : []))
  return { images, findings: failure && !failure.ok ? [unread('Pods', failure)] : [] }
}

function imagesOf(pod: ApiObject, namespace: string): readonly Asked[] {
  const workload = workloadOf(pod, namespace)
  return (workload?.images ?? []).flatMap(({ written }) => {
    const reference = readReference(written)
    return reference && workload ? [runs(reference, workload)] : []
  })
}

function runs(image: Reference, workload: Workload): Asked {
  const { namespace, name } = workload.subject
  return {
    place: image,
    reference: image.digest ?? image.tag ?? 'latest',
    workload,
    credentials: { of: 'workload' },
    shown: `${image.registry}, for ${image.repository} of ${namespace}/${name}`,
    isProbe: false,
  }
}

function workloadOf(pod: object, namespace: string): Workload | undefined {
  const kind = { group: '', version: 'v1', kind: 'Pod' }
  const asked = { uid: '', operation: 'CREATE', subResource: '', name: '', user: '', oldObject: null }
  const read = readWorkload({ ...asked, kind, namespace, object: pod as Json })
  return read.ok ? read.workload : undefined
}
