import { createHash } from 'node:crypto'
import type { Pushed } from '../fakes/signer.ts'
import { Server } from './processes.ts'

/** A real registry on loopback, filled by plain pushes and by cosign. */
export type Registry = {
  /** `127.0.0.1:PORT` */
  readonly host: string
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
}

/** With `referrers` it has the API of that name; without, clients keep the index of referrers under the fallback tag. */
export async function startRegistry(program: string, log: string, referrers: boolean): Promise<Registry> {
  const server = new Server('registry', program, [`-referrers=${referrers}`], log)
  const host = await server.until(() => /^\S+$/m.exec(server.log())?.[0])
  return { host, stop: (signal) => server.stop(signal) }
}

/** Pushes an image whose digest depends on `content` alone, and answers its digest. It has no layers: no one here unpacks it. */
export async function pushImage(registry: Registry, repository: string, tag: string, content: string): Promise<string> {
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { content } },
    rootfs: { type: 'layers', diff_ids: [] },
  })
  await pushBlob(registry, repository, config)
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const described = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length }
  return pushManifest(registry, repository, tag, JSON.stringify({ schemaVersion: 2, mediaType, config: described, layers: [] }))
}

/** Pushes an image for each of `platforms` and the index of them under `tag`; answers the index's digest. */
export async function pushIndex(registry: Registry, repository: string, tag: string, platforms: readonly string[]): Promise<string> {
  const manifests = []
  for (const platform of platforms) {
    const [os, architecture] = platform.split('/')
    const digest = await pushImage(registry, repository, `${tag}-${architecture}`, platform)
    const { size, mediaType } = await headManifest(registry, repository, digest)
    manifests.push({ mediaType, digest, size, platform: { os, architecture } })
  }
  return pushManifest(
    registry,
    repository,
    tag,
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }),
  )
}

/** Pushes what `fakes/` signed under the tag where cosign looks. */
export async function pushSignature(registry: Registry, repository: string, { blobs, manifest, tag }: Pushed): Promise<void> {
  for (const { bytes } of blobs) await pushBlob(registry, repository, Buffer.from(bytes).toString())
  await put(`http://${registry.host}/v2/${repository}/manifests/${tag}`, Buffer.from(manifest.bytes).toString(), manifest.mediaType)
}

export function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** GET below `/v2/`, or undefined where the registry has nothing. */
export async function get(registry: Registry, path: string): Promise<{ mediaType: string; text: string } | undefined> {
  const response = await fetch(`http://${registry.host}/v2/${path}`)
  const text = await response.text()
  return response.ok ? { mediaType: response.headers.get('content-type') ?? '', text } : undefined
}

/** All that a repository holds, in the order in which it can be pushed. */
export type Content = {
  readonly repository: string
  readonly blobs: readonly string[]
  readonly manifests: readonly { readonly reference: string; readonly mediaType: string; readonly text: string }[]
}

/** What lies under the tags of a repository, and what that names. */
export async function contentOf(registry: Registry, repository: string): Promise<Content> {
  const blobs = new Map<string, string>()
  const manifests: Content['manifests'][number][] = []
  type Named = { readonly digest: string; readonly mediaType: string }
  const take = async (reference: string): Promise<void> => {
    const found = await get(registry, `${repository}/manifests/${reference}`)
    if (!found) return
    const {
      config,
      layers = [],
      manifests: parts = [],
    } = JSON.parse(found.text) as Partial<Record<'layers' | 'manifests', Named[]>> & { config?: Named }
    for (const { digest } of parts) await take(digest)
    for (const { digest } of [...(config ? [config] : []), ...layers])
      blobs.set(digest, (await get(registry, `${repository}/blobs/${digest}`))?.text ?? '')
    manifests.push({ reference, ...found })
  }
  const list = await get(registry, `${repository}/tags/list`)
  const { tags } = JSON.parse(list?.text ?? '{}') as { tags?: readonly string[] }
  for (const tag of tags ?? []) await take(tag)
  return { repository, blobs: [...blobs.values()], manifests }
}

/** Pushes it as it was. */
export async function restore(registry: Registry, { repository, blobs, manifests }: Content): Promise<void> {
  for (const blob of blobs) await pushBlob(registry, repository, blob)
  for (const { reference, mediaType, text } of manifests)
    await put(`http://${registry.host}/v2/${repository}/manifests/${reference}`, text, mediaType)
}

async function pushManifest(registry: Registry, repository: string, tag: string, manifest: string): Promise<string> {
  const { mediaType } = JSON.parse(manifest) as { mediaType: string }
  await put(`http://${registry.host}/v2/${repository}/manifests/${tag}`, manifest, mediaType)
  return digestOf(manifest)
}

async function pushBlob(registry: Registry, repository: string, blob: string): Promise<void> {
  const begun = await fetch(`http://${registry.host}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const upload = new URL(begun.headers.get('location') ?? '', begun.url)
  upload.searchParams.set('digest', digestOf(blob))
  await put(upload.href, blob, 'application/octet-stream')
}

async function put(url: string, body: string, mediaType: string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body, headers: { 'content-type': mediaType } })
  if (response.status !== 201) throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`)
}

async function headManifest(registry: Registry, repository: string, digest: string): Promise<{ size: number; mediaType: string }> {
  const found = await get(registry, `${repository}/manifests/${digest}`)
  if (found === undefined) throw new Error(`${repository}@${digest} is not there`)
  return { size: found.text.length, mediaType: found.mediaType }
}
