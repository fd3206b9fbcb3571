import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Put } from '../fakes/registry-content.ts'
import {
  attestationManifest,
  attestOldForm,
  bundleReferrer,
  makeSigner,
  signBundle,
  signOldForm,
  signatureManifest,
  signatureReferrer,
} from '../fakes/signer.ts'
import type { Pushed } from '../fakes/signer.ts'
import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import type { Signing } from '../fakes/sigstore/sigstore.ts'
import { SIGNED_AT, Sigstore } from '../fakes/sigstore/sigstore.ts'
import { digestOf } from '../src/image/digest.ts'
import { readTrustedRoot } from '../src/trust/trusted-root.ts'
import { about, deployment, Desk, dockerConfig, pod } from './desk.ts'

const signer = makeSigner()
const other = makeSigner()
const official = { name: 'official', key: { data: signer.pem } }
const pass = { static: { action: 'pass' } }
const refuse = { static: { action: 'fail', message: 'no' } }

/** A desk with an image `registry.example/app`, signed with the official key in the old form. */
async function signed(options: Parameters<typeof Desk.open>[0] = {}) {
  const desk = await Desk.open({ policies: { p: about(official) }, ...options })
  const image = desk.image('app')
  desk.push('app', signatureManifest(image.digest, [signOldForm(signer, image.digest)]))
  return { desk, image, name: `registry.example/app@${image.digest}` }
}

describe('a signed image', () => {
  test('is admitted, and the second time no registry is asked', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    const asked = desk.fake.seen.length
    assert.equal((await desk.validate(pod(name))).allowed, true)
    assert.equal((await desk.validate(deployment(name))).allowed, true)
    assert.equal(desk.fake.seen.length, asked)
  })

  test('is refused when the policy has another key, though it passed under the first one', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    desk.use({ p: about({ name: 'official', key: { data: other.pem } }) })
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.equal(
      message,
      `validation failed: failed policy: p: spec.containers[0].image\n${name} signature key validation failed for authority official for ${name}: no matching signatures: invalid signature when validating ASN.1 encoded signature`,
    )
  })

  test('lesson 47: the same digest in a repository without its signature does not inherit the pass', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    const copy = desk.image('copy', 'app')
    assert.equal(name.endsWith(copy.digest), true)
    assert.equal((await desk.validate(pod(`registry.example/copy@${copy.digest}`))).allowed, false)
  })

  for (const [form, push] of [
    ['as a bundle among the referrers', (image) => bundleReferrer(image, signBundle(signer, image.digest))],
    ['as an OCI 1.1 signature among the referrers', (image) => signatureReferrer(image, [signOldForm(signer, image.digest)])],
  ] as const satisfies [string, (image: Parameters<typeof bundleReferrer>[0]) => ReturnType<typeof bundleReferrer>][]) {
    for (const referrers of ['api', 404] as const) {
      test(`${form} is found ${referrers === 'api' ? 'by the API' : 'by the fallback tag'}`, async () => {
        await using desk = await Desk.open({ policies: { p: about(official) }, registry: { referrers } })
        const image = desk.image('app')
        const pushed = push(image)
        desk.push('app', pushed)
        if (referrers !== 'api') {
          const { manifest } = pushed
          const entry = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length }
          desk.fake.manifest(
            'app',
            { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [entry] },
            `sha256-${image.digest.slice(7)}`,
          )
        }
        assert.equal((await desk.validate(pod(`registry.example/app@${image.digest}`))).allowed, true)
      })
    }
  }

  test('a bundle signed with another key is told on a further line', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    const image = desk.image('app')
    desk.push('app', bundleReferrer(image, signBundle(other, image.digest)))
    const { allowed, message } = await desk.validate(pod(`registry.example/app@${image.digest}`))
    assert.equal(allowed, false)
    const [, first, second] = message.split('\n')
    assert.match(first ?? '', /: no signatures found$/)
    assert.match(second ?? '', /^a bundle among the referrers does not pass either: /)
  })

  test('referrers that cannot be read never undo a pass', async () => {
    const { desk, name } = await signed({ registry: { referrers: 500 } })
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('referrers that cannot be read make an unsigned image unknown, on a further line', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) }, registry: { referrers: 500 } })
    const image = desk.image('app')
    const { allowed, message, admission } = await desk.validate(pod(`registry.example/app@${image.digest}`))
    assert.equal(allowed, false)
    assert.equal(admission.decision?.outcome, 'unknown')
    assert.match(message.split('\n')[1] ?? '', /: no signatures found$/)
    assert.match(message.split('\n')[2] ?? '', /^the referrers could not be read: GET http:\/\/registry.example\/v2\/app\/referrers\//)
  })

  test('its signature may lie in another repository and under a prefix', async () => {
    const source = [{ oci: 'registry.example/sigs', tagPrefix: 'x-' }]
    await using desk = await Desk.open({ policies: { p: about({ ...official, source }) } })
    const image = desk.image('app')
    const name = `registry.example/app@${image.digest}`
    desk.push('app', signatureManifest(image.digest, [signOldForm(signer, image.digest)]))
    assert.equal((await desk.validate(pod(name))).allowed, false, 'beside the image it does not count')
    desk.push('sigs', signatureManifest(image.digest, [signOldForm(signer, image.digest)], 'x-'))
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('a signature of another image does not count', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    const image = desk.image('app')
    const foreign = desk.image('foreign')
    desk.push('app', signatureManifest(image.digest, [signOldForm(signer, foreign.digest)]))
    const { allowed, message } = await desk.validate(pod(`registry.example/app@${image.digest}`))
    assert.equal(allowed, false)
    assert.match(message, new RegExp(`invalid or missing digest in claim: ${foreign.digest}`))
  })

  test('of several signatures one suffices', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    const image = desk.image('app')
    desk.push('app', signatureManifest(image.digest, [signOldForm(other, image.digest), signOldForm(signer, image.digest)]))
    assert.equal((await desk.validate(pod(`registry.example/app@${image.digest}`))).allowed, true)
  })
})

