import type { Json, JsonObject } from '../image/json.ts'
import type { Subject } from '../policy/subject.ts'
import { resourceOf } from '../policy/subject.ts'
import { Fields } from './field.ts'
import type { WorkloadKind } from './kind.ts'
import { nameOf, workloadKind } from './kind.ts'
import type { Review } from './review.ts'

/** What is asked about: an object that runs images, and what is needed to judge them. */
export type Workload = {
  readonly subject: Subject
  /** Otherwise it is a template, from which pods will be made that are judged again. */
  readonly isPod: boolean
  /** `spec.template.spec`: errors about the pod spec as a whole are reported there. */
  readonly podSpecPath: string
  /** Init containers, containers, ephemeral containers, image volumes, each in the object's order. */
  readonly images: readonly WorkloadImage[]
  /** `default` when the pod spec names none, as Kubernetes has it. */
  readonly serviceAccount: string
  /** Names of its `imagePullSecrets`, in its namespace. */
  readonly pullSecrets: readonly string[]
}

/** An image as a field of an object. */
export type WorkloadImage = {
  /** The field's text; empty where a container has none. Not yet known to be a reference. */
  readonly written: string
  /** As messages show it: `spec.containers[0].image`; of an image volume `spec.volumes[0].image`. */
  readonly path: string
  /** As a JSON patch names it (RFC 6901): `/spec/containers/0/image`, `/spec/volumes/0/image/reference`. */
  readonly pointer: string
}

/** Why there is no workload: validation says `${step} failed: ${text}`, mutation `mutation failed: ${text}`. */
export type WorkloadRead =
  | { readonly ok: true; readonly workload: Workload }
  | { readonly ok: false; readonly step: 'decoding request' | 'validation'; readonly text: string }

const MAX_IMAGES = 1000 // per object; each costs lookups, and no pod has a tenth of it

/**
 * Reads the object of a review. A kind that is not judged is refused: it arrives only when the webhook configuration and this program
 * disagree, and then nothing is known about its images. Fields of wrong types are refused too, so that no image hides behind one.
 *
 * Names of fields are compared exactly, though Go would take `Containers` for `containers`: the API server has decoded the object into its
 * own types, dropped what it does not know, and sends what it will store.
 */
export function readWorkload(review: Review): WorkloadRead {
  const kind = workloadKind(review.kind)
  if (!kind) return { ok: false, step: 'decoding request', text: `unhandled kind: ${nameOf(review.kind)}` }
  if (review.object === null) return { ok: false, step: 'validation', text: 'the new object may not be nil' }

  const fields = new Fields()
  const object = fields.object(review.object, '', `v1.${kind.kind}`)
  const metadata = fields.object(object['metadata'], `${kind.kind}.metadata`, 'v1.ObjectMeta')
  const podSpec = podSpecIn(fields, kind, object)
  const podSpecPath = kind.podSpec.join('.')
  const { group, version } = kind
  const workload: Workload = {
    subject: {
      group,
      version,
      kind: kind.kind,
      resource: resourceOf(kind.kind),
      namespace: fields.text(metadata['namespace'], 'ObjectMeta.metadata.namespace') || review.namespace,
      name: fields.text(metadata['name'], 'ObjectMeta.metadata.name') || review.name,
      labels: labelsIn(fields, metadata),
    },
    isPod: kind.podSpec.length === 1,
    podSpecPath,
    images: imagesIn(fields, kind, podSpec),
    serviceAccount: fields.text(podSpec['serviceAccountName'], `PodSpec.${podSpecPath}.serviceAccountName`) || 'default',
    pullSecrets: fields
      .list(podSpec['imagePullSecrets'], `PodSpec.${podSpecPath}.imagePullSecrets`, '[]v1.LocalObjectReference')
      .map((item) => fields.object(item, `PodSpec.${podSpecPath}.imagePullSecrets`, 'v1.LocalObjectReference')['name'])
      .map((name) => fields.text(name, `LocalObjectReference.${podSpecPath}.imagePullSecrets.name`))
      .filter((name) => name !== ''),
  }
  if (fields.problem !== undefined)
    return { ok: false, step: 'decoding request', text: `cannot decode incoming new object: ${fields.problem}` }
  if (workload.images.length > MAX_IMAGES) {
    return {
      ok: false,
      step: 'decoding request',
      text: `cannot decode incoming new object: it has ${workload.images.length} images, at most ${MAX_IMAGES} are judged`,
    }
  }
  return { ok: true, workload }
}

