import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Vault } from '../../../fakes/cloud/vault.ts'
import { Internet } from '../../../fakes/internet.ts'
import type { Put } from '../../../fakes/registry-content.ts'
import { FakeRegistry } from '../../../fakes/registry.ts'
import { makeSigner, signatureManifest, signOldForm } from '../../../fakes/signer.ts'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import { trustedRootTarget, TufRepository } from '../../../fakes/sigstore/tuf.ts'

const sealgate = join(import.meta.dirname, '../../../bin/sealgate')
const signer = makeSigner()
const other = makeSigner()

function policy(name: string, glob: string, ...authorities: readonly object[]): string {
  return JSON.stringify({
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: [{ glob }], authorities },
  })
}
const key = (name: string, { pem }: { pem: string }) => ({ name, key: { data: pem } })

let folder: string
let fake: FakeRegistry
let image: Put
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-explain-'))
  fake = await FakeRegistry.start()
  image = fake.manifest('app', { schemaVersion: 2, layers: [] }, 'v1')
  const { manifest, blobs, tag } = signatureManifest(image.digest, [signOldForm(signer, image.digest)])
  for (const blob of blobs) fake.blob('app', blob.bytes)
  fake.manifest('app', manifest.bytes, tag, manifest.mediaType)
  await writeFile(join(folder, 'signed.yaml'), policy('signed', 'registry.example/app**', key('release', signer)))
  await writeFile(join(folder, 'other.yaml'), policy('other', 'registry.example/app**', key('wrong', other)))
  await writeFile(join(folder, 'either.yaml'), policy('either', 'registry.example/app**', key('wrong', other), key('release', signer)))
  await writeFile(
    join(folder, 'any.yaml'),
    policy('any', 'registry.example/app**', { name: 'all', static: { action: 'pass' } }, key('release', signer), key('wrong', other)),
  )
  await writeFile(
    join(folder, 'warn.yaml'),
    policy('other', 'registry.example/app**', key('wrong', other)).replace('"spec":{', '"spec":{"mode":"warn",'),
  )
  await writeFile(join(folder, 'names.yaml'), policy('names', 'registry.example/**', { name: 'all', static: { action: 'pass' } }))
  await writeFile(
    join(folder, 'deployment.yaml'),
    `apiVersion: apps/v1
kind: Deployment
metadata: { name: d, namespace: team }
spec: { template: { spec: { containers: [{ image: 'registry.example/app:v1' }, { image: 'registry.example/side@sha256:${'c'.repeat(64)}' }] } } }
`,
  )
  await writeFile(join(folder, 'service.yaml'), 'apiVersion: v1\nkind: Service\nmetadata: { name: s }\n')
})
after(async () => {
  await fake.close()
  await rm(folder, { recursive: true })
})

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ status: number | null; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(sealgate, ['explain', '--mirror', `registry.example=${fake.url}`, ...args], {
      cwd: folder,
      env: { ...process.env, ...env },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    child.on('close', (status) => resolve({ status, out, err }))
    child.stdin.end()
  })
}

test('an admitted image is explained down to the check that passed, its tag resolved first', async () => {
  const { status, out, err } = await run(['registry.example/app:v1', '--manifests', 'signed.yaml'])
  assert.deepEqual([status, err], [0, ''])
  const [resolved, ...lines] = out.trimEnd().split('\n')
  assert.equal(resolved, `registry.example/app:v1 is now registry.example/app:v1@${image.digest}`)
  assert.match(
    lines.join('\n'),
    /^pass    image registry\.example\/app:v1@sha256:[0-9a-f]{64} at spec\.containers\[0\]\.image\npass      policy signed\npass        authority release \(key\)/,
  )
  assert.match(out, /pass +the key [0-9a-f]{16} signed this digest: signed with the key [0-9a-f]{64}\n/)
  assert.equal(lines.at(-1), 'admitted')
})

test('a refused image is explained with what was found and what to do, and the words of the webhook at the end', async () => {
  const { status, out } = await run(['registry.example/app:v1', '--manifests', 'other.yaml'])
  assert.equal(status, 1)
  assert.match(
    out,
    /fail +the key [0-9a-f]{16} signed this digest: invalid signature when validating ASN\.1 encoded signature\n +→ the signature was made with another key/,
  )
  assert.match(out, /fail +signatures among the referrers in registry\.example\/app: no signatures found among the referrers\n/)
  assert.match(out, /\nrefused: validation failed: failed policy: other: spec\.containers\[0\]\.image\nregistry\.example\/app:v1@sha256:/)
  assert.ok(!out.includes('\u001b'))
})

test('an authority that did not pass is shown as far as it was judged, though another passed', async () => {
  const { status, out } = await run(['registry.example/app:v1', '--manifests', 'either.yaml'])
  assert.equal(status, 0)
  assert.match(out, /pass {6}policy either: any of these suffices\nfail {8}authority wrong \(key\)/)
  assert.ok(!out.includes('context was canceled'), out)
})

