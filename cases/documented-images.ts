import { Vault } from '../fakes/cloud/vault.ts'
import { Internet } from '../fakes/internet.ts'
import type { Content, OldSignature, Signer } from '../fakes/signer.ts'
import { makeSigner, signOldForm, signatureManifest } from '../fakes/signer.ts'
import { Sigstore } from '../fakes/sigstore/sigstore.ts'
import { TufRepository, legacyTargets } from '../fakes/sigstore/tuf.ts'
import type { Digest } from '../src/image/digest.ts'
import { digestOf } from '../src/image/digest.ts'
import type { Filling, KeyName, SignedBy } from './documented.ts'
import { FILLED, KEYS, documented } from './documented.ts'

/** Something for a registry: blobs, then a manifest under a tag. `repository` is with its host. */
export type Pushed = { readonly repository: string; readonly blobs: readonly Buffer[]; readonly manifest: Content; readonly tag: string }

/** Everything that the documented examples speak about. */
export type DocumentedImages = {
  /** By the name of the image, without tag; each has the tag `v1`. */
  readonly digests: ReadonlyMap<string, Digest>
  readonly pushed: readonly Pushed[]
  /** The TUF repository of the Sigstore that signed, as the page on the Sigstore stack has one: its `root.json`, and where it is. */
  readonly tufRoot: Buffer
  readonly tufMirror: string
  /** The environment in which a process finds the Vault that has a key. */
  readonly env: Readonly<Record<string, string>>
  readonly filling: Filling
  /** The Secrets that examples name, in the controller's namespace. */
  readonly secrets: readonly object[]
  close(): Promise<void>
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG = 'application/vnd.oci.image.config.v1+json'
const AGO = 60_000 // ms since everything was signed

/** `pull`: whom `MY-SECRET` says to be. */
export async function documentedImages(pull: { readonly username: string; readonly password: string }): Promise<DocumentedImages> {
  const keys = Object.fromEntries(KEYS.map((name) => [name, makeSigner()])) as Record<KeyName, Signer>
  const sigstore = await Sigstore.create({ now: Date.now() - AGO })
  // Targets of the older kind, as the Sigstore stack of the documentation has them. They name the first authority only: the second, which signs after
  // it, is for `ca-cert`.
  const tuf = new TufRepository({ now: Date.now(), targets: legacyTargets(sigstore) })
  const digests = new Map<string, Digest>()
  const pushed: Pushed[] = []
  const signatures: { readonly image: string; readonly digest: Digest; readonly by: SignedBy }[] = []
  for (const { image, signed } of documented.flatMap(({ judged }) => judged)) {
    if (digests.has(image)) continue
    const made = imageOf(image)
    pushed.push(made)
    digests.set(image, made.manifest.digest)
    signatures.push(...signed.map((by) => ({ image, digest: made.manifest.digest, by })))
  }
  const isLast = ({ by }: (typeof signatures)[number]): boolean => 'authority' in by && by.authority === 'ca-cert'
  const push = (some: typeof signatures): void => {
    for (const { image, digest, by } of some) {
      const { manifest, blobs, tag = '' } = signatureManifest(digest, [signatureOf(digest, by, keys, sigstore)])
      pushed.push({ repository: by.at ?? image, blobs: blobs.map(({ bytes }) => bytes), manifest, tag })
    }
  }
  push(signatures.filter((one) => !isLast(one)))
  sigstore.rotate('authority')
  push(signatures.filter(isLast))

  const vault = new Vault()
  vault.keys.set(FILLED.kms.slice('hashivault://'.length), { type: 'ecdsa-p256', versions: [keys.kms.publicKey] })
  const [internet, server] = await Promise.all([Internet.start('vault.example'), tuf.serve()])
  internet.host('metadata', vault.host())
  const auth = Buffer.from(`${pull.username}:${pull.password}`).toString('base64')
  return {
    digests,
    pushed,
    tufRoot: tuf.root(),
    tufMirror: server.url,
    env: { VAULT_ADDR: `http://${internet.plain}`, VAULT_TOKEN: vault.token },
    filling: { key: keys.data.pem, certificate: sigstore.caPem() },
    secrets: [
      secret(FILLED.keySecret, 'Opaque', 'cosign.pub', keys.secret.pem),
      secret(FILLED.certificateSecret, 'Opaque', 'fulcio.pem', sigstore.caPem()),
      secret(
        FILLED.pullSecret,
        'kubernetes.io/dockerconfigjson',
        '.dockerconfigjson',
        JSON.stringify({ auths: { 'registry.example.com': { auth } } }),
      ),
    ],
    close: async () => void (await Promise.all([internet.close(), server.close()])),
  }
}

/** An image that nobody unpacks, so it has no layers. */
function imageOf(repository: string): Pushed {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: { Labels: { repository } } }))
  const described = { mediaType: CONFIG, digest: digestOf(config), size: config.length }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: described, layers: [] }))
  return { repository, blobs: [config], manifest: { mediaType: MANIFEST, bytes, digest: digestOf(bytes) }, tag: 'v1' }
}

function signatureOf(digest: Digest, by: SignedBy, keys: Readonly<Record<KeyName, Signer>>, sigstore: Sigstore): OldSignature {
  if ('key' in by) return signOldForm(keys[by.key], digest)
  const { issuer, subject } = by
  return sigstore.signImage({ digest, form: 'annotations', signer: { issuer, subject } })
}

function secret(name: string, type: string, entry: string, text: string): object {
  const data = { [entry]: Buffer.from(text).toString('base64') }
  return { apiVersion: 'v1', kind: 'Secret', type, metadata: { name, namespace: 'cosign-system' }, data }
}