describe('policies', () => {
  test('any authority suffices, whatever the others say', async () => {
    const { desk, name } = await signed({ policies: { p: about({ name: 'first', key: { data: other.pem } }, official) } })
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('every policy that matches has to pass, and each says why not in name order', async () => {
    const { desk, name } = await signed({ policies: { b: about(refuse), a: about({ key: { data: other.pem } }), c: about(official) } })
    await using _ = desk
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.deepEqual(message.match(/failed policy: \w/g), ['failed policy: a', 'failed policy: b'])
  })

  test('a policy with a static pass asks no registry', async () => {
    const { desk, name } = await signed({ policies: { p: about({ key: { data: other.pem } }, pass) } })
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    assert.equal(desk.fake.seen.length, 0)
  })

  test('warn mode admits with the same words as warnings, time-outs included', async () => {
    const { desk, name } = await signed({ policies: { p: { ...about({ name: 'a', key: { data: other.pem } }), mode: 'warn' } } })
    await using _ = desk
    const judged = await desk.validate(pod(name))
    assert.equal(judged.allowed, true)
    assert.equal(judged.warnings[0], 'failed policy: p: spec.containers[0].image')
    desk.fake.misbehave('/app/', { late: 300 })
    const late = await desk.validate(pod(name), {}, 50)
    assert.equal(late.allowed, true)
    assert.deepEqual(late.codes, ['deadline'])
  })

  test('a registry that is down is «unknown», never «not signed», and refuses', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { status: 403, body: '{"errors":[{"code":"DENIED","message":"denied"}]}' })
    const { allowed, message, codes } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.match(
      message,
      /for authority official for registry\.example\/app@sha256:[0-9a-f]{64}: GET http:\/\/registry\.example\/v2\/app\/manifests\/sha256-[0-9a-f]{64}\.sig: DENIED: denied\n/,
    )
    assert.ok(codes.includes('registry-refused'))
    assert.ok(!codes.includes('no-signatures'))
  })

  test('what is no manifest under the .sig tag is told in the words of its parser, and on a further line where it lies', async () => {
    const { desk, image, name } = await signed()
    await using _ = desk
    const tag = `sha256-${image.digest.slice(7)}.sig`
    desk.fake.manifest('app', Buffer.from('garbage'), tag, 'application/vnd.oci.image.manifest.v1+json')
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    const [, said, where] = message.split('\n')
    assert.match(said ?? '', /for authority official for \S+: invalid character 'g' looking for beginning of value$/)
    assert.equal(where, `registry.example/app:${tag} is no manifest`)
  })

  test('two containers of one image that fail the same way are one leaf with two paths', async () => {
    await using desk = await Desk.open({ policies: { p: about(refuse) } })
    const name = `registry.example/app@sha256:${'a'.repeat(64)}`
    const { message } = await desk.validate(pod(name, name))
    assert.equal(
      message,
      `validation failed: failed policy: p: spec.containers[0].image, spec.containers[1].image\n${name} disallowed by static policy: no`,
    )
  })

  for (const [spec, why] of [
    [{ policy: { type: 'cue', data: 'a: 1' } }, 'spec.policy is not carried out by this version, so it never counts as satisfied'],
    [{ mode: 'audit' }, 'invalid value: audit: spec.mode\nunsupported mode'],
  ] as const) {
    test(`a policy that cannot be carried out still speaks about its images, and refuses: ${why.split('\n')[0]}`, async () => {
      const { desk, name } = await signed({
        policies: { p: { ...about(official, pass), ...spec } },
        settings: { 'no-match-policy': 'allow' },
      })
      await using _ = desk
      const { allowed, message } = await desk.validate(pod(name))
      assert.equal(allowed, false)
      assert.equal(message, `validation failed: failed policy: p: spec.containers[0].image\n${name} ${why}`)
    })
  }

  test('an authority with a field that is not carried out refuses, and a good one beside it still passes', async () => {
    const attestations = [{ name: 'a', predicateType: 'custom', policy: { type: 'cue', data: 'a: 1' } }]
    const { desk, name } = await signed({ policies: { p: about({ ...official, name: 'judged', attestations }) } })
    await using _ = desk
    assert.match((await desk.validate(pod(name))).message, /spec\.authorities\[0\]\.attestations\[0\]\.policy is not carried out/)
    desk.use({ p: about({ ...official, attestations }, official) })
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })
})

