import type { KeyObject } from 'node:crypto'
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { dsse } from '@sigstore/core'
import type { Digest } from '../src/image/digest.ts'
import { digestOf, hexOf } from '../src/image/digest.ts'
import {
  CERTIFICATE_ANNOTATION,
  PREDICATE_TYPE_ANNOTATION,
  SIGNATURE_ANNOTATION,
  SIGNATURE_ARTIFACT_TYPE,
} from '../src/sigstore/annotations.ts'
import { IN_TOTO_PAYLOAD_TYPE } from '../src/sigstore/envelope.ts'
import type { SignatureEvidence } from '../src/sigstore/evidence.ts'
import type { Hash } from '../src/trust/key.ts'

export type KeyType = 'p256' | 'p384' | 'p521' | 'rsa1024' | 'rsa2048' | 'rsa4096' | 'ed25519'

/** A pair of keys that signs as cosign does. `pem` is what a policy or Secret holds. */
export type Signer = { readonly type: KeyType; readonly privateKey: KeyObject; readonly publicKey: KeyObject; readonly pem: string }

const OWN_HASH: { readonly [type in KeyType]: Hash } = {
  p256: 'sha256',
  p384: 'sha384',
  p521: 'sha512',
  rsa1024: 'sha256',
  rsa2048: 'sha256',
  rsa4096: 'sha256',
  ed25519: 'sha256',
}

export function makeSigner(type: KeyType = 'p256'): Signer {
  return signerOf(type, makePrivateKey(type))
}

/** The signer whose private key is `pem` (PKCS#8), so that what it signs can be made again. */
export function signerOf(type: KeyType, privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey)
  return { type, privateKey, publicKey, pem: publicKey.export({ format: 'pem', type: 'spki' }) }
}

function makePrivateKey(type: KeyType): KeyObject {
  switch (type) {
    case 'p256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 'p384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey
    case 'p521':
      return generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey
    case 'rsa1024':
      return generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    case 'rsa2048':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    case 'rsa4096':
      return generateKeyPairSync('rsa', { modulusLength: 4096 }).privateKey
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey
  }
}

/** A signature over `bytes`: ECDSA in DER, RSA by PKCS#1 v1.5, Ed25519 over the bytes themselves. */
export function signBytes(signer: Signer, bytes: Uint8Array, hash: Hash = 'sha256'): Buffer {
  return sign(signer.type === 'ed25519' ? null : hash, bytes, signer.privateKey)
}

/** A simple-signing payload as cosign 2 writes it: keys sorted, no spaces, `optional` null unless annotated. */
export function makePayload(digest: string, reference = 'registry.example/app', optional: object | null = null): Buffer {
  const critical = {
    identity: { 'docker-reference': reference },
    image: { 'docker-manifest-digest': digest },
    type: 'cosign container image signature',
  }
  return Buffer.from(JSON.stringify({ critical, optional }))
}

/** A signature of the old form: a payload and the annotations of the layer that holds it. */
export type OldSignature = { readonly payload: Buffer; readonly annotations: Readonly<Record<string, string>> }

export type OldOptions = {
  readonly hash?: Hash
  readonly payload?: Buffer
  readonly reference?: string
  readonly optional?: object
  /** PEM of a certificate to lay beside the signature. */
  readonly certificate?: string
}

/** What `cosign sign --key` of cosign 2 makes for an image: always SHA-256, whatever the key. */
export function signOldForm(signer: Signer, digest: string, options: OldOptions = {}): OldSignature {
  const payload = options.payload ?? makePayload(digest, options.reference, options.optional ?? null)
  const signature = signBytes(signer, payload, options.hash).toString('base64')
  return {
    payload,
    annotations: {
      [SIGNATURE_ANNOTATION]: signature,
      ...(options.certificate === undefined ? {} : { [CERTIFICATE_ANNOTATION]: options.certificate }),
    },
  }
}

/** Content for a registry: bytes, their media type and their digest. */
export type Content = { readonly mediaType: string; readonly bytes: Buffer; readonly digest: Digest }

