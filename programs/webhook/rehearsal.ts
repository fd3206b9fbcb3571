import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { type Digest, digestOf, hexOf } from '../../src/image/digest.ts'
import { compile } from '../../src/policy/compile.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { Cluster } from '../../src/world/cluster/cluster.ts'
import { uncounted } from '../../src/world/metrics.ts'
import type { Settings } from '../cli/options.ts'
import { answerers } from './answer.ts'
import { reach } from './reach.ts'

const HOST = 'rehearsal.invalid' // no registry has this name (RFC 2606), and the mirror takes its requests to loopback
const IMAGES = 4 // that are judged; more make the start slower and the first real answer no faster
const DEADLINE = 1_000 // ms for each

/**
 * Judges a few images of its own before the first real one: signed with a key of its own, in a registry of its own on loopback. What Node.js
 * compiles and loads on first use is ready then: the first admission after a start takes 60 ms instead of 80, for 80 ms more of the start.
 * Nothing of it is kept, and nothing depends on it. Rejects when it did not go as it should.
 */
export async function rehearse(settings: Settings): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const images = Array.from({ length: IMAGES }, (_, i) => digestOf(Buffer.from(`image ${i}`)))
  const server = registryOf(images, (payload) => sign('sha256', payload, privateKey).toString('base64'))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const at = server.address()
  const url = `http://127.0.0.1:${typeof at === 'object' && at !== null ? at.port : 0}`
  const cluster = clusterOf(policyOf(publicKey.export({ format: 'pem', type: 'spki' }).toString()))
  const snapshot = compile(cluster.objects(), settings.systemNamespace)
  const mirrors = [{ host: HOST, url, credentials: false }]
  const { around, registrar, registry } = await reach({
    settings: { ...settings, mirrors, registryCas: [] },
    cluster,
    snapshot: () => snapshot,
    metrics: uncounted,
    environment: {},
  })
  try {
    const answer = answerers(() => snapshot, around, registrar, uncounted).get('/validations')
    for (const image of images) {
      const given = await answer?.(reviewOf(image), { at: performance.now() + DEADLINE })
      if (given?.about?.allowed !== true) throw new Error(`an image with a good signature was refused: ${given?.body}`)
    }
  } finally {
    await registry.close()
    server.close().closeAllConnections()
  }
}

/** A registry with a signature of each image, and nothing else. */
function registryOf(images: readonly Digest[], signed: (payload: Buffer) => string): Server {
  const content = new Map<string, Buffer>()
  for (const image of images) {
    const payload = Buffer.from(
      JSON.stringify({
        critical: {
          identity: { 'docker-reference': `${HOST}/image` },
          image: { 'docker-manifest-digest': image },
          type: 'cosign container image signature',
        },
        optional: null,
      }),
    )
    const layer = {
      mediaType: 'application/vnd.dev.cosign.simplesigning.v1+json',
      size: payload.length,
      digest: digestOf(payload),
      annotations: { 'dev.cosignproject.cosign/signature': signed(payload) },
    }
    const config = { mediaType: 'application/vnd.oci.image.config.v1+json', size: 2, digest: digestOf(Buffer.from('{}')) }
    const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers: [layer] }
    content.set(`/v2/image/manifests/sha256-${hexOf(image)}.sig`, Buffer.from(JSON.stringify(manifest)))
    content.set(`/v2/image/blobs/${layer.digest}`, payload)
  }
  return createServer((request, response) => {
    const bytes = content.get(request.url ?? '')
    if (bytes) response.writeHead(200, { 'Content-Type': MANIFEST }).end(bytes)
    else response.writeHead(404, { 'Content-Type': 'application/json' }).end('{"errors":[{"code":"NAME_UNKNOWN"}]}')
  })
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

function policyOf(data: string): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name: 'rehearsal' },
    spec: { images: [{ glob: `${HOST}/*` }], authorities: [{ name: 'rehearsal', key: { data } }] },
  }
}

function clusterOf(policy: object): Cluster {
  const objects: ClusterObjects = {
    policies: new Map([['rehearsal', policy]]),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
  }
  return {
    objects: () => objects,
    onChange: () => undefined,
    waitingFor: () => [],
    pullSecretsOf: () => ({ state: 'absent' }),
    pullSecret: async () => ({ state: 'absent' }),
    lastContactAge: () => 0,
    close: async () => undefined,
  }
}

function reviewOf(image: Digest): Buffer {
  return Buffer.from(
    JSON.stringify({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      request: {
        uid: 'rehearsal',
        kind: { group: '', version: 'v1', kind: 'Pod' },
        operation: 'CREATE',
        namespace: 'rehearsal',
        object: { apiVersion: 'v1', kind: 'Pod', spec: { containers: [{ name: 'image', image: `${HOST}/image@${image}` }] } },
      },
    }),
  )
}
