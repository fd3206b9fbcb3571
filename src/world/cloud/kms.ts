import type { KmsKey } from '../../policy/kms.ts'
import type { Cloud, Obtained } from './cloud.ts'
import { whyOf } from './cloud.ts'

const READ_MS = 15_000 // to read one key, the loading of a vendor's library and the credentials included

/**
 * The public key (PEM) of a key of a key management service, asked for with this process's own identity, within 15 s and `signal`. What comes
 * is what the service says, and not read yet. Never rejects.
 */
export async function readKmsPublicKey(key: KmsKey, cloud: Cloud, signal: AbortSignal): Promise<Obtained<string>> {
  const ended = AbortSignal.any([signal, AbortSignal.timeout(READ_MS)])
  const late = new Promise<Obtained<string>>((resolve) => {
    const cut = (): void => resolve({ state: 'unknown', why: 'there was no answer in time' })
    if (ended.aborted) cut()
    else ended.addEventListener('abort', cut, { once: true })
  })
  try {
    // Whatever a library does with the signal.
    return await Promise.race([ask(key, cloud, ended), late])
  } catch (error) {
    return { state: 'unknown', why: whyOf(error) }
  }
}

/** The libraries are imported when a policy needs them: together they take 60 MB, and most clusters have keys of one service, or of none. */
async function ask(key: KmsKey, cloud: Cloud, signal: AbortSignal): Promise<Obtained<string>> {
  switch (key.service) {
    case 'aws':
      return (await import('./aws.ts')).awsPublicKey(key, cloud, signal)
    case 'google':
      return (await import('./google.ts')).googlePublicKey(key, cloud, signal)
    case 'azure':
      return (await import('./azure.ts')).azurePublicKey(key, cloud, signal)
    case 'vault':
      return (await import('./vault.ts')).vaultPublicKey(key, cloud, signal)
  }
}