/** A manifest and the blobs it points to. `tag` is where cosign lays it; undefined: only its `subject` leads there. */
export type Pushed = { readonly manifest: Content; readonly blobs: readonly Content[]; readonly tag: string | undefined }

const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json'
const CONFIG_TYPE = 'application/vnd.oci.image.config.v1+json'
const SIMPLE_SIGNING_TYPE = 'application/vnd.dev.cosign.simplesigning.v1+json'
const ENVELOPE_TYPE = 'application/vnd.dsse.envelope.v1+json'
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
export const BUNDLE_V03_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'

export type ImageDescriptor = { readonly digest: Digest; readonly size: number; readonly mediaType: string }

/** The signature manifest under the tag `sha256-<hex>.sig`: a layer a signature (cosign SIGNATURE_SPEC). */
export function signatureManifest(digest: Digest, signatures: readonly OldSignature[], tagPrefix = ''): Pushed {
  return { ...manifestOf(signatures, CONFIG_TYPE, undefined), tag: `${tagPrefix}sha256-${hexOf(digest)}.sig` }
}

/** The same as a referrer of the image, as cosign 2 writes it with `--registry-referrers-mode=oci-1-1`: the type is the config's. */
export function signatureReferrer(image: ImageDescriptor, signatures: readonly OldSignature[]): Pushed {
  return { ...manifestOf(signatures, SIGNATURE_ARTIFACT_TYPE, image), tag: undefined }
}

function manifestOf(
  signatures: readonly OldSignature[],
  configType: string,
  subject: ImageDescriptor | undefined,
  layerType = SIMPLE_SIGNING_TYPE,
): Omit<Pushed, 'tag'> {
  const layers = signatures.map((s) => content(layerType, s.payload))
  const config = content(
    configType,
    Buffer.from(
      JSON.stringify({ architecture: '', config: {}, os: '', rootfs: { type: 'layers', diff_ids: layers.map((l) => l.digest) } }),
    ),
  )
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config: descriptor(config),
    layers: layers.map((l, i) => ({ ...descriptor(l), annotations: signatures[i]?.annotations })),
    ...(subject === undefined ? {} : { subject }),
  }
  return { manifest: content(MANIFEST_TYPE, Buffer.from(JSON.stringify(manifest))), blobs: [config, ...layers] }
}

export type BundleOptions = {
  /** What the envelope is hashed with; cosign 3 takes that of the key's curve. */
  readonly hash?: Hash
  readonly mediaType?: string
  readonly predicateType?: string
  readonly predicate?: object
  readonly statementType?: string
  readonly payloadType?: string
  /** The hex digests of all subjects, instead of the image's. */
  readonly subjects?: readonly string[]
  /** The envelope's payload as it is, instead of a statement. */
  readonly payload?: Buffer
  /** Merged into the verification material, e.g. `tlogEntries`, or a certificate instead of the key. */
  readonly verificationMaterial?: object
}

/** A Sigstore bundle as JSON would hold it: what `cosign sign --key` of cosign 3 makes for an image. */
export type BundleJson = {
  readonly mediaType: string
  readonly verificationMaterial: object
  readonly dsseEnvelope: {
    readonly payload: string
    readonly payloadType: string
    readonly signatures: readonly { readonly sig: string; readonly keyid?: string }[]
  }
}

export function signBundle(signer: Signer, digest: Digest, options: BundleOptions = {}): BundleJson {
  const statement = {
    _type: options.statementType ?? 'https://in-toto.io/Statement/v1',
    subject: (options.subjects ?? [hexOf(digest)]).map((sha256) => ({ digest: { sha256 }, annotations: {} })),
    predicateType: options.predicateType ?? 'https://sigstore.dev/cosign/sign/v1',
    predicate: options.predicate ?? {},
  }
  const payload = options.payload ?? Buffer.from(JSON.stringify(statement))
  const payloadType = options.payloadType ?? IN_TOTO_PAYLOAD_TYPE
  const signature = signBytes(signer, dsse.preAuthEncoding(payloadType, payload), options.hash ?? OWN_HASH[signer.type])
  return {
    mediaType: options.mediaType ?? BUNDLE_V03_TYPE,
    verificationMaterial: { publicKey: { hint: keyHint(signer) }, ...options.verificationMaterial },
    dsseEnvelope: { payload: payload.toString('base64'), payloadType, signatures: [{ sig: signature.toString('base64') }] },
  }
}

