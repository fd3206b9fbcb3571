import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Parts } from './parts.ts'
import { must } from './processes.ts'

export type Cosign = 'cosign2' | 'cosign3'

/** A key pair as cosign keeps it: the private key's file, and the public key as PEM. */
export type KeyPair = { readonly file: string; readonly pem: string }

/** Which way a signature is written: `tag` is the `.sig` tag, `referrer` an OCI 1.1 referrer with annotations, `bundle` one with a Sigstore bundle. */
export type Form = 'tag' | 'referrer' | 'bundle'

/** The options that make a cosign write a form, without any service that is not on this machine. */
export const formOptions: Readonly<Record<Cosign, Readonly<Record<Form, readonly string[]>>>> = {
  cosign2: {
    tag: ['--tlog-upload=false'],
    referrer: ['--tlog-upload=false', '--registry-referrers-mode=oci-1-1'],
    bundle: ['--tlog-upload=false', '--new-bundle-format'],
  },
  cosign3: {
    tag: ['--use-signing-config=false', '--tlog-upload=false', '--new-bundle-format=false'],
    referrer: ['--use-signing-config=false', '--tlog-upload=false', '--new-bundle-format=false', '--registry-referrers-mode=oci-1-1'],
    bundle: ['--use-signing-config=false', '--tlog-upload=false'],
  },
}

/** Of the environment, cosign gets what it needs and nothing of the user's: no Docker credentials, no settings. */
export function cosignEnv(home: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  // Referrers with annotations are an experiment of both versions.
  return { PATH: process.env['PATH'], HOME: home, COSIGN_PASSWORD: '', COSIGN_EXPERIMENTAL: '1', ...more }
}

export type KeyKind = 'p256' | 'p384' | 'p521' | 'rsa2048' | 'ed25519'

/** Makes a key outside of cosign and lets cosign import it. */
export async function importKey(parts: Parts, folder: string, name: string, kind: KeyKind): Promise<KeyPair> {
  const { privateKey, publicKey } =
    kind === 'rsa2048'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : kind === 'ed25519'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('ec', { namedCurve: { p256: 'P-256', p384: 'P-384', p521: 'P-521' }[kind] })
  const pem = join(folder, `${name}.pem`)
  writeFileSync(pem, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await must(parts.cosign2, ['import-key-pair', '--key', pem, '--output-key-prefix', join(folder, name)], { env: cosignEnv(folder) })
  return { file: join(folder, `${name}.key`), pem: publicKey.export({ type: 'spki', format: 'pem' }) as string }
}

/** Signs `image` (`host/repository@digest`). */
export async function sign(
  parts: Parts,
  cosign: Cosign,
  form: Form,
  key: KeyPair,
  image: string,
  home: string,
  more: readonly string[] = [],
): Promise<void> {
  await must(parts[cosign], ['sign', '--yes', '--key', key.file, ...formOptions[cosign][form], ...more, image], { env: cosignEnv(home) })
}