describe('an image named by tag', () => {
  const tag = 'registry.example/app:v1'
  const missing = 'registry.example/gone:v1'

  test('is refused by validation with the specified first line, and then the registry’s reason', async () => {
    const { desk } = await signed()
    await using _ = desk
    const { allowed, message } = await desk.validate(pod(missing))
    assert.equal(allowed, false)
    const [first, second] = message.split('\n')
    assert.equal(first, `validation failed: invalid value: ${missing} must be an image digest: spec.containers[0].image`)
    assert.match(second ?? '', /^the tag could not be resolved to a digest: GET http:\/\/registry\.example\/v2\/gone\/manifests\/v1: /)
  })

  test('is refused with the names of the credentials that were tried where the registry refused them', async () => {
    const secrets = [dockerConfig('demo', 'old', 'puller', 'forgotten')]
    await using desk = await Desk.open({ policies: { p: about(official) }, secrets, accountSecrets: ['old'] })
    desk.image('app')
    desk.fake.protect('app', { scheme: 'basic', username: 'puller', password: 's3cret' })
    const { message } = await desk.validate(pod(tag))
    assert.match(message, /UNAUTHORIZED: .*\ncredentials tried, in order: Secret demo\/old, anonymous$/)
    assert.doesNotMatch(message, /forgotten|s3cret/)
    assert.doesNotMatch((await desk.validate(pod(missing))).message, /credentials tried/)
  })

  test('is refused even when the registry answers by now, and is told to try again', async () => {
    const { desk } = await signed()
    await using _ = desk
    const { allowed, message } = await desk.validate(pod(tag))
    assert.equal(allowed, false)
    assert.match(message, /\nthe tag could not be resolved when the object was admitted, but can be now: try again$/)
  })

  test('is admitted where every policy that may speak about it is a static pass', async () => {
    await using desk = await Desk.open({ policies: { p: about(pass) } })
    assert.equal((await desk.validate(pod(missing))).allowed, true)
    assert.equal(desk.fake.seen.length, 0)
  })

  test('is not admitted by a static pass for one digest only', async () => {
    await using desk = await Desk.open({
      policies: { p: { images: [{ glob: `registry.example/gone@sha256:${'a'.repeat(64)}` }], authorities: [pass] } },
    })
    assert.equal((await desk.validate(pod(missing))).allowed, false)
  })

  test('is admitted with a warning where every policy that speaks about it is in warn mode', async () => {
    await using desk = await Desk.open({ policies: { p: { ...about(official), mode: 'warn' } } })
    const { allowed, warnings } = await desk.validate(pod(missing))
    assert.equal(allowed, true)
    assert.equal(warnings[0], `invalid value: ${missing} must be an image digest: spec.containers[0].image`)
  })

  for (const [setting, allowed] of [
    ['deny', false],
    ['warn', true],
    ['allow', true],
  ] as const) {
    test(`that no policy speaks about is ${allowed ? 'admitted' : 'refused'} with no-match-policy: ${setting}`, async () => {
      await using desk = await Desk.open({
        policies: { p: { images: [{ glob: 'other.example/**' }], authorities: [official] } },
        settings: { 'no-match-policy': setting },
      })
      assert.equal((await desk.validate(pod(missing))).allowed, allowed)
    })
  }

  test('may be spoken about by a policy for one digest, so no-match-policy does not let it pass', async () => {
    const policies = { p: { images: [{ glob: `registry.example/gone@sha256:${'a'.repeat(64)}` }], authorities: [official] } }
    await using desk = await Desk.open({ policies, settings: { 'no-match-policy': 'allow' } })
    assert.equal((await desk.validate(pod(missing))).allowed, false)
  })

  test('is resolved by mutation, each distinct tag once', async () => {
    const { desk, image } = await signed()
    await using _ = desk
    const { patch } = await desk.mutate(pod(tag, tag, missing))
    assert.deepEqual(
      patch.map(({ path, value }) => [path, value]),
      [
        ['/spec/containers/0/image', `${tag}@${image.digest}`],
        ['/spec/containers/1/image', `${tag}@${image.digest}`],
      ],
    )
    assert.equal(desk.fake.seen.filter((s) => s.path.endsWith('/app/manifests/v1')).length, 1)
  })

  test('lesson 3: a registry that alternates its answers never wins: the digest that was resolved is the one that is judged', async () => {
    const { desk, image } = await signed()
    await using _ = desk
    const evil = desk.image('app', 'evil', 'evil')
    desk.fake.tag('app', 'v1', image.digest, evil.digest)
    for (const digest of [image.digest, evil.digest]) {
      const { patch } = await desk.mutate(pod(tag))
      assert.equal(patch[0]?.value, `${tag}@${digest}`)
      assert.equal((await desk.validate(pod(patch[0]!.value))).allowed, digest === image.digest)
    }
  })

  test('with tag-resolution: digest-only loses its tag', async () => {
    const { desk, image } = await signed({ settings: { 'tag-resolution': 'digest-only' } })
    await using _ = desk
    assert.equal((await desk.mutate(pod(tag))).patch[0]?.value, `registry.example/app@${image.digest}`)
  })

  test('with tag-resolution-for: pods a template keeps it and is judged by what it means now', async () => {
    const { desk, image } = await signed({ settings: { 'tag-resolution-for': 'pods' } })
    await using _ = desk
    assert.deepEqual((await desk.mutate(deployment(tag))).patch, [])
    assert.equal((await desk.mutate(pod(tag))).patch[0]?.value, `${tag}@${image.digest}`)
    assert.equal((await desk.validate(deployment(tag))).allowed, true)
    assert.equal((await desk.validate(deployment(missing))).allowed, false)
    assert.equal((await desk.validate(pod(tag))).allowed, false, 'a Pod by tag is not admitted')
  })

  test('with tag-resolution-for: pods a template asks its registry once, and not at all where only static passes concern it', async () => {
    const { desk } = await signed({ settings: { 'tag-resolution-for': 'pods' } })
    await using _ = desk
    assert.match((await desk.validate(deployment(missing))).message, /must be an image digest.*\nthe tag could not be resolved/)
    assert.equal(desk.fake.seen.filter(({ path }) => path.endsWith('/gone/manifests/v1')).length, 1)
    desk.use({ p: about(pass) })
    const asked = desk.fake.seen.length
    assert.equal((await desk.validate(deployment(missing))).allowed, true)
    assert.equal(desk.fake.seen.length, asked)
  })

  test('that cannot be resolved leaves the object as it is', async () => {
    const { desk } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { status: 401 })
    const { allowed, patch } = await desk.mutate(pod(tag))
    assert.deepEqual([allowed, patch], [true, []])
  })

  test('takes 2 s of a mutation, and of a validation, however much time there is', async () => {
    const { desk } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { late: 4_000 })
    const [mutated, validated] = await Promise.all([desk.mutate(pod(tag), {}, 30_000), desk.validate(pod(tag), {}, 30_000)])
    assert.deepEqual([mutated.allowed, mutated.patch], [true, []])
    assert.match(validated.message, /\nthe tag could not be resolved to a digest: registry\.example did not answer within 2\.0 s$/)
  })

  test('takes no more of a mutation than its budget', async () => {
    const { desk } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { late: 2_000 })
    const { allowed, patch } = await desk.mutate(pod(tag), {}, 50)
    assert.deepEqual([allowed, patch], [true, []])
  })
})

