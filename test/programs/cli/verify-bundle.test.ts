import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { makeSigner } from '../../../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../../../fakes/sigstore/authority.ts'
import type { BlobOptions } from '../../../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { publicRootExpires } from '../../../src/trust/public-root.ts'

const folder = mkdtempSync(join(tmpdir(), 'sealgate-verify-bundle-'))
after(() => rmSync(folder, { recursive: true }))

const sigstore = await Sigstore.create()
const signer = makeSigner()
const bytes = Buffer.from('a file\n')
const digest = createHash('sha256').update(bytes).digest('hex')

function put(name: string, content: string | Uint8Array | object): void {
  const isRaw = typeof content === 'string' || content instanceof Uint8Array
  writeFileSync(join(folder, name), isRaw ? content : JSON.stringify(content))
}
const blob = (options: Partial<BlobOptions> = {}): object => sigstore.signBlob({ bytes, ...options }).bundle
const PREDICATE_TYPE = 'https://slsa.dev/provenance/v1'
const about = { digest: `sha256:${digest}`, form: 'bundle', predicateType: PREDICATE_TYPE, predicate: {} } as const

put('file', bytes)
put('other', 'another file\n')
put('root', sigstore.trustedRoot())
put('key', signer.pem)
put('bundle', blob())
put('by-key', blob({ signer }))
put('by-p384', blob({ signer: { keyType: 'p384' }, log: 'v2', timestamp: true }))
put('stamped', blob({ log: 'v2', timestamp: true }))
put('statement', sigstore.attest(about).bundle)

type Ran = { readonly status: number | string | null | undefined; readonly out: string; readonly err: string }
function run(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const program = join(import.meta.dirname, '../../../bin/sealgate')
    execFile(program, ['verify-bundle', ...args], { cwd: folder }, (error, out, err) =>
      resolve({ status: error ? error.code : 0, out, err }),
    )
  })
}

const BY_ROOT = ['--trusted-root', 'root']
const WHO = ['--certificate-identity', DEFAULT_SUBJECT, '--certificate-oidc-issuer', DEFAULT_ISSUER] as const

describe('a bundle that signs the file is verified: who signed it, when at the latest, and what a statement is of', () => {
  const signed = `signed by ${DEFAULT_SUBJECT}, says ${DEFAULT_ISSUER}\n`
  const at = (time: number): string => `signed at ${new Date(time).toISOString()} at the latest\n`
  for (const [what, bundle, who, said] of [
    ['a signature', 'bundle', WHO, signed + at(SIGNED_AT + 1000)],
    ['one in Rekor v2, with a timestamp', 'stamped', WHO, signed + at(SIGNED_AT + 2000)],
    ['a statement', 'statement', WHO, `${signed}${at(SIGNED_AT + 1000)}statement ${PREDICATE_TYPE}\n`],
    ['a signature by a key', 'by-key', ['--key', 'key'], `signed by the key ${keyId(signer.pem)}\n${at(SIGNED_AT + 1000)}`],
  ] as const)
    test(what, async () => {
      for (const artifact of ['file', `sha256:${digest}`]) {
        const out = `verified  sha256:${digest}\n${said}`
        assert.deepEqual(await run('--bundle', bundle, ...who, ...BY_ROOT, artifact), { status: 0, out, err: '' })
      }
    })
})