test('every authority is shown as it was judged, though one that passes suffices', async () => {
  const { status, out } = await run(['registry.example/app:v1', '--manifests', 'any.yaml'])
  assert.equal(status, 0)
  const authorities = out.split('\n').filter((line) => line.includes(' authority '))
  assert.deepEqual(
    authorities.map((line) => line.replace(/ +authority /, ' ').replace(/: any of these suffices$/, '')),
    ['pass all (static): allowed by static policy', 'pass release (key)', 'fail wrong (key)'],
  )
  assert.ok(!out.includes('context was canceled'), out)
})

test('a policy that passes whatever the image is passes too where its registry cannot be asked', async () => {
  await writeFile(
    join(folder, 'gone.yaml'),
    policy('gone', 'gone.example/**', key('release', signer), { name: 'all', static: { action: 'pass' } }),
  )
  const args = ['--mirror', 'gone.example=http://127.0.0.1:1', `gone.example/app@${image.digest}`, '--manifests', 'gone.yaml']
  const { status, out } = await run(args)
  assert.equal(status, 0, out)
  assert.match(out, /unknown +authority release \(key\)/)
})

test('a policy that only warns shows its refusal, and the image is admitted with the warning', async () => {
  const { status, out } = await run(['registry.example/app:v1', '--manifests', 'warn.yaml'])
  assert.equal(status, 0)
  assert.match(out, /fail {6}policy other, which only warns\n/)
  assert.match(out, /\nwarning: failed policy: other: spec\.containers\[0\]\.image\n/)
  assert.match(out, /\nadmitted\n$/)
})

test('an object is judged as it is: all of its images, or the one that is named', async () => {
  const manifests = ['--manifests', 'names.yaml', '--object', 'deployment.yaml']
  const whole = await run(manifests)
  assert.equal(whole.status, 0)
  assert.match(whole.out, /^pass {4}the object: each of these must pass$/m)
  assert.match(whole.out, /registry\.example\/side@sha256:c+ at spec\.template\.spec\.containers\[1\]\.image/)
  const one = await run([...manifests, 'registry.example/app:v1'])
  assert.equal(one.status, 0)
  assert.ok(!one.out.includes('registry.example/side'))
  const none = await run([...manifests, 'registry.example/else'])
  assert.deepEqual([none.status, none.out], [2, ''])
  assert.match(none.err, /does not run registry\.example\/else; it runs registry\.example\/app:v1, registry\.example\/side@/)
})

test('with --json the tree is data, each reason with its sentence and hint', async () => {
  const { status, out } = await run(['registry.example/app:v1', '--manifests', 'other.yaml', '--json'])
  assert.equal(status, 1)
  const answer = JSON.parse(out) as {
    admitted: boolean
    message: string
    resolved: object[]
    decision: { outcome: string; parts: object[] }
  }
  assert.deepEqual([answer.admitted, answer.decision.outcome, answer.decision.parts.length, answer.resolved.length], [false, 'fail', 1, 1])
  assert.match(answer.message, /^validation failed: failed policy: other/)
  assert.ok(out.includes('"hint":"the signature was made with another key'))
})

test('a tag that cannot be resolved is refused, and the tree says why', async () => {
  const { status, out } = await run(['registry.example/app:nowhere', '--manifests', 'signed.yaml'])
  assert.equal(status, 1)
  assert.match(out, /unknown {3}the tag can be resolved: the tag could not be resolved to a digest: GET http/)
})

test('an object without images to judge is refused in the words of the webhook', async () => {
  const { status, out } = await run(['--object', 'service.yaml', '--manifests', 'signed.yaml'])
  assert.deepEqual([status, out], [1, 'refused: decoding request failed: unhandled kind: /v1, Kind=Service\n'])
})

for (const [name, args, said] of [
  ['nothing to explain', [], /IMAGE/],
  ['two images', ['a', 'b'], /one IMAGE/],
  ['an object that is missing', ['--object', 'nowhere.yaml'], /nowhere\.yaml/],
  ['another namespace than the object is of', ['--object', 'deployment.yaml', '--namespace', 'other'], /namespace team/],
  ['manifests that are missing', ['app', '--manifests', 'nowhere'], /nowhere/],
] as const) {
  test(`${name} is exit status 2, with the reason on standard error and nothing on standard output`, async () => {
    const { status, out, err } = await run(args)
    assert.deepEqual([status, out], [2, ''])
    assert.match(err, said)
  })
}

const sigstore = await Sigstore.create()
const tuf = new TufRepository({ now: Date.now(), targets: trustedRootTarget(sigstore) })