describe('without policies', () => {
  const name = `registry.example/app@sha256:${'a'.repeat(64)}`

  /** An image that somebody signed keyless, and a cluster without policies that believes `root`. */
  async function signedKeyless(options: Parameters<typeof Desk.open>[0] = {}, signing: object = {}) {
    const sigstore = await Sigstore.create()
    const root = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'the public Sigstore instance')
    assert.ok(root.ok)
    const desk = await Desk.open({ outside: { publicRoot: root }, now: SIGNED_AT + 86_400_000, ...options })
    const image = desk.image('app')
    desk.push('app', signatureManifest(image.digest, [sigstore.signImage({ digest: image.digest, form: 'annotations', ...signing })]))
    return { desk, sigstore, image, name: `registry.example/app@${image.digest}`, root: root.value }
  }

  test('an image that anybody signed keyless is admitted, each time with a warning that names the signer', async () => {
    const { desk, name } = await signedKeyless()
    await using _ = desk
    const warnings = [
      `there is no ClusterImagePolicy: the image was verified keyless against the public Sigstore instance, signed by \`${DEFAULT_SUBJECT}\` with issuer \`${DEFAULT_ISSUER}\`: spec.containers[0].image`,
      name,
    ]
    const first = await desk.validate(pod(name))
    assert.deepEqual([first.allowed, first.warnings], [true, warnings])
    const asked = desk.fake.seen.length
    const second = await desk.validate(pod(name))
    assert.deepEqual([second.allowed, second.warnings], [true, warnings])
    assert.equal(desk.fake.seen.length, asked, 'it is remembered')
  })

  test('an image without a signature is refused, and it is said by what it was judged', async () => {
    await using desk = await Desk.open({})
    const { allowed, message, codes } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.equal(
      message,
      `validation failed: failed policy: (no ClusterImagePolicy): spec.containers[0].image\n${name} signature keyless validation failed for authority public-sigstore for ${name}: no signatures found\nthere is no ClusterImagePolicy, so images are verified keyless against the public Sigstore instance`,
    )
    assert.ok(codes.includes('no-signatures'))
  })

  test('an image that is signed by a certificate of somebody else is refused', async () => {
    const { desk, name } = await signedKeyless({}, { broken: 'leaf-of-another-authority' })
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, false)
  })

  test('an image that a log does not have is refused', async () => {
    const { desk, name } = await signedKeyless({}, { log: 'none' })
    await using _ = desk
    assert.match((await desk.validate(pod(name))).message, /offline verification failed/)
  })

  test('once there is any policy, nobody is admitted by the fallback', async () => {
    const { desk, name } = await signedKeyless({ policies: { p: { images: [{ glob: 'other.example/**' }], authorities: [pass] } } })
    await using _ = desk
    assert.match((await desk.validate(pod(name))).message, /no matching policies/)
  })

  test('with keyless: disabled the fallback refuses and names the setting', async () => {
    await using desk = await Desk.open({ settings: { keyless: 'disabled' } })
    assert.match((await desk.validate(pod(name))).message, /keyless: disabled/)
  })

  test('with without-policies: no-match-policy that setting decides', async () => {
    await using desk = await Desk.open({ settings: { 'without-policies': 'no-match-policy', 'no-match-policy': 'allow' } })
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('lesson 10: a list that could not be read is not an empty one: everything is refused', async () => {
    await using desk = await Desk.open({
      policiesIncomplete: 'the API server does not answer',
      settings: { 'without-policies': 'no-match-policy', 'no-match-policy': 'allow' },
    })
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.match(message, /the policies in force are not known: the API server does not answer/)
  })
})

