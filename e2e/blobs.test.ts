import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { makeSigner } from '../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import type { FaultRow, SigningFault } from '../fakes/sigstore/fault.ts'
import { signingFaults } from '../fakes/sigstore/fault.ts'
import type { SignOptions } from '../fakes/sigstore/sigstore.ts'
import { Sigstore } from '../fakes/sigstore/sigstore.ts'
import { verifyArtifactBundle } from '../src/sigstore/artifact.ts'
import type { Terms } from '../src/sigstore/terms.ts'
import { sentenceOf } from '../src/verdict/reason.ts'
import { byKey, keyless, keyOf } from '../test/sigstore/demands.ts'
import type { KeyKind } from './cosign.ts'
import { cosignEnv, importKey } from './cosign.ts'
import type { Parts } from './parts.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { must, run, temporaryFolder } from './processes.ts'

const COSIGNS = ['cosign2', 'cosign3'] as const
const KINDS: readonly KeyKind[] = ['p256', 'p384', 'p521', 'rsa2048', 'ed25519']

const folder = temporaryFolder('blobs')
const env = cosignEnv(folder)
const put = (name: string, content: string | Uint8Array): string => {
  const file = join(folder, name)
  writeFileSync(file, content)
  return file
}
const bytes = Buffer.from('a file\n')
const file = put('file', bytes)

/** Undefined: verified. */
function objection(bundle: Uint8Array, terms: Terms, of: Uint8Array = bytes): string | undefined {
  const digest = createHash('sha256').update(of).digest('hex')
  const answer = verifyArtifactBundle(bundle, { digest, bytes: of }, terms, Date.now())
  return answer.ok ? undefined : sentenceOf(answer.reason)
}

suite('files that cosign 2.6.5 and 3.1.3 sign, and what they say of files that others sign', { skip: leftOutWithout(COSIGNS) }, () => {
  let parts: Pick<Parts, 'cosign2' | 'cosign3'>
  let sigstore: Sigstore
  before(async () => {
    parts = partsIfPresent(COSIGNS) ?? assert.fail('a cosign has gone')
    sigstore = await Sigstore.create()
    put('root.json', JSON.stringify(sigstore.trustedRoot()))
  })

  for (const cosign of COSIGNS)
    for (const kind of KINDS)
      test(`${cosign}, a key of type ${kind}: what it signs and attests to is verified, another file or key is refused`, async () => {
        const key = await importKey(parts as Parts, folder, `${cosign}-${kind}`, kind)
        const terms = byKey(sigstore, keyOf(key.pem), { log: 'ignored' })
        const stranger = byKey(sigstore, keyOf(makeSigner(kind).pem), { log: 'ignored' })
        const offline = ['--tlog-upload=false', ...(cosign === 'cosign2' ? ['--new-bundle-format'] : ['--use-signing-config=false'])]
        const predicate = put('predicate.json', '{"from":"a test"}')
        // With Ed25519 cosign 2 signs no file; what cosign 3 makes then lacks the file's digest, so that it does not accept it itself.
        const signs = kind === 'ed25519' ? [] : [['sign-blob']]
        for (const verb of [...signs, ['attest-blob', '--type', 'custom', '--predicate', predicate]]) {
          const to = join(folder, `${cosign}-${kind}-${verb[0]}.json`)
          await must(parts[cosign], [...verb, '--yes', '--key', key.file, '--bundle', to, ...offline, file], { env })
          const bundle = readFileSync(to)
          assert.equal(objection(bundle, terms), undefined)
          assert.notEqual(objection(bundle, terms, Buffer.from('another file')), undefined)
          assert.notEqual(objection(bundle, stranger), undefined)
          assert.notEqual(objection(bundle, keyless(sigstore, { log: 'ignored' })), undefined)
        }
      })

  const signer = makeSigner()
  const ways: readonly (readonly [string, SignOptions])[] = [
    ['by certificate, Rekor v1', {}],
    ['by certificate, Rekor v2, timestamp', { log: 'v2', timestamp: true }],
    ['by key, Rekor v1', { signer }],
    ['by key, Rekor v2', { signer, log: 'v2' }],
  ]
  for (const [title, options] of ways) {
    test(`a sound signature of a file, ${title}, is accepted by all`, async () => {
      assert.deepEqual(await verdicts(options), { here: undefined, cosign2: 0, cosign3: 0 })
    })
    for (const row of signingFaults.filter((one) => shows(one, options)))
      test(`a file, ${row.fault}, ${title}: refused by all`, async () => {
        const { here, ...codes } = await verdicts({ ...options, broken: row.fault })
        // The proof of inclusion is there, and a key asks for no time.
        const isNone = row.fault === 'promise-missing' && options.signer !== undefined
        assert.equal(here === undefined, isNone, here ?? 'accepted')
        for (const cosign of COSIGNS) assert.equal(codes[cosign] === 0, isNone || accepting(row.fault, options).includes(cosign), cosign)
      })
  }

  async function verdicts(options: SignOptions): Promise<{ here: string | undefined; cosign2: number; cosign3: number }> {
    const bundle = Buffer.from(JSON.stringify(sigstore.signBlob({ bytes, ...options }).bundle))
    const isByKey = options.signer !== undefined
    const time = options.timestamp === true ? 'required' : 'ignored'
    const terms = isByKey ? byKey(sigstore, keyOf(signer.pem), { time }) : keyless(sigstore, { time })
    const who = isByKey
      ? ['--key', put('key.pub', signer.pem)]
      : ['--certificate-identity', DEFAULT_SUBJECT, '--certificate-oidc-issuer', DEFAULT_ISSUER]
    const about = ['--bundle', put('bundle.json', bundle), '--trusted-root', join(folder, 'root.json'), ...who]
    const stamped = options.timestamp === true ? ['--use-signed-timestamps'] : []
    const [cosign2, cosign3] = await Promise.all([
      run(parts.cosign2, ['verify-blob', '--new-bundle-format', ...about, ...stamped, file], { env }),
      run(parts.cosign3, ['verify-blob', ...about, ...stamped, file], { env }),
    ])
    return { here: objection(bundle, terms), cosign2: cosign2.code, cosign3: cosign3.code }
  }
})

/** What a cosign accepts and is refused here. */
function accepting(fault: SigningFault, { log }: SignOptions): readonly ('cosign2' | 'cosign3')[] {
  if (fault === 'sct-second-tampered') return COSIGNS // one good certificate timestamp is enough for them, here all must be
  if (fault === 'entry-of-another-payload' && log === 'v2') return ['cosign2'] // it does not compare what the entry is over
  return []
}

/** Whether the fault is one of a signature over a file. */
function shows({ fault, needs }: FaultRow, options: SignOptions): boolean {
  return (
    needs.makes === undefined &&
    fault !== 'image-other' &&
    (needs.log === undefined || needs.log === 'any' || needs.log === (options.log ?? 'v1')) &&
    (needs.timestamp === undefined || options.timestamp === true) &&
    (needs.certificate === undefined || options.signer === undefined)
  )
}