describe('what does not stand is exit status 1, with the reason and what to do on standard error', () => {
  const [, subject, , issuer] = WHO
  const whoElse = ['--certificate-identity', 'eve@example.com', '--certificate-oidc-issuer', issuer]
  const saysElse = ['--certificate-identity', subject, '--certificate-oidc-issuer', 'https://elsewhere.example']
  for (const [what, args, said] of [
    ['another file', ['--bundle', 'bundle', ...WHO, ...BY_ROOT, 'other'], /^refused: .*\n→ .*\n$/],
    ['another digest', ['--bundle', 'bundle', ...WHO, ...BY_ROOT, `sha256:${'0'.repeat(64)}`], /^refused: /],
    ['another signer', ['--bundle', 'bundle', ...whoElse, ...BY_ROOT, 'file'], /expected SAN value "eve@example\.com", got "/],
    ['another issuer', ['--bundle', 'bundle', ...saysElse, ...BY_ROOT, 'file'], /expected issuer value "https:\/\/elsewhere\.example"/],
    ['a certificate where a key is asked for', ['--bundle', 'bundle', '--key', 'key', ...BY_ROOT, 'file'], /not signed with a key/],
    ['a key where a certificate is asked for', ['--bundle', 'by-key', ...WHO, ...BY_ROOT, 'file'], /no certificate/],
    ['a private Sigstore where the public one is believed', ['--bundle', 'bundle', ...WHO, 'file'], /^refused: /],
    ['or its staging instance', ['--bundle', 'bundle', ...WHO, '--staging', 'file'], /^refused: /],
    ['a digest where the key signs the file itself', ['--bundle', 'by-p384', ...WHO, ...BY_ROOT, `sha256:${digest}`], /only its digest/],
    ['what is no bundle', ['--bundle', 'file', ...WHO, ...BY_ROOT, 'file'], /^refused: the bundle cannot be read: /],
  ] as const)
    test(what, async () => {
      const { status, out, err } = await run(...args)
      assert.deepEqual([status, out], [1, ''], err)
      assert.match(err, said)
    })

  test('the embedded root of the public Sigstore instance, once it has ended', async () => {
    const args = ['--bundle', 'bundle', ...WHO, 'file', '--at']
    const { status, err } = await run(...args, new Date(publicRootExpires + 1000).toISOString())
    assert.equal(status, 1)
    assert.match(err, /^refused: the trust root `the public Sigstore instance` ended at /)
    assert.doesNotMatch((await run(...args, new Date(publicRootExpires - 1000).toISOString())).err, /ended/)
  })
})

test('beside --staging the root that is given counts, as the protocol has it', async () => {
  assert.equal((await run('--staging', '--bundle', 'bundle', ...WHO, ...BY_ROOT, 'file')).status, 0)
})

test('with a root that names no log a signature by the key suffices, and one by a certificate never does', async () => {
  put('empty', { mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1' })
  put('unlogged', blob({ signer, log: 'none', timestamp: true }))
  const byKey = async (bundle: string, root: string, ...more: readonly string[]) =>
    (await run('--bundle', bundle, '--key', 'key', '--trusted-root', root, ...more, 'file')).status
  assert.deepEqual([await byKey('unlogged', 'empty'), await byKey('by-key', 'empty')], [0, 0])
  assert.equal(await byKey('unlogged', 'root'), 1, 'this one names a log')
  put('forged', blob({ signer: makeSigner(), log: 'none' }))
  assert.equal(await byKey('forged', 'empty'), 1)
  assert.equal((await run('--bundle', 'unlogged', '--key', 'key', 'file')).status, 1, 'so does the public one')
  const publicKey = { rawBytes: 'AAAA', keyDetails: 'LMS_SHA256', validFor: { start: '2025-01-01T00:00:00Z' } }
  put('unsupported', {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [{ baseUrl: 'https://log.example', publicKey }],
  })
  assert.equal(await byKey('unlogged', 'unsupported'), 1, 'it names a log whose key cannot be used')
  const { status, err } = await run('--bundle', 'bundle', ...WHO, '--trusted-root', 'empty', 'file')
  assert.deepEqual([status, /names no authority and no log/.test(err)], [2, true])
})

test('with --json what is found is one object, and so is the reason', async () => {
  const verified = await run('--bundle', 'statement', ...WHO, ...BY_ROOT, '--json', 'file')
  const { signer: by, ...rest } = JSON.parse(verified.out) as { signer: { subjects: string[] } }
  const times = [new Date(SIGNED_AT + 1000).toISOString()]
  const said = { verified: true, digest: `sha256:${digest}`, times, predicateType: PREDICATE_TYPE }
  assert.deepEqual([verified.status, rest, by.subjects], [0, said, [DEFAULT_SUBJECT]])
  const refused = await run('--bundle', 'by-key', ...WHO, ...BY_ROOT, '--json', 'file')
  const { verified: is, reason } = JSON.parse(refused.out) as { verified: boolean; reason: { code: string; hint: string } }
  assert.deepEqual([refused.status, is, reason.code], [1, false, 'certificate-missing'])
  assert.ok(refused.err.includes(reason.hint))
})

test('the instant at which everything is checked does not matter where it is proven when it was signed', async () => {
  for (const at of ['2026-01-01T00:05:00Z', '2099-01-01T00:00:00Z'])
    assert.equal((await run('--bundle', 'bundle', ...WHO, ...BY_ROOT, '--at', at, 'file')).status, 0)
})

test('a file that is called like a digest is read as the file, as the protocol says', async () => {
  const name = `sha256:${'1'.repeat(64)}`
  put(name, bytes)
  assert.equal((await run('--bundle', 'bundle', ...WHO, ...BY_ROOT, name)).status, 0)
})

describe('what cannot be asked is exit status 2, with the reason on standard error and nothing on standard output', () => {
  const asked = ['--bundle', 'bundle', ...WHO, ...BY_ROOT]
  for (const [what, args, said] of [
    ['no bundle', [...WHO, 'file'], /--bundle FILE/],
    ['no file', asked, /one FILE/],
    ['two files', [...asked, 'file', 'other'], /one FILE/],
    ['nobody who must have signed', ['--bundle', 'bundle', 'file'], /who signed\?/],
    ['an identity without an issuer', ['--bundle', 'bundle', ...WHO.slice(0, 2), 'file'], /needs --certificate-oidc-issuer/],
    ['an issuer without an identity', ['--bundle', 'bundle', ...WHO.slice(2), 'file'], /needs --certificate-identity/],
    ['a key and an identity', [...asked, '--key', 'key', 'file'], /exclude each other/],
    ['a bundle that is missing', ['--bundle', 'nowhere', ...WHO, 'file'], /nowhere: no such file/],
    ['a file that is missing', [...asked, 'nowhere'], /nowhere: no such file/],
    ['a digest that is none', [...asked, 'sha256:123'], /sha256:123: no such file/],
    ['a root that is none', ['--bundle', 'bundle', ...WHO, '--trusted-root', 'file', 'file'], /the trust root `file` cannot be read/],
    ['a key that is none', ['--bundle', 'by-key', '--key', 'file', 'file'], /^sealgate verify-bundle: file: /],
    ['an option of another command', [...asked, '--manifests', 'x', 'file'], /unknown option/],
  ] as const)
    test(what, async () => {
      const { status, out, err } = await run(...args)
      assert.deepEqual([status, out], [2, ''], err)
      assert.match(err, said)
    })
})

function keyId(pem: string): string {
  return createHash('sha256')
    .update(Buffer.from(pem.replaceAll(/-----.*-----|\n/g, ''), 'base64'))
    .digest('hex')
}