test('lesson 10: settings that could not be read are not the usual ones: everything is refused, though the policies are known', async () => {
  const { desk, name } = await signed({ configMapsUnread: 'configmaps is forbidden' })
  await using _ = desk
  const { allowed, message } = await desk.validate(pod(name))
  assert.equal(allowed, false)
  assert.match(message, /the policies in force are not known: configmaps is forbidden/)
})

describe('credentials', () => {
  const name = (digest: string) => `registry.example/private/app@${digest}`

  async function closed(options: Parameters<typeof Desk.open>[0] = {}) {
    const desk = await Desk.open({ policies: { p: about(official) }, ...options })
    const image = desk.image('private/app')
    desk.push('private/app', signatureManifest(image.digest, [signOldForm(signer, image.digest)]))
    desk.fake.protect('private/', { scheme: 'basic', username: 'puller', password: 's3cret' })
    return { desk, image }
  }
  const right = dockerConfig('demo', 'regcred', 'puller', 's3cret')
  const wrong = dockerConfig('demo', 'wrong', 'puller', 'guess')

  test('of the workload open its registry; without them the denial says what was tried, never with what', async () => {
    const { desk, image } = await closed({ secrets: [right, wrong] })
    await using _ = desk
    const withSecrets = (...names: string[]) => ({
      ...pod(name(image.digest)),
      spec: { ...pod(name(image.digest)).spec, imagePullSecrets: names.map((n) => ({ name: n })) },
    })
    assert.equal((await desk.validate(withSecrets('regcred'))).allowed, true)
    const refused = await desk.validate(withSecrets('wrong'))
    assert.equal(refused.allowed, false)
    assert.match(refused.message, /\ncredentials tried, in order: Secret demo\/wrong, anonymous/)
    assert.ok(!refused.message.includes('guess'))
    assert.equal((await desk.validate(withSecrets('wrong', 'regcred'))).allowed, true, 'after a 401 the next one is tried')
  })

  test('of the ServiceAccount count too', async () => {
    const { desk, image } = await closed({ secrets: [right], accountSecrets: ['regcred'] })
    await using _ = desk
    assert.equal((await desk.validate(pod(name(image.digest)))).allowed, true)
  })

  test('lesson 47: a pass that needed credentials is not given to a workload without them', async () => {
    const { desk, image } = await closed({ secrets: [right] })
    await using _ = desk
    const opened = { ...pod(name(image.digest)), spec: { ...pod(name(image.digest)).spec, imagePullSecrets: [{ name: 'regcred' }] } }
    assert.equal((await desk.validate(opened)).allowed, true)
    assert.equal((await desk.validate(pod(name(image.digest)))).allowed, false)
  })

  test('of signaturePullSecrets replace all others, from the controller’s namespace first', async () => {
    const own = dockerConfig('cosign-system', 'sigcred', 'puller', 's3cret')
    const policies = { p: about({ ...official, source: [{ signaturePullSecrets: [{ name: 'sigcred' }] }] }) }
    const { desk, image } = await closed({ policies, secrets: [own] })
    await using _ = desk
    assert.equal((await desk.validate(pod(name(image.digest)))).allowed, true)
    const fallen = await closed({
      policies,
      secrets: [dockerConfig('demo', 'sigcred', 'puller', 'guess'), right],
      accountSecrets: ['regcred'],
    })
    await using __ = fallen.desk
    const { allowed, message } = await fallen.desk.validate(pod(name(fallen.image.digest)))
    assert.equal(allowed, false, 'the workload’s own would do, but are not tried')
    assert.match(message, /credentials tried, in order: Secret demo\/sigcred$/m)
  })

  test('that cannot be read refuse at the pod spec; a static policy does not ask for them', async () => {
    const { desk, image } = await closed({ secretsFail: 'secrets "regcred" is forbidden', accountSecrets: ['regcred'] })
    await using _ = desk
    assert.equal(
      (await desk.validate(deployment(name(image.digest)))).message,
      'validation failed: secrets "regcred" is forbidden: spec.template.spec',
    )
    desk.use({ p: { ...about(official), mode: 'warn' } })
    assert.deepEqual((await desk.validate(pod(name(image.digest)))).warnings, ['secrets "regcred" is forbidden: spec'])
    desk.use({ p: about(pass) })
    assert.equal((await desk.validate(pod(name(image.digest)))).allowed, true)
  })
})

