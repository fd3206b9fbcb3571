import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { SecureContextOptions } from 'node:tls'
import { createSecureContext } from 'node:tls'
import type { Log } from '../../src/world/log.ts'
import type { Settings } from '../cli/options.ts'
import type { Pair } from '../controller/serving-secret.ts'
import type { SelfSigned } from './certificate.ts'
import { describe, renewed, servingNames, whyNotServing } from './certificate.ts'

const POLL = 2_000 // ms between looks at certificate files; a look is two stats, and sees through the symbolic links of mounted Secrets
const RENEWAL_CHECK = 6 * 60 * 60 * 1000 // ms between looks at when a self-signed certificate ends
const MAX_PEM_BYTES = 256 * 1024 // a chain of a few certificates takes 10 KiB

/** The serving certificate of the webhook, whatever it comes from. */
export type ServingCertificate = {
  readonly context: SecureContextOptions
  /** PEM of the CA that clients have to trust, where it is one of ours. */
  readonly ca: string | undefined
  /** Where `ca` lies as a file; undefined where it is in memory only. */
  readonly caFile: string | undefined
  readonly ends: Date
  /** Calls `use` with each later certificate; connections under way keep theirs. */
  follow(use: (context: SecureContextOptions, ends: Date) => void): void
  close(): void
}

export type Opened = { readonly ok: true; readonly certificate: ServingCertificate } | { readonly ok: false; readonly text: string }

export type CertificateSettings = Pick<
  Settings,
  'tlsCert' | 'tlsKey' | 'tlsFolder' | 'tlsMinVersion' | 'serviceName' | 'systemNamespace' | 'address'
>

/** The certificate of `--tls-cert`, else `pair`, which whoever gave it exchanges, else a self-signed one that is kept in a folder. */
export async function openCertificate(
  settings: CertificateSettings,
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
  pair?: Pair,
): Promise<Opened> {
  const { tlsCert, tlsKey } = settings
  if (pair) return { ok: true, certificate: given(pair, settings) }
  if (tlsCert !== undefined && tlsKey !== undefined) return fromFiles(tlsCert, tlsKey, settings, log)
  return { ok: true, certificate: await selfSigned(settings, environment, log) }
}

/** What a TLS server is told. */
export function contextOf({ certificate, key }: Pair, { tlsMinVersion }: Pick<Settings, 'tlsMinVersion'>): SecureContextOptions {
  return { cert: certificate, key, minVersion: tlsMinVersion === '1.2' ? 'TLSv1.2' : 'TLSv1.3' }
}

function given(pair: Pair, settings: CertificateSettings): ServingCertificate {
  const { ends } = describe(pair.certificate)
  return { context: contextOf(pair, settings), ca: undefined, caFile: undefined, ends, follow: () => undefined, close: () => undefined }
}

async function fromFiles(certFile: string, keyFile: string, settings: CertificateSettings, log: Log): Promise<Opened> {
  const first = await readPair(certFile, keyFile)
  if (!first.ok) return first
  let mark = await markOf(certFile, keyFile)
  let timer: NodeJS.Timeout | undefined
  let said: string | undefined
  const look = async (use: (context: SecureContextOptions, ends: Date) => void): Promise<void> => {
    const now = await markOf(certFile, keyFile)
    if (now === mark) return
    const read = await readPair(certFile, keyFile)
    if (read.ok) {
      mark = now
      said = undefined
      const { ends } = describe(read.pair.certificate)
      use(contextOf(read.pair, settings), ends)
      log.info('the certificate was read anew', { file: certFile, ends: ends.toISOString() })
    } else if (read.text !== said) {
      // Certificate and key are two files: between the two writes they do not fit, so this is tried again.
      said = read.text
      log.warn('the new certificate cannot serve; the last one stays in use', { why: read.text })
    }
  }
  return {
    ok: true,
    certificate: {
      context: contextOf(first.pair, settings),
      ca: undefined,
      caFile: undefined,
      ends: describe(first.pair.certificate).ends,
      follow: (use) => void (timer = setInterval(() => void look(use).catch(() => undefined), POLL).unref()),
      close: () => clearInterval(timer),
    },
  }
}

type PairRead = { readonly ok: true; readonly pair: Pair } | { readonly ok: false; readonly text: string }

