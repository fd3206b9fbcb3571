import { FakeRegistry } from '../fakes/registry.ts'
import type { BundleJson, ImageDescriptor, Pushed } from '../fakes/signer.ts'
import {
  attestationManifest,
  attestOldForm,
  bundleReferrer,
  makeSigner,
  signatureManifest,
  signBundle,
  signOldForm,
} from '../fakes/signer.ts'
import { Sigstore } from '../fakes/sigstore/sigstore.ts'
import { answerParent } from './conversation.ts'

/**
 * What the registry process can be told. `fill` puts in signed images, each in a repository of its own or all in one; `bad` ones carry so
 * many signatures of another key, `padded` by so many bytes each, `attested` ones an attestation of so many bytes in one of the forms, `isBad`: by another key, `keyless` ones so many of an identity. `trust` says whom to believe about those. `seen` tells of the requests since it was last asked.
 */
export type RegistryQuestion =
  | { readonly ask: 'fill'; readonly repository: string; readonly images: number; readonly form: Form; readonly together?: boolean }
  | { readonly ask: 'guard' }
  | { readonly ask: 'trust' }
  | { readonly ask: 'seen' }

export type Form =
  | 'sig'
  | 'bundle'
  | 'keyless-bundle'
  | { readonly bad: number; readonly padded?: number }
  | { readonly keyless: number }
  | { readonly attested: 'sig' | 'bundle'; readonly bytes: number; readonly isBad: boolean }

export type RegistryAnswer = {
  readonly port: number
  /** PEM of the key that signs. */
  readonly key: string
  /** A Sigstore trusted root, where it was asked for. */
  readonly trustedRoot?: object
  /** Of the images that were put in: `repository@digest`. */
  readonly images: readonly string[]
  readonly requests: number
  /** How often the same thing was asked for, at most. */
  readonly mostAsked: number
}

const [delay = '0'] = process.argv.slice(2)
const registry = await FakeRegistry.start({ delay: Number(delay) })
const signer = makeSigner()
const stranger = makeSigner()
const sigstore = await Sigstore.create({ now: Date.now() - 60_000 })
let filled = 0

answerParent<RegistryQuestion, RegistryAnswer>((question) => {
  const answer = { port: Number(new URL(registry.url).port), key: signer.pem, images: [], requests: 0, mostAsked: 0 }
  switch (question.ask) {
    case 'fill': {
      const { repository, images, form, together } = question
      const places = Array.from({ length: images }, (_, i) => (together ? repository : `${repository}-${i}`))
      return { ...answer, images: places.map((place) => `${place}@${fill(place, form)}`) }
    }
    case 'guard':
      registry.protect('', { scheme: 'bearer', username: 'nobody', password: 'nothing', anonymous: true })
      return answer
    case 'trust':
      return { ...answer, trustedRoot: sigstore.trustedRoot() }
    case 'seen': {
      const asked = new Map<string, number>()
      for (const { method, path } of registry.seen) asked.set(`${method} ${path}`, (asked.get(`${method} ${path}`) ?? 0) + 1)
      const requests = registry.seen.length
      registry.seen.length = 0
      return { ...answer, requests, mostAsked: Math.max(0, ...asked.values()) }
    }
  }
})

function fill(repository: string, form: Form): string {
  const config = registry.blob(repository, JSON.stringify({ number: filled++ }))
  const image = registry.manifest(repository, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config,
    layers: [],
  })
  push(repository, evidence(image, form))
  return image.digest
}

function evidence(image: ImageDescriptor, form: Form): Pushed {
  if (form === 'sig') return signatureManifest(image.digest, [signOldForm(signer, image.digest)])
  if (form === 'bundle') return bundleReferrer(image, signBundle(signer, image.digest))
  const { digest } = image
  if (form === 'keyless-bundle') return bundleReferrer(image, sigstore.signImage({ digest, form: 'bundle' }).bundle as BundleJson)
  if ('attested' in form) {
    const options = { predicateType: SBOM, predicate: { packages: packages(form.bytes) } }
    const by = form.isBad ? stranger : signer
    return form.attested === 'sig'
      ? attestationManifest(digest, [attestOldForm([by], digest, options)])
      : bundleReferrer(image, signBundle(by, digest, options), SBOM)
  }
  if ('keyless' in form)
    return signatureManifest(
      digest,
      Array.from({ length: form.keyless }, () => sigstore.signImage({ digest, form: 'annotations' })),
    )
  // Each with a payload of its own, so that nothing is saved by fetching one for all.
  const signatures = Array.from({ length: form.bad }, (_, i) =>
    signOldForm(stranger, image.digest, { optional: { number: i, padding: 'x'.repeat(form.padded ?? 0) } }),
  )
  return signatureManifest(image.digest, signatures)
}

const SBOM = 'https://spdx.dev/Document'

/** As an SBOM lists them, so many bytes of base64 of JSON. */
function packages(bytes: number): readonly object[] {
  const one = (i: number): object => ({
    SPDXID: `SPDXRef-${String(i).padStart(8, '0')}`,
    name: `package-${filled}`,
    versionInfo: '1.2.3',
    licenseConcluded: 'NOASSERTION',
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: 'pkg:npm/package@1.2.3' }],
  })
  return Array.from({ length: Math.floor((bytes * 3) / 4 / (JSON.stringify(one(0)).length + 1)) }, (_, i) => one(i))
}

function push(repository: string, { manifest, blobs, tag }: Pushed): void {
  for (const { bytes } of blobs) registry.blob(repository, bytes)
  registry.manifest(repository, manifest.bytes, tag, manifest.mediaType)
}