test('lesson 47: a pass is remembered from when it was found until what it rests on ends, however long finding it took', async () => {
  const sigstore = await Sigstore.create()
  const root = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'own')
  assert.ok(root.ok)
  const ends = SIGNED_AT + 600_000 // of the certificate, which is checked against now
  let at = ends - 1000
  const keyless = { trustRootRef: 'own', identities: [{ issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }] }
  for (const [gathering, isRemembered] of [
    [900, true],
    [1001, false],
  ] as const) {
    await using desk = await Desk.open({
      policies: { p: about({ keyless }) },
      outside: { trustRoots: new Map([['own', root]]) },
      now: () => at,
    })
    const image = desk.image('app')
    desk.push('app', signatureManifest(image.digest, [sigstore.signImage({ digest: image.digest, form: 'annotations', log: 'none' })]))
    const name = `registry.example/app@${image.digest}`
    at = ends - 1000
    desk.fake.misbehave((seen) => (seen.path.endsWith('.sig') ? ((at = ends - 1000 + gathering), false) : false), { silence: true })
    assert.equal((await desk.validate(pod(name))).allowed, true)
    const asked = desk.fake.seen.length
    at = ends - 50
    assert.equal((await desk.validate(pod(name))).allowed, true)
    assert.equal(desk.fake.seen.length === asked, isRemembered)
  }
})

describe('lesson 40: an object of very many images', () => {
  const names = Array.from({ length: 100 }, (_, i) => `registry.example/app${i}@sha256:${'a'.repeat(64)}`)
  const places = (desk: Desk) => new Set(desk.fake.seen.map(({ path }) => path.split('/')[2])).size

  test('asks for a few of them at a time, and for none when its answer must have left', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    desk.fake.misbehave(() => true, { late: 20 })
    const { allowed, codes } = await desk.validate(pod(...names), {}, 60)
    assert.equal(allowed, false)
    assert.ok(codes.includes('deadline'))
    assert.ok(places(desk) <= 32, `${places(desk)} of 100 images were asked for`)
    await new Promise((resolve) => setTimeout(resolve, 800))
    assert.ok(places(desk) <= 32, `${places(desk)} of 100 images were asked for afterwards`)
  })

  test('is judged as a whole all the same', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    const { allowed, message } = await desk.validate(pod(...names))
    assert.equal(allowed, false)
    assert.equal(message.match(/no signatures found$/gm)?.length, 100)
  })

  test('lets others have their turn though nothing has to be waited for', async () => {
    await using desk = await Desk.open({ policies: { p: about(pass) } })
    let rounds = 0
    let isOver = false
    const others = (): void => void (rounds++, isOver || setImmediate(others))
    setImmediate(others)
    assert.equal((await desk.validate(pod(...names))).allowed, true)
    isOver = true
    assert.ok(rounds >= 80, `others had ${rounds} turns`)
  })

  test('has its tags resolved a few at a time, within the time that there is for tags', async () => {
    await using desk = await Desk.open({ policies: { p: about(official) } })
    desk.fake.misbehave(() => true, { late: 40 })
    const tags = names.map((name) => name.replace(/@.*/, ':v1'))
    assert.deepEqual((await desk.mutate(pod(...tags), {}, 60)).patch, [])
    await new Promise((resolve) => setTimeout(resolve, 800))
    assert.ok(places(desk) <= 48, `${places(desk)} of 100 tags were asked for`)
  })
})

/** What is pushed, of what each form is about, by whom and where it lies. */
const FORMS = ['tag', 'OCI 1.1 referrer', 'bundle 0.1', 'bundle 0.2', 'bundle 0.3'] as const
const PROVENANCE = 'https://slsa.dev/provenance/v1'