async function readPair(certFile: string, keyFile: string): Promise<PairRead> {
  const texts: string[] = []
  for (const [option, file] of [
    ['--tls-cert', certFile],
    ['--tls-key', keyFile],
  ] as const) {
    const text = await readPem(file)
    if (text === undefined) return { ok: false, text: `${option}: cannot read ${file}` }
    texts.push(text)
  }
  const [certificate = '', key = ''] = texts
  const why = whyNotServing(certificate, key) ?? whyRefused({ certificate, key })
  return why === undefined
    ? { ok: true, pair: { certificate, key } }
    : { ok: false, text: `--tls-cert ${certFile}, --tls-key ${keyFile}: ${why}` }
}

/** What OpenSSL has against it: a chain that does not parse, a key that is too short. */
function whyRefused(pair: Pair): string | undefined {
  try {
    createSecureContext({ cert: pair.certificate, key: pair.key })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

async function readPem(file: string): Promise<string | undefined> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    return size > MAX_PEM_BYTES ? undefined : await handle.readFile('utf8')
  } catch {
    return undefined
  }
}

/** Differs when one of the files was written or exchanged. */
async function markOf(...files: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ ino, size, mtimeMs, ctimeMs }) => [ino, size, mtimeMs, ctimeMs].join(' '),
        () => 'gone',
      ),
    ),
  )
  return marks.join('\n')
}

const KEPT = 'webhook.pem' // certificate, key, CA and its key in one file, so that they are exchanged together
const CA_FILE = 'ca.crt' // for `curl --cacert` and `caBundle`

async function selfSigned(
  settings: CertificateSettings,
  environment: Readonly<Record<string, string | undefined>>,
  log: Log,
): Promise<ServingCertificate> {
  const folder = settings.tlsFolder ?? join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sealgate', 'tls')
  const names = servingNames(settings.serviceName, settings.systemNamespace, settings.address)
  const before = await readKept(folder)
  let current = await renewed(before, names, new Date())
  const isKept = current === before || (await keep(folder, current, log))
  let timer: NodeJS.Timeout | undefined
  const look = async (use: (context: SecureContextOptions, ends: Date) => void): Promise<void> => {
    const next = await renewed(current, names, new Date())
    if (next === current) return
    if (next.ca !== current.ca) log.warn('the CA of the webhook was renewed: its clients have to trust the new one', { pem: next.ca })
    current = next
    await keep(folder, next, log)
    const { ends } = describe(next.certificate)
    use(contextOf(next, settings), ends)
    log.info('the certificate was renewed', { ends: ends.toISOString() })
  }
  return {
    context: contextOf(current, settings),
    ca: current.ca,
    caFile: isKept ? join(folder, CA_FILE) : undefined,
    ends: describe(current.certificate).ends,
    follow: (use) =>
      void (timer = setInterval(
        () => void look(use).catch((error: unknown) => log.error('the certificate could not be renewed', { error })),
        RENEWAL_CHECK,
      ).unref()),
    close: () => clearInterval(timer),
  }
}

/** What was kept, unless another user could have written or read it. */
async function readKept(folder: string): Promise<SelfSigned | undefined> {
  const file = join(folder, KEPT)
  try {
    const { mode, uid } = await stat(file)
    if ((mode & 0o077) !== 0 || (process.getuid && uid !== process.getuid())) return undefined
  } catch {
    return undefined
  }
  const text = await readPem(file)
  const blocks = text?.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----\n/g) ?? []
  const [certificate, key, ca, caKey] = blocks
  return certificate && key && ca && caKey ? { certificate, key, ca, caKey } : undefined
}

/** Whether it could be kept; a folder that cannot be written is no reason not to serve. */
async function keep(folder: string, { certificate, key, ca, caKey }: SelfSigned, log: Log): Promise<boolean> {
  const written = join(folder, `.${KEPT}.${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(written, certificate + key + ca + caKey, { mode: 0o600, flag: 'wx' })
    await rename(written, join(folder, KEPT))
    await writeFile(`${written}.ca`, ca, { mode: 0o644, flag: 'wx' })
    await rename(`${written}.ca`, join(folder, CA_FILE))
    return true
  } catch (error) {
    log.warn('the self-signed certificate could not be kept: the next start makes another', {
      folder,
      why: error instanceof Error ? error.message : String(error),
    })
    return false
  }
}