/** The images of an object that is compared but not judged (`oldObject`); undefined when it cannot be read. */
export function imagesOf(kind: WorkloadKind, object: Json): readonly WorkloadImage[] | undefined {
  const fields = new Fields()
  const images = imagesIn(fields, kind, podSpecIn(fields, kind, fields.object(object, '', `v1.${kind.kind}`)))
  return fields.problem === undefined ? images : undefined
}

function labelsIn(fields: Fields, metadata: JsonObject): Readonly<Record<string, string>> {
  const labels = fields.object(metadata['labels'], 'ObjectMeta.metadata.labels', 'map[string]string')
  return Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, fields.text(value, 'ObjectMeta.metadata.labels')]))
}

/** Walks down to the pod spec. What is absent is empty: such an object has no images, and the API server will refuse it. */
function podSpecIn(fields: Fields, kind: WorkloadKind, object: JsonObject): JsonObject {
  let at = object
  let owner: string = kind.kind
  for (const [i, segment] of kind.podSpec.entries()) {
    const type = typeOf(segment, owner, i === kind.podSpec.length - 1)
    at = fields.object(at[segment], `${owner}.${kind.podSpec.slice(0, i + 1).join('.')}`, `v1.${type}`)
    owner = type
  }
  return at
}

/** The Kubernetes type of a field on the way to the pod spec. */
function typeOf(segment: string, owner: string, isLast: boolean): string {
  if (segment === 'template') return 'PodTemplateSpec'
  if (segment === 'jobTemplate') return 'JobTemplateSpec'
  return isLast ? 'PodSpec' : owner === 'JobTemplateSpec' ? 'JobSpec' : `${owner}Spec`
}

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const

function imagesIn(fields: Fields, kind: WorkloadKind, podSpec: JsonObject): readonly WorkloadImage[] {
  const path = kind.podSpec.join('.')
  const pointer = `/${kind.podSpec.join('/')}` // none of the names in a pointer has a `~` or a `/` to escape
  const images: WorkloadImage[] = []
  for (const list of containerLists) {
    const type = list === 'ephemeralContainers' ? 'EphemeralContainer' : 'Container'
    const containers = fields.list(podSpec[list], `PodSpec.${path}.${list}`, `[]v1.${type}`)
    for (const [i, item] of containers.entries()) {
      const container = fields.object(item, `PodSpec.${path}.${list}`, `v1.${type}`)
      // A container without image is one with the image «»: that is no reference, so it is refused.
      const written = fields.text(container['image'], `${type}.${path}.${list}.image`)
      images.push({ written, path: `${path}.${list}[${i}].image`, pointer: `${pointer}/${list}/${i}/image` })
    }
  }
  const volumes = fields.list(podSpec['volumes'], `PodSpec.${path}.volumes`, '[]v1.Volume')
  for (const [i, item] of volumes.entries()) {
    const volume = fields.object(item, `PodSpec.${path}.volumes`, 'v1.Volume')
    const image = fields.object(volume['image'], `Volume.${path}.volumes.image`, 'v1.ImageVolumeSource')
    const written = fields.text(image['reference'], `ImageVolumeSource.${path}.volumes.image.reference`)
    // An empty reference is allowed in a template, and mounts nothing.
    if (written !== '') images.push({ written, path: `${path}.volumes[${i}].image`, pointer: `${pointer}/volumes/${i}/image/reference` })
  }
  return images
}