describe('every form in every place, by key and keyless', async () => {
  const sigstore = await Sigstore.create()
  const trust = readTrustedRoot(JSON.stringify(sigstore.trustedRoot()), 'tr')
  assert.ok(trust.ok)
  const identities = [{ issuer: DEFAULT_ISSUER, subject: DEFAULT_SUBJECT }]
  const authorities = { key: { key: { data: signer.pem } }, keyless: { keyless: { trustRootRef: 'tr', identities } } }
  const eve = { subject: 'https://github.com/evil/web/.github/workflows/release.yml@refs/heads/main' }

  function pushedOf(form: (typeof FORMS)[number], image: Put, by: Signing, what: 'signature' | 'attestation'): Pushed {
    const { digest } = image
    const of = { digest, signer: by, predicateType: PROVENANCE, predicate: {} }
    if (form.startsWith('bundle')) {
      const options = { ...of, version: form.slice(7) as '0.1', form: 'bundle' } as const
      const { bundle } =
        what === 'attestation'
          ? sigstore.attest(options)
          : sigstore.signImage({ digest, signer: by, version: options.version, form: 'bundle' })
      return bundleReferrer(image, bundle, what === 'attestation' ? PROVENANCE : undefined)
    }
    if (what === 'signature') {
      const made = sigstore.signImage({ digest, signer: by, form: 'annotations' })
      return form === 'tag' ? signatureManifest(digest, [made]) : signatureReferrer(image, [made])
    }
    const pushed = attestationManifest(digest, [sigstore.attest({ ...of, form: 'annotations' })])
    if (form === 'tag') return pushed
    const manifest = {
      ...(JSON.parse(Buffer.from(pushed.manifest.bytes).toString()) as object),
      artifactType: 'application/vnd.in-toto+json',
      subject: image,
    }
    const bytes = Buffer.from(JSON.stringify(manifest))
    return { ...pushed, tag: undefined, manifest: { ...pushed.manifest, bytes, digest: digestOf(bytes) } }
  }

  for (const referrers of ['api', 404] as const)
    for (const what of ['signature', 'attestation'] as const)
      for (const by of ['key', 'keyless'] as const) {
        const where = referrers === 'api' ? 'the referrers API' : 'the fallback tag'
        test(`an ${what === 'signature' ? 'image signature' : what} by ${by} is admitted in each form by ${where}, and one by somebody else in none`, async () => {
          const wanted = what === 'attestation' ? { attestations: [{ name: 'built', predicateType: PROVENANCE }] } : {}
          await using desk = await Desk.open({
            registry: { referrers },
            now: SIGNED_AT + 60_000,
            outside: { trustRoots: new Map([['tr', trust]]) },
          })
          for (const form of FORMS)
            for (const [isOurs, signing] of [
              [true, by === 'key' ? signer : {}],
              [false, by === 'key' ? other : eve],
            ] as const) {
              const image = desk.image(`app-${FORMS.indexOf(form)}`, String(isOurs))
              const repository = `app-${FORMS.indexOf(form)}`
              const pushed = pushedOf(form, image, signing, what)
              desk.push(repository, pushed)
              if (referrers === 404 && pushed.tag === undefined) {
                const { manifest } = pushed
                const entry = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length }
                const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [entry] }
                desk.fake.manifest(repository, index, `sha256-${image.digest.slice(7)}`)
              }
              for (const signatureFormat of ['', 'bundle', 'legacy'])
                for (const oci11 of ['true', 'false']) {
                  desk.use({ p: about({ ...authorities[by], ...wanted, signatureFormat }) }, { 'enable-oci11': oci11 })
                  const isLookedAt = signatureFormat === '' || (signatureFormat === 'bundle') === form.startsWith('bundle')
                  const { allowed, message } = await desk.validate(pod(`registry.example/${repository}@${image.digest}`))
                  assert.equal(
                    allowed,
                    isOurs && isLookedAt,
                    `${form}, signatureFormat ${signatureFormat}, enable-oci11 ${oci11}: ${message}`,
                  )
                }
            }
        })
      }
})

describe('work', () => {
  test('that outlives its request goes on, so that a retry succeeds', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { late: 100 })
    const first = await desk.validate(pod(name), {}, 30)
    assert.deepEqual([first.allowed, first.codes], [false, ['deadline']])
    assert.match(first.message, /context was canceled before validation completed$/)
    assert.equal((await desk.validate(pod(name))).allowed, true)
    const asked = desk.fake.seen.map((seen) => `${seen.method} ${seen.path}`)
    assert.deepEqual(asked.toSorted(), [...new Set(asked)].toSorted(), 'the retry joins what was under way')
  })

  test('for the same image is done once, however many ask at the same time', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    const answers = await Promise.all(Array.from({ length: 50 }, () => desk.validate(pod(name, name))))
    assert.ok(answers.every((a) => a.allowed))
    assert.equal(desk.fake.seen.filter((s) => s.path.endsWith('.sig')).length, 1)
  })

  test('is not remembered when it could not be found out', async () => {
    const { desk, name } = await signed()
    await using _ = desk
    desk.fake.misbehave('/app/', { status: 403 })
    assert.equal((await desk.validate(pod(name))).allowed, false)
    desk.fake.behave()
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('with remember-passes: 0 is done at every admission', async () => {
    const { desk, name } = await signed({ settings: { 'remember-passes': '0' } })
    await using _ = desk
    await desk.validate(pod(name))
    const asked = desk.fake.seen.length
    await desk.validate(pod(name))
    assert.ok(desk.fake.seen.length > asked)
  })
})

for (const [lesson, spec, path] of [
  [26, { initContainers: [{ image: 'IMAGE' }] }, 'spec.initContainers[0].image'],
  [27, { ephemeralContainers: [{ image: 'IMAGE' }] }, 'spec.ephemeralContainers[0].image'],
  [28, { volumes: [{ image: { reference: 'IMAGE' } }] }, 'spec.volumes[0].image'],
] as const) {
  test(`lesson ${lesson}: an image in ${path} is judged like any other`, async () => {
    await using desk = await Desk.open({ policies: { p: about(refuse) } })
    const name = `registry.example/app@sha256:${'a'.repeat(64)}`
    const object = { metadata: {}, spec: { containers: [], ...(JSON.parse(JSON.stringify(spec).replaceAll('IMAGE', name)) as object) } }
    assert.equal(
      (await desk.validate(object)).message,
      `validation failed: failed policy: p: ${path}\n${name} disallowed by static policy: no`,
    )
  })
}