/** A policy that asks for a keyless signature, and the TrustRoot that it names. */
async function keyless(name: string, mirror: string): Promise<string> {
  const authority = { name: 'release', keyless: { trustRootRef: 'ours', identities: [{ issuerRegExp: '.*', subjectRegExp: '.*' }] } }
  const withLog = { ...authority, ctlog: { url: 'https://rekor.sigstore.example', trustRootRef: 'ours' } }
  const trustRoot = {
    apiVersion: 'policy.sigstore.dev/v1alpha1',
    kind: 'TrustRoot',
    metadata: { name: 'ours' },
    spec: { remote: { root: tuf.root().toString('base64'), mirror } },
  }
  await writeFile(join(folder, name), `${policy('keyless', 'registry.example/keyless**', withLog)}\n---\n${JSON.stringify(trustRoot)}`)
  return name
}

test('whom a policy trusts is fetched from the TUF repository of its TrustRoot, through mirrors that are given', async () => {
  const server = await tuf.serve()
  const { digest } = fake.manifest('keyless', { schemaVersion: 2, layers: [] }, 'v1')
  const { manifest, blobs, tag } = signatureManifest(digest, [sigstore.signImage({ digest, form: 'annotations' })])
  for (const blob of blobs) fake.blob('keyless', blob.bytes)
  fake.manifest('keyless', manifest.bytes, tag, manifest.mediaType)
  const file = await keyless('tuf.yaml', 'https://tuf.example')
  const told = await run([`registry.example/keyless@${digest}`, '--manifests', file, '--mirror', `tuf.example=${server.url}`])
  assert.equal(told.status, 0, told.out + told.err)
  assert.match(told.out, /an identity of the policy \(\/\.\*\/ with issuer \/\.\*\/\) signed this digest: signed by /)
  const { url } = server
  await server.close()
  const refused = await run([`registry.example/keyless@${digest}`, '--manifests', file, '--mirror', `tuf.example=${url}`])
  assert.equal(refused.status, 1)
  assert.match(refused.out, /the trust root `ours` could not be fetched: failed to construct TUF client from remote: /)
})

test('what became of each credential is told, and nothing that is in it', async () => {
  fake.protect('private/', { scheme: 'basic', username: 'token', password: 'ghp_secret' })
  const secret = fake.manifest('private/app', { schemaVersion: 2, layers: [] }, 'v1')
  const docker = join(folder, 'docker')
  await mkdir(docker)
  await writeFile(
    join(docker, 'config.json'),
    JSON.stringify({ auths: { 'ghcr.io': { username: 'token', password: 'old' } }, credsStore: 'absent' }),
  )
  await writeFile(join(folder, 'private.yaml'), policy('private', 'ghcr.io/private/**', key('release', signer)))
  const env = { DOCKER_CONFIG: docker, GITHUB_TOKEN: 'ghp_secret' }
  const args = ['--mirror', `ghcr.io=${fake.url},credentials`, '--manifests', 'private.yaml', `ghcr.io/private/app@${secret.digest}`]
  const { out } = await run(args, env)
  assert.match(
    out,
    /\ncredentials for ghcr\.io\/private\/app: docker-credential-absent was passed over \(it could not be run: ENOENT\); Docker config of the controller was refused; GitHub was taken\n/,
  )
  assert.ok(!out.includes('ghp_secret'))
  const { credentials } = JSON.parse((await run([...args, '--json'], env)).out) as { credentials: readonly { place: string }[] }
  assert.deepEqual(credentials, [
    {
      place: 'ghcr.io/private/app',
      attempts: [
        { source: 'docker-credential-absent', became: 'withheld', why: 'it could not be run: ENOENT' },
        { source: 'Docker config of the controller', became: 'refused' },
        { source: 'GitHub', became: 'taken' },
      ],
    },
  ])
  assert.ok(!(await run(['registry.example/app:v1', '--manifests', 'signed.yaml'])).out.includes('credentials for'))
})

test('keys of key management services are read, and one that cannot be read is unknown', async () => {
  const vault = new Vault()
  const internet = await Internet.start('vault.example')
  internet.host('metadata', vault.host())
  vault.keys.set('release', { type: 'ecdsa-p256', versions: [createPublicKey(signer.pem)] })
  await writeFile(
    join(folder, 'kms.yaml'),
    policy('kms', 'registry.example/app**', { name: 'release', key: { kms: 'hashivault://release' } }),
  )
  const args = ['registry.example/app:v1', '--manifests', 'kms.yaml']
  const env = { VAULT_ADDR: `http://${internet.plain}`, VAULT_TOKEN: vault.token }
  try {
    assert.equal((await run(args, env)).status, 0)
    vault.isSealed = true
    internet.trouble('metadata', { status: 501 })
    const { status, out } = await run(args, env)
    assert.equal(status, 1)
    assert.match(out, /unknown +the policy can be carried out: the public key of `hashivault:\/\/release` could not be read: HTTP 501\n/)
    internet.trouble('metadata', undefined)
    vault.isSealed = false
    vault.keys.clear()
    assert.match(
      (await run(args, env)).out,
      /fail +the policy can be carried out: `hashivault:\/\/release` has no public key that can be used: there is no such key\n/,
    )
  } finally {
    await internet.close()
  }
})