/** The base64 of the SHA-256 of the SubjectPublicKeyInfo, as cosign fills it in. */
function keyHint(signer: Signer): string {
  return createHash('sha256')
    .update(signer.publicKey.export({ format: 'der', type: 'spki' }))
    .digest('base64')
}

/** A bundle as a referrer of the image, as cosign 3 pushes it. */
export function bundleReferrer(image: ImageDescriptor, bundle: BundleJson, predicateType = 'https://sigstore.dev/cosign/sign/v1'): Pushed {
  const blob = content(bundle.mediaType, Buffer.from(JSON.stringify(bundle)))
  const config = content(EMPTY_TYPE, Buffer.from('{}'))
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    artifactType: bundle.mediaType,
    config: descriptor(config),
    layers: [descriptor(blob)],
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      [PREDICATE_TYPE_ANNOTATION]: predicateType,
      'org.opencontainers.image.created': '2026-01-01T00:00:00Z',
    },
    subject: image,
  }
  return { manifest: content(MANIFEST_TYPE, Buffer.from(JSON.stringify(manifest))), blobs: [config, blob], tag: undefined }
}

/** An attestation of the old form, as evidence: a DSSE envelope that these signers signed, as `cosign attest` of cosign 2 makes it. */
export function attestedEvidence(
  signers: readonly Signer[],
  digest: Digest,
  options: BundleOptions = {},
  layer = 0,
): SignatureEvidence & { form: 'annotations' } {
  return { form: 'annotations', manifest: digestOf(Buffer.from('attestation manifest')), layer, ...attestOldForm(signers, digest, options) }
}

/** The same as a layer: its payload is the envelope, its annotation of the signature is there and empty. */
export function attestOldForm(signers: readonly Signer[], digest: Digest, options: BundleOptions = {}): OldSignature {
  const envelopes = signers.map((signer) => signBundle(signer, digest, { hash: 'sha256', ...options }).dsseEnvelope)
  const [first] = envelopes
  const signatures = envelopes.flatMap((envelope) => envelope.signatures.map(({ sig }) => ({ keyid: '', sig })))
  const envelope = { payloadType: first?.payloadType ?? IN_TOTO_PAYLOAD_TYPE, payload: first?.payload ?? '', signatures }
  return { payload: Buffer.from(JSON.stringify(envelope)), annotations: { [SIGNATURE_ANNOTATION]: '' } }
}

/** The attestation manifest under the tag `sha256-<hex>.att`: a layer an attestation. */
export function attestationManifest(digest: Digest, attestations: readonly OldSignature[], tagPrefix = ''): Pushed {
  return { ...manifestOf(attestations, CONFIG_TYPE, undefined, ENVELOPE_TYPE), tag: `${tagPrefix}sha256-${hexOf(digest)}.att` }
}

/** One signature of the old form as evidence, as if it had been fetched. */
export function oldEvidence(signature: OldSignature, layer = 0): SignatureEvidence & { form: 'annotations' } {
  return {
    form: 'annotations',
    manifest: digestOf(Buffer.from('signature manifest')),
    layer,
    annotations: signature.annotations,
    payload: signature.payload,
  }
}

/** A bundle as evidence, as if it had been fetched. */
export function bundleEvidence(bundle: object): SignatureEvidence & { form: 'bundle' } {
  return { form: 'bundle', manifest: digestOf(Buffer.from('bundle manifest')), layer: 0, bytes: Buffer.from(JSON.stringify(bundle)) }
}

function content(mediaType: string, bytes: Buffer): Content {
  return { mediaType, bytes, digest: digestOf(bytes) }
}

function descriptor({ mediaType, bytes, digest }: Content): { mediaType: string; size: number; digest: Digest } {
  return { mediaType, size: bytes.length, digest }
}
