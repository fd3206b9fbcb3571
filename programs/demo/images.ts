import type { Put } from '../../fakes/registry-content.ts'
import type { FakeRegistry } from '../../fakes/registry.ts'
import type { BundleJson, Pushed, Signer } from '../../fakes/signer.ts'
import { bundleReferrer, makeSigner, signatureManifest, signatureReferrer, signBundle, signOldForm } from '../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../fakes/sigstore/authority.ts'
import { Sigstore } from '../../fakes/sigstore/sigstore.ts'
import type { Mirror } from '../../src/world/network/endpoint.ts'
import type { Trusted } from './policies.ts'

const SIGNED_BEFORE = 60 * 60 * 1000 // ms before now: the certificates have ended since, as they have in real life

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

/** The registries that the demonstration stands for. One server holds them all: the mirror's path keeps them apart. */
export const hosts = ['gcr.io', 'index.docker.io', 'registry.demo.example'] as const

export function mirrorsTo(registry: FakeRegistry): readonly Mirror[] {
  return hosts.map((host) => ({ host, url: `${registry.url}/${host}`, credentials: false }))
}

export type Filled = {
  /** Whom the example policies trust. */
  readonly trusted: Trusted
  /** Examples by name, as the mutating webhook leaves them: by digest. */
  readonly examples: Readonly<Record<string, string>>
  /** The tag that moves. */
  readonly moving: string
}

/**
 * Fills a registry with images and signs them on the spot: with a key, and with an identity that a Sigstore in memory certifies. Images that are
 * signed with another key, or by another identity, show what a stranger's signature is worth.
 */
export async function fill(registry: FakeRegistry, now: number): Promise<Filled> {
  const official = makeSigner()
  const stranger = makeSigner()
  const cosign = 'gcr.io/projectsigstore/cosign'
  const good = image(registry, cosign, 'v1.2.1')
  sign(registry, cosign, good, official)
  const foreign = image(registry, cosign, 'v0.3.0')
  sign(registry, cosign, foreign, stranger)
  const busybox = image(registry, 'index.docker.io/library/busybox', 'latest')

  const team = 'registry.demo.example/team'
  const referred = image(registry, `${team}/referred`, 'v1')
  push(registry, `${team}/referred`, signatureReferrer(referred, [signOldForm(official, referred.digest)]))
  const bundled = image(registry, `${team}/bundled`, 'v1')
  push(registry, `${team}/bundled`, bundleReferrer(bundled, signBundle(official, bundled.digest)))
  const platforms = ['amd64', 'arm64'].map((architecture) => ({
    ...image(registry, `${team}/multi`, architecture),
    platform: { os: 'linux', architecture },
  }))
  const index = registry.manifest(`${team}/multi`, { schemaVersion: 2, mediaType: INDEX, manifests: platforms }, 'v1')
  sign(registry, `${team}/multi`, index, official)
  // A tag that moves: each time it is asked for, it means the other image, and only one of the two is signed.
  const [signed, unsigned] = ['one', 'two'].map((content) => image(registry, `${team}/moving`, content)) as [Put, Put]
  sign(registry, `${team}/moving`, signed, official)
  registry.tag(`${team}/moving`, 'v1', signed.digest, unsigned.digest)
  const sigstore = await Sigstore.create({ now: now - SIGNED_BEFORE, name: 'sigstore.demo.example' })
  const identity = { issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }
  const [released, fork] = [identity, { ...identity, subject: identity.subject.replace('acme', 'stranger') }].map((signer, i) => {
    const repository = `registry.demo.example/released/${['web', 'fork'][i]}`
    const put = image(registry, repository, 'v1')
    const { bundle } = sigstore.signImage({ digest: put.digest, form: 'bundle', signer })
    push(registry, repository, bundleReferrer(put, bundle as BundleJson))
    return `${repository}:v1@${put.digest}`
  }) as [string, string]
  return {
    trusted: { pem: official.pem, trustedRoot: sigstore.trustedRoot(), identity },
    examples: {
      'cosign': `${cosign}:v1.2.1@${good.digest}`,
      'cosign-fail': `${cosign}:v0.3.0@${foreign.digest}`,
      'busybox': `index.docker.io/library/busybox:latest@${busybox.digest}`,
      'referred': `${team}/referred:v1@${referred.digest}`,
      'bundled': `${team}/bundled:v1@${bundled.digest}`,
      'multi': `${team}/multi:v1@${index.digest}`,
      'released': released,
      'released-fork': fork,
      'moving-signed': `${team}/moving:v1@${signed.digest}`,
      'moving-unsigned': `${team}/moving:v1@${unsigned.digest}`,
    },
    moving: `${team}/moving:v1`,
  }
}

function image(registry: FakeRegistry, repository: string, tag: string): Put {
  const config = registry.blob(repository, JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Labels: { tag } } }))
  return registry.manifest(
    repository,
    { schemaVersion: 2, mediaType: MANIFEST, config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' }, layers: [] },
    tag,
  )
}

function sign(registry: FakeRegistry, repository: string, { digest }: Put, signer: Signer): void {
  push(registry, repository, signatureManifest(digest, [signOldForm(signer, digest)]))
}

function push(registry: FakeRegistry, repository: string, { manifest, blobs, tag }: Pushed): void {
  for (const blob of blobs) registry.blob(repository, blob.bytes)
  registry.manifest(repository, manifest.bytes, tag, manifest.mediaType)
}