test('lesson 13: nothing that an object says of itself is believed as proof', async () => {
  await using desk = await Desk.open({ policies: { p: about(official) } })
  const image = desk.image('app')
  const annotations = { 'policy.sigstore.dev/verified': 'true', 'image-verification-outcomes': '{"all":"pass"}' }
  const object = { ...pod(`registry.example/app@${image.digest}`), metadata: { name: 'app', annotations } }
  assert.equal((await desk.validate(object)).allowed, false)
})

test('lesson 30: what a kubelet says that it runs already is judged like any other Pod', async () => {
  await using desk = await Desk.open({ policies: { p: about(official) } })
  const image = desk.image('app')
  const annotations = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' }
  const object = { ...pod(`registry.example/app@${image.digest}`), metadata: { name: 'app-node', annotations } }
  assert.equal((await desk.validate(object)).allowed, false)
})

test('lesson 14: a Pod with owner references is judged like any other', async () => {
  await using desk = await Desk.open({ policies: { p: about(official) } })
  const image = desk.image('app')
  const object = {
    ...pod(`registry.example/app@${image.digest}`),
    metadata: { name: 'app', ownerReferences: [{ kind: 'ReplicaSet', name: 'rs', uid: 'u', controller: true }] },
  }
  assert.equal((await desk.validate(object)).allowed, false)
})

describe('a policy that wants attestations', () => {
  const PROVENANCE = 'https://slsa.dev/provenance/v1'
  const built = { ...official, attestations: [{ name: 'built', predicateType: 'slsaprovenance1' }] }
  const scanned = { ...official, attestations: [...built.attestations, { name: 'scanned', predicateType: 'vuln' }] }

  async function attested(by = signer) {
    const desk = await Desk.open({ policies: { p: about(built) } })
    const image = desk.image('app')
    desk.push('app', attestationManifest(image.digest, [attestOldForm([by], image.digest, { predicateType: PROVENANCE })]))
    return { desk, image, name: `registry.example/app@${image.digest}` }
  }

  test('admits an image that has them, and the second time no registry is asked', async () => {
    const { desk, name } = await attested()
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    const asked = desk.fake.seen.length
    assert.equal((await desk.validate(pod(name))).allowed, true)
    assert.equal(desk.fake.seen.length, asked)
  })

  test('refuses the image when another one is wanted as well, though it passed before, and names what was found', async () => {
    const { desk, image, name } = await attested()
    await using _ = desk
    assert.equal((await desk.validate(pod(name))).allowed, true)
    desk.use({ p: about(scanned) })
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.equal(
      message,
      `validation failed: failed policy: p: spec.containers[0].image\n${name} no matching attestations with type vuln, checked the following predicateTypes: "${PROVENANCE}"`,
    )
    const vuln = 'https://cosign.sigstore.dev/attestation/vuln/v1'
    const referrer = { digest: image.digest, size: image.size, mediaType: image.mediaType }
    desk.push('app', bundleReferrer(referrer, signBundle(signer, image.digest, { predicateType: vuln }), vuln))
    assert.equal((await desk.validate(pod(name))).allowed, true)
  })

  test('is not passed by the signature of the image, nor by an attestation of somebody else', async () => {
    const { desk, image, name } = await attested(other)
    await using _ = desk
    desk.push('app', signatureManifest(image.digest, [signOldForm(signer, image.digest)]))
    const { allowed, message } = await desk.validate(pod(name))
    assert.equal(allowed, false)
    assert.equal(
      message,
      `validation failed: failed policy: p: spec.containers[0].image\n${name} attestation key validation failed for authority official for ${name}: no matching attestations: accepted signatures do not match threshold, Found: 0, Expected 1`,
    )
  })
})

describe('an update that changes no image', () => {
  const fails = { p: about({ static: { action: 'fail', message: 'no longer' } }) }
  const image = `registry.example/app@sha256:${'a'.repeat(64)}`
  const labelled = { ...pod(image), metadata: { name: 'app', namespace: 'demo', labels: { touched: 'yes' } } }

  test('is judged again: what was admitted before need not be now', async () => {
    await using desk = await Desk.open({ policies: fails })
    assert.equal((await desk.validate(labelled, { operation: 'UPDATE', oldObject: pod(image) })).allowed, false)
  })

  test('is let through unseen where recheck-unchanged is false, and one that changes an image is not', async () => {
    await using desk = await Desk.open({ policies: fails, settings: { 'recheck-unchanged': 'false' } })
    const asked = { operation: 'UPDATE', oldObject: pod(image) }
    assert.equal((await desk.validate(labelled, asked)).allowed, true)
    assert.deepEqual((await desk.mutate(labelled, asked)).patch, [])
    assert.equal((await desk.validate(pod(image.replaceAll('a', 'b')), asked)).allowed, false)
    assert.equal((await desk.validate(pod(image, image), asked)).allowed, false)
    assert.equal((await desk.validate(pod(image))).allowed, false, 'a creation is judged')
  })
})
