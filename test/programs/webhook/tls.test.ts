import { deepEqual, equal, match, notEqual, ok, rejects } from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { renewed } from '../../../programs/webhook/certificate.ts'
import type { CertificateSettings } from '../../../programs/webhook/tls.ts'
import { openCertificate } from '../../../programs/webhook/tls.ts'
import { silent } from '../../../src/world/log.ts'
import { certificate, keeping } from './client.ts'

const settings: CertificateSettings = {
  tlsCert: undefined,
  tlsKey: undefined,
  tlsFolder: undefined,
  tlsMinVersion: '1.3',
  serviceName: 'webhook',
  systemNamespace: 'cosign-system',
  address: '::',
}

async function folder(t: TestContext): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'tls-'))
  t.after(() => rm(at, { recursive: true }))
  return at
}

async function open(more: Partial<CertificateSettings>, environment: Readonly<Record<string, string>> = {}, log = silent) {
  const opened = await openCertificate({ ...settings, ...more }, environment, log)
  if (!opened.ok) throw new Error(opened.text)
  return opened.certificate
}

test('without a certificate, one is made and kept, and the next start uses it again', async (t) => {
  const at = await folder(t)
  const first = await open({}, { XDG_CACHE_HOME: at })
  const again = await open({}, { XDG_CACHE_HOME: at })
  deepEqual([again.context.cert, again.ca], [first.context.cert, first.ca])
  equal(first.caFile, join(at, 'sealgate', 'tls', 'ca.crt'))
  equal(await readFile(first.caFile, 'utf8'), first.ca)
})

test('the folder and the file with the keys are for their owner only', async (t) => {
  const tlsFolder = join(await folder(t), 'new')
  await open({ tlsFolder })
  deepEqual([(await stat(tlsFolder)).mode & 0o777, (await stat(join(tlsFolder, 'webhook.pem'))).mode & 0o777], [0o700, 0o600])
})

test('a kept key that others could have read is not used again', async (t) => {
  const tlsFolder = await folder(t)
  const first = await open({ tlsFolder })
  await chmod(join(tlsFolder, 'webhook.pem'), 0o644)
  notEqual((await open({ tlsFolder })).ca, first.ca)
})

test('a kept file that is broken is replaced', async (t) => {
  const tlsFolder = await folder(t)
  await writeFile(join(tlsFolder, 'webhook.pem'), 'broken', { mode: 0o600 })
  const first = await open({ tlsFolder })
  equal((await open({ tlsFolder })).ca, first.ca)
})

test('a folder that cannot be written is no reason not to serve', async (t) => {
  const tlsFolder = join(await folder(t), 'file')
  await writeFile(tlsFolder, 'no folder')
  const log = keeping()
  const made = await open({ tlsFolder }, {}, log)
  equal(made.caFile, undefined)
  ok(made.ca)
  deepEqual(
    log.lines.map((l) => l.text),
    ['warn the self-signed certificate could not be kept: the next start makes another'],
  )
})

test('given files are served as they are', async (t) => {
  const at = await folder(t)
  const [tlsCert, tlsKey] = [join(at, 'tls.crt'), join(at, 'tls.key')]
  await Promise.all([writeFile(tlsCert, certificate.certificate), writeFile(tlsKey, certificate.key)])
  const opened = await open({ tlsCert, tlsKey, tlsMinVersion: '1.2' })
  deepEqual(opened.context, { cert: certificate.certificate, key: certificate.key, minVersion: 'TLSv1.2' })
  equal(opened.ca, undefined)
})

for (const [what, certText, keyText, why] of [
  [
    'a key of another certificate',
    certificate.certificate,
    certificate.caKey,
    /tls\.crt, --tls-key .*: the key is not that of the certificate$/,
  ],
  ['a file that is no certificate', 'x', certificate.key, /the certificate cannot be read$/],
  ['a file that does not exist', undefined, certificate.key, /^--tls-cert: cannot read .*tls\.crt$/],
] as const)
  test(`${what} is an error at the start`, async (t) => {
    const at = await folder(t)
    const [tlsCert, tlsKey] = [join(at, 'tls.crt'), join(at, 'tls.key')]
    if (certText !== undefined) await writeFile(tlsCert, certText)
    await writeFile(tlsKey, keyText)
    const opened = await openCertificate({ ...settings, tlsCert, tlsKey }, {}, silent)
    match(opened.ok ? 'opened' : opened.text, why)
  })

test('a mounted Secret that is exchanged is served from the next look on, and a half-written one is not', async (t) => {
  const at = await folder(t)
  const put = async (name: string, cert: string, key: string): Promise<void> => {
    await import('node:fs/promises').then(({ mkdir }) => mkdir(join(at, name)))
    await Promise.all([writeFile(join(at, name, 'tls.crt'), cert), writeFile(join(at, name, 'tls.key'), key)])
    await symlink(name, join(at, '..data.new'))
    await rename(join(at, '..data.new'), join(at, '..data'))
  }
  await put('1', certificate.certificate, certificate.key)
  t.mock.timers.enable({ apis: ['setInterval'] })
  const log = keeping()
  const opened = await open({ tlsCert: join(at, '..data', 'tls.crt'), tlsKey: join(at, '..data', 'tls.key') }, {}, log)
  const used: unknown[] = []
  opened.follow((context) => used.push(context.cert))

  await put('2', certificate.certificate, certificate.caKey)
  await until(
    () => log.lines.length > 0,
    () => t.mock.timers.tick(2_000),
  )
  deepEqual([used, log.lines[0]?.text], [[], 'warn the new certificate cannot serve; the last one stays in use'])

  const next = await renewed(undefined, ['localhost'], new Date())
  await put('3', next.certificate, next.key)
  await until(
    () => used.length > 0,
    () => t.mock.timers.tick(2_000),
  )
  equal(used[0], next.certificate)
  opened.close()
})

async function until(isSo: () => boolean, meanwhile: () => void): Promise<void> {
  for (let i = 0; i < 200 && !isSo(); i++) {
    meanwhile()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('a pair that somebody else keeps is served as it is, and no folder is written', async (t) => {
  const tlsFolder = join(await folder(t), 'none')
  const opened = await openCertificate({ ...settings, tlsFolder }, {}, silent, certificate)
  if (!opened.ok) throw new Error(opened.text)
  deepEqual(opened.certificate.context, { cert: certificate.certificate, key: certificate.key, minVersion: 'TLSv1.3' })
  deepEqual([opened.certificate.ca, opened.certificate.caFile], [undefined, undefined])
  await rejects(stat(tlsFolder))
})
