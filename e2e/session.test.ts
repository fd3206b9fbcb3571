import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type DocumentedImages, documentedImages } from '../cases/documented-images.ts'
import { complete, documented, printed, workloadOf } from '../cases/documented.ts'
import { renewed } from '../programs/webhook/certificate.ts'
import { applied } from './cluster.ts'
import { type Installed, type Way, install } from './installed.ts'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { type Said, run, temporaryFolder } from './processes.ts'
import { restore } from './registry.ts'

const needed = ['kube-apiserver', 'etcd', 'kubectl', 'registry', 'cosign2', 'cosign3', 'helm'] as const
const skip =
  process.platform === 'linux'
    ? leftOutWithout(needed)
    : 'the API server reaches Services at 127.96.0.0/16 only where all of 127.0.0.0/8 is loopback (Linux)'

const NAMESPACE = 'my-secure-namespace'
const RESTRICTED = 'restricted-namespace'
const DENIED = 'Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: validation failed: '
const COSIGN = 'gcr.io/projectsigstore/cosign'
const IN_FORCE = 1000 // ms after a change within which it must be in force

// On IPv6 once, since the two differ in nothing that has an address.
for (const way of process.env['SEALGATE_SESSION_FAMILY'] === 'IPv6'
  ? (['the chart'] as const)
  : (['the chart', 'kubectl apply -k'] as const))
  suite(`the session: the product documentation’s own check, on real parts, installed by ${way}`, { skip, timeout: 180_000 }, () =>
    held(way),
  )

function held(way: Way): void {
  let session: Installed
  let images: DocumentedImages
  before(async () => {
    const parts = partsIfPresent(needed)
    assert.ok(parts)
    images = await documentedImages({ username: 'reader', password: 'of signatures' })
    // As `tuf_mirror` and `tuf_root` of the documentation: whom policies believe that name no TrustRoot is a Sigstore of one's own.
    const root = join(temporaryFolder('tuf'), 'root.json')
    writeFileSync(root, images.tufRoot)
    session = await install(parts, way, [`--tuf-mirror=${images.tufMirror}`, `--tuf-root=${root}`], images.env)
    for (const { repository, blobs, manifest, tag } of images.pushed) {
      const { mediaType, bytes } = manifest
      const manifests = [{ reference: tag, mediaType, text: bytes.toString() }]
      await restore(session.registry, { repository, blobs: blobs.map((blob) => blob.toString()), manifests })
    }
  })
  after(async () => {
    await session?.stop()
    await images?.close()
  })

  const kubectl = (line: string, input?: string) => session.cluster.kubectl(line.split(' '), input)
  const apply = (manifest: object) => applied(session.cluster, ['apply', '-f', '-'], JSON.stringify(manifest))
  /** What `kubectl` says when all goes well, and nothing else. */
  const succeeds = async (line: string, stdout: string, input?: string) =>
    assert.deepEqual(await kubectl(line, input), { code: 0, stdout: `${stdout}\n`, stderr: '' })
  const refuses = async (line: string, stderr: readonly string[], input?: string) =>
    assert.deepEqual(await kubectl(line, input), { code: 1, stdout: '', stderr: `${stderr.join('\n')}\n` })

  test('1. only namespaces that are labelled are touched', async () => {
    for (const name of [NAMESPACE, RESTRICTED, 'other']) await succeeds(`create namespace ${name}`, `namespace/${name} created`)
    await succeeds(`label namespace ${NAMESPACE} policy.sigstore.dev/include=true`, `namespace/${NAMESPACE} labeled`)
    await kubectl(`label namespace ${RESTRICTED} policy.sigstore.dev/include=true pod-security.kubernetes.io/enforce=restricted`)
    await succeeds('run busybox --image=busybox -n other', 'pod/busybox created')
    await succeeds('get pod busybox -n other -o jsonpath={.spec.containers[0].image}{"\\n"}', 'busybox')
  })

  test('2. the sample policy is accepted', async () => {
    await apply(policy('image-policy', [`${COSIGN}*`], [{ name: 'official-cosign-key', key: { data: session.keys.ours.pem } }]))
    await wait(IN_FORCE)
  })

  test('a policy written in one version is the same in the other', async () => {
    const get = async (version: string) => {
      const object = JSON.parse((await kubectl(`get clusterimagepolicies.${version}.policy.sigstore.dev image-policy -o json`)).stdout) as {
        apiVersion: string
        spec: object
      }
      assert.equal(object.apiVersion, `policy.sigstore.dev/${version}`)
      return object.spec
    }
    assert.deepEqual(await get('v1alpha1'), await get('v1beta1'))
    await succeeds('get cip -o name', 'clusterimagepolicy.policy.sigstore.dev/image-policy')
  })

  test('3. an image that the key signed is admitted, in a namespace that enforces pod security too', async () => {
    await succeeds(`run cosign --image=${COSIGN}:v1.2.1 --dry-run=server -n ${NAMESPACE}`, 'pod/cosign created (server dry run)')
    await succeeds(`run cosign --image=${COSIGN}:v3.1.3 --dry-run=server -n ${NAMESPACE}`, 'pod/cosign created (server dry run)')
    const printed = [
      'run',
      'cosign',
      '--image=gcr.io/projectsigstore/cosign:v1.2.1',
      '--overrides={"spec": {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}, "containers": [{"name": "cosign", "securityContext": {"allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}}}]}}',
      '--override-type',
      'strategic',
      '--dry-run=server',
    ]
    const said = await session.cluster.kubectl([...printed, '-n', RESTRICTED])
    assert.deepEqual(said, { code: 0, stdout: 'pod/cosign created (server dry run)\n', stderr: '' })
  })

  test('an admitted pod runs what was verified: its image is named by digest', async () => {
    await succeeds(`run cosign --image=${COSIGN}:v1.2.1 -n ${NAMESPACE}`, 'pod/cosign created')
    await succeeds(
      `get pod cosign -n ${NAMESPACE} -o jsonpath={.spec.containers[0].image}{"\\n"}`,
      `${COSIGN}:v1.2.1@${session.images.signed}`,
    )
  })

  test('4. an image that no policy speaks about is refused', async () => {
    await refuses(`run busybox --image=busybox --dry-run=server -n ${NAMESPACE}`, [
      `${DENIED}no matching policies: spec.containers[0].image`,
      `index.docker.io/library/busybox:latest@${session.images.busybox}`,
    ])
  })

  test('5. an image that another key signed is refused', async () => {
    const { otherKey } = session.images
    await refuses(`run cosign-fail --image=${COSIGN}:v0.3.0 --dry-run=server -n ${NAMESPACE}`, [
      `${DENIED}failed policy: image-policy: spec.containers[0].image`,
      `${COSIGN}:v0.3.0@${otherKey} signature key validation failed for authority official-cosign-key for ${COSIGN}@${otherKey}: no matching signatures: invalid signature when validating ASN.1 encoded signature`,
    ])
  })

  suite('6. other workloads and other policies', () => {
    const digest = (digit: string) => `sha256:${digit.repeat(64)}`
    const images = [`denied.example.com/acme/a@${digest('1')}`, `denied.example.com/acme/b@${digest('2')}`]
    const web = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace: NAMESPACE },
      spec: {
        selector: { matchLabels: { app: 'web' } },
        template: { metadata: { labels: { app: 'web' } }, spec: { containers: images.map((image, i) => ({ name: `c${i}`, image })) } },
      },
    }
    /** What users know, then what Sealgate adds: which credentials were tried, and that the other place was no better. */
    const denied = (i: number): string[] => {
      const [image, registry] = [images[i], `http://denied.example.com/v2/acme/${'ab'[i]}`]
      const sha256 = digest(String(i + 1))
      return [
        `failed policy: denied-policy: spec.template.spec.containers[${i}].image`,
        `${image} signature key validation failed for authority authority-0 for ${image}: GET ${registry}/manifests/${sha256.replace(':', '-')}.sig: DENIED: denied; denied`,
        'credentials tried, in order: anonymous',
        `the referrers could not be read: GET ${registry}/referrers/${sha256}: DENIED: denied; denied`,
      ]
    }

    test('a Deployment with two containers whose registry answers DENIED is refused, each with its own lines', async () => {
      await apply(policy('denied-policy', ['denied.example.com/**'], [{ key: { data: session.keys.ours.pem } }]))
      await wait(IN_FORCE)
      const [first, ...rest] = [...denied(0), ...denied(1)]
      const prefix = DENIED.replace('(BadRequest): ', '(BadRequest): error when creating "STDIN": ')
      await refuses('create -f -', [`${prefix}${first}`, ...rest], JSON.stringify(web))
    })

    test('in warn mode it is admitted, and kubectl prints the same lines as warnings', async () => {
      await applied(session.cluster, ['patch', 'cip', 'denied-policy', '--type=merge', '--patch={"spec":{"mode":"warn"}}'])
      await wait(IN_FORCE)
      const said = await kubectl('create -f - --dry-run=server', JSON.stringify(web))
      assert.deepEqual({ code: said.code, stdout: said.stdout }, { code: 0, stdout: 'deployment.apps/web created (server dry run)\n' })
      // kubectl prints a warning once, however many containers it is about.
      const warnings = new Set([...denied(0), ...denied(1)].map((line) => `Warning: ${line}`))
      assert.deepEqual(said.stderr.trimEnd().split('\n'), [...warnings])
    })

    test('the pull secret of a workload is read, and a refusal names it', async () => {
      const auths = { 'denied.example.com': { auth: Buffer.from('someone:secret-word').toString('base64') } }
      await apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'pull', namespace: NAMESPACE },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
      })
      const pod = { imagePullSecrets: [{ name: 'pull' }], containers: [{ name: 'a', image: images[0] }] }
      const said = await kubectl(
        'create -f - --dry-run=server',
        JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: NAMESPACE }, spec: pod }),
      )
      assert.match(said.stderr, /^Warning: credentials tried, in order: .*\bpull\b.*, anonymous$/m)
      assert.doesNotMatch(said.stderr + session.log(), /secret-word|someone/)
    })

    test('scaling down is not judged, scaling up is', async () => {
      // Made while the policy only warned; then the policy enforces.
      await applied(session.cluster, ['create', '-f', '-'], JSON.stringify({ ...web, spec: { ...web.spec, replicas: 3 } }))
      await applied(session.cluster, ['patch', 'cip', 'denied-policy', '--type=merge', '--patch={"spec":{"mode":"enforce"}}'])
      await wait(IN_FORCE)
      const scale = (replicas: number) =>
        kubectl(`patch deployment web -n ${NAMESPACE} --type=merge --patch={"spec":{"replicas":${replicas}}}`)
      assert.deepEqual(await scale(1), { code: 0, stdout: 'deployment.apps/web patched\n', stderr: '' })
      assert.match(
        (await scale(2)).stderr,
        /^Error from server \(BadRequest\): admission webhook "policy\.sigstore\.dev" denied the request: validation failed: failed policy: denied-policy: /,
      )
    })

    test('a static fail refuses with its message', async () => {
      await apply(
        policy('no-busybox', ['index.docker.io/library/busybox*'], [{ name: 'no', static: { action: 'fail', message: 'use distroless' } }]),
      )
      await wait(IN_FORCE)
      await refuses(`run busybox --image=busybox --dry-run=server -n ${NAMESPACE}`, [
        `${DENIED}failed policy: no-busybox: spec.containers[0].image`,
        `index.docker.io/library/busybox:latest@${session.images.busybox} disallowed by static policy: use distroless`,
      ])
      await applied(session.cluster, ['delete', 'cip', 'no-busybox'])
    })

    test('of two policies that match, one that fails refuses', async () => {
      await apply(policy('second', [`${COSIGN}*`], [{ static: { action: 'fail', message: 'not today' } }]))
      await wait(IN_FORCE)
      await refuses(`run cosign2 --image=${COSIGN}:v1.2.1 --dry-run=server -n ${NAMESPACE}`, [
        `${DENIED}failed policy: second: spec.containers[0].image`,
        `${COSIGN}:v1.2.1@${session.images.signed} disallowed by static policy: not today`,
      ])
      await applied(session.cluster, ['delete', 'cip', 'second'])
      await wait(IN_FORCE)
      await succeeds(`run cosign2 --image=${COSIGN}:v1.2.1 --dry-run=server -n ${NAMESPACE}`, 'pod/cosign2 created (server dry run)')
    })

    test('a CronJob is judged where its pods are described', async () => {
      const cronjob = (image: string) => [
        'create',
        'cronjob',
        'nightly',
        `--image=${image}`,
        '--schedule=0 0 * * *',
        '--dry-run=server',
        '-n',
        NAMESPACE,
      ]
      const admitted = await session.cluster.kubectl(cronjob(`${COSIGN}:v1.2.1`))
      assert.deepEqual(admitted, { code: 0, stdout: 'cronjob.batch/nightly created (server dry run)\n', stderr: '' })
      const refused = await session.cluster.kubectl(cronjob('busybox'))
      assert.equal(refused.code, 1)
      assert.deepEqual(refused.stderr.trimEnd().split('\n'), [
        'error: failed to create cronjob: admission webhook "policy.sigstore.dev" denied the request: validation failed: no matching policies: spec.jobTemplate.spec.template.spec.containers[0].image',
        `index.docker.io/library/busybox:latest@${session.images.busybox}`,
      ])
    })

    test('kubectl debug: ephemeral containers are resolved and judged too', async () => {
      const debug = (image: string) =>
        kubectl(`debug cosign --image=${image} --container=${image.includes('busybox') ? 'bad' : 'good'} -n ${NAMESPACE}`)
      const refused = await debug('busybox')
      assert.equal(refused.code, 1)
      assert.match(
        refused.stderr,
        /denied the request: validation failed: no matching policies: spec\.ephemeralContainers\[0\]\.image\nindex\.docker\.io\/library\/busybox:latest@sha256:/,
      )
      const admitted = await debug(`${COSIGN}:v1.2.1`)
      assert.deepEqual({ ...admitted, stderr: '' }, { code: 0, stdout: '', stderr: '' })
      await succeeds(
        `get pod cosign -n ${NAMESPACE} -o jsonpath={.spec.ephemeralContainers[0].image}{"\\n"}`,
        `${COSIGN}:v1.2.1@${session.images.signed}`,
      )
    })
  })

  suite('changes are in force within a second', () => {
    const runs = (name: string) => kubectl(`run ${name} --image=${COSIGN}:v1.2.1 --dry-run=server -n ${NAMESPACE}`)

    test('a policy that is edited', async () => {
      assert.equal((await runs('before')).code, 0)
      await apply(policy('image-policy', [`${COSIGN}*`], [{ name: 'official-cosign-key', key: { data: session.keys.theirs.pem } }]))
      await wait(IN_FORCE)
      assert.match((await runs('after')).stderr, /no matching signatures/)
    })

    test('the Secret of a key that is replaced, deleted and made anew', async () => {
      const secret = (pem: string) => ({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'cosign-key', namespace: 'cosign-system' },
        stringData: { 'cosign.pub': pem },
      })
      await apply(secret(session.keys.theirs.pem))
      await apply(policy('image-policy', [`${COSIGN}*`], [{ name: 'official-cosign-key', key: { secretRef: { name: 'cosign-key' } } }]))
      await wait(IN_FORCE)
      assert.match((await runs('theirs')).stderr, /no matching signatures/)
      await apply(secret(session.keys.ours.pem))
      await wait(IN_FORCE)
      assert.deepEqual(await runs('ours'), { code: 0, stdout: 'pod/ours created (server dry run)\n', stderr: '' })
      await applied(session.cluster, ['delete', 'secret', 'cosign-key', '-n', 'cosign-system'])
      await wait(IN_FORCE)
      assert.match((await runs('none')).stderr, /failed policy: image-policy: spec\.containers\[0\]\.image/)
      await apply(secret(session.keys.ours.pem))
      await wait(IN_FORCE)
      assert.equal((await runs('again')).code, 0)
    })
  })

  suite('policies are asked about, and say what became of them', () => {
    const json = async <T>(line: string): Promise<T> => JSON.parse((await kubectl(`get ${line} -o json`)).stdout) as T
    type Status = { status?: { observedGeneration: number; conditions: { type: string; status: string; message?: string }[] } }
    const ready = async (name: string) => {
      const { status } = await json<Status>(`cip ${name}`)
      return status?.conditions.find((c) => c.type === 'Ready')
    }
    const until = async (what: string, isSo: () => Promise<boolean>): Promise<void> => {
      const patience = Date.now() + 20_000
      while (!(await isSo())) {
        assert.ok(Date.now() < patience, what)
        await wait(100)
      }
    }

    test('a policy that is wrong is refused with the specified text, what another leaves out is filled in', async () => {
      const refused = await kubectl('apply -f -', JSON.stringify(policy('wrong', ['['], [{ static: { action: 'pass' } }])))
      assert.equal(refused.code, 1)
      assert.match(
        refused.stderr,
        /admission webhook "validating\.clusterimagepolicy\.sigstore\.dev" denied the request: validation failed: invalid value: \[: spec\.images\[0\]\.glob/,
      )
      await apply(policy('bare', ['registry.example.org/bare/*'], [{ static: { action: 'pass' } }]))
      const { spec } = await json<{ spec: { mode: string; authorities: { name: string }[] } }>('cip bare')
      assert.deepEqual([spec.mode, spec.authorities[0]?.name], ['enforce', 'authority-0'])
      await until('it is ready', async () => (await ready('bare'))?.status === 'True')
    })

    test('a policy whose Secret is missing says so, and an event does; with the Secret it is ready', async () => {
      await apply(policy('waiting', ['registry.example.org/waiting/*'], [{ key: { secretRef: { name: 'waited-for' } } }]))
      await until('it says so', async () => (await ready('waiting'))?.status === 'False')
      assert.equal((await ready('waiting'))?.message, 'secret "waited-for" not found')
      await until('an event says so', async () =>
        (await kubectl('describe cip waiting')).stdout.includes('InliningKeysFailed') ? true : false,
      )
      await apply({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'waited-for', namespace: 'cosign-system' },
        stringData: { 'cosign.pub': session.keys.ours.pem },
      })
      await succeeds('wait --for=condition=Ready --timeout=20s cip/waiting', 'clusterimagepolicy.policy.sigstore.dev/waiting condition met')
      assert.equal((await json<{ status: { annotations: { keys: string } } }>('cip waiting')).status.annotations.keys, '1')
    })

    test('a TrustRoot says that it is in force, and how much is trusted', async () => {
      const certChain = Buffer.from((await renewed(undefined, ['fulcio.example.com'], new Date())).ca).toString('base64')
      const authority = { subject: { organization: 'example', commonName: 'fulcio' }, uri: 'https://fulcio.example.com', certChain }
      await apply({
        apiVersion: 'policy.sigstore.dev/v1alpha1',
        kind: 'TrustRoot',
        metadata: { name: 'own' },
        spec: { sigstoreKeys: { certificateAuthorities: [authority] } },
      })
      await succeeds('wait --for=condition=Ready --timeout=20s trustroot/own', 'trustroot.policy.sigstore.dev/own condition met')
      const { status } = await json<{ status: { conditions: { type: string }[]; annotations: { keys: string } } }>('trustroot own')
      assert.deepEqual([status.conditions.map((c) => c.type), status.annotations.keys], [['ConfigMapUpdated', 'KeysInlined', 'Ready'], '1'])
    })

    test('a policy with a finalizer of the sigstore policy controller can be deleted', async () => {
      const finalizers = ['clusterimagepolicies.policy.sigstore.dev']
      const held = policy('held', ['registry.example.org/held/*'], [{ static: { action: 'pass' } }])
      await apply({ ...held, metadata: { name: 'held', finalizers } })
      await succeeds('delete cip held --timeout=20s', 'clusterimagepolicy.policy.sigstore.dev "held" deleted')
    })

    test('the ReplicaSet whose Pod is refused is told why', async () => {
      const owner = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'web-1',
        uid: '00000000-0000-0000-0000-000000000001',
        controller: true,
      }
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { generateName: 'web-1-', namespace: NAMESPACE, ownerReferences: [owner] },
        spec: { containers: [{ name: 'a', image: 'busybox' }] },
      }
      assert.equal((await kubectl('create -f -', JSON.stringify(pod))).code, 1)
      await until('it is told', async () => {
        const events = await kubectl(
          `get events -n ${NAMESPACE} --field-selector involvedObject.kind=ReplicaSet -o jsonpath={.items[*].message}`,
        )
        return /^Pod my-secure-namespace\/web-1-\w*: validation failed: no matching policies: /.test(events.stdout)
      })
    })

    test('the configurations belong to the namespace of the controller and have their rules', async () => {
      const { metadata } = await json<{ metadata: { uid: string } }>('namespace cosign-system')
      type Configuration = { metadata: { name: string; ownerReferences?: { uid: string }[] }; webhooks: { rules: object[] }[] }
      const { items } = await json<{ items: Configuration[] }>('validatingwebhookconfigurations,mutatingwebhookconfigurations')
      assert.equal(items.length, 4)
      for (const item of items) {
        assert.deepEqual(
          [item.metadata.ownerReferences?.map((o) => o.uid), item.webhooks[0]?.rules.length],
          [[metadata.uid], item.metadata.name === 'policy.sigstore.dev' ? 3 : 2],
        )
      }
    })
  })

  suite('every example of the product documentation, applied as users have it', () => {
    const policies = (all: typeof documented) => all.map((example) => complete(example, images.filling))
    const list = (items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
    const named = (all: typeof documented) => all.map(({ name }) => `cip/${name}`)

    before(async () => {
      await applied(session.cluster, ['delete', 'cip', '--all'])
      await applied(session.cluster, ['apply', '-f', '-'], list(images.secrets))
    })
    after(async () => {
      await applied(session.cluster, ['delete', 'cip', '--all'])
      await apply(policy('bare', ['registry.example.org/bare/*'], [{ static: { action: 'pass' } }]))
      await apply(policy('image-policy', [`${COSIGN}*`], [{ name: 'official-cosign-key', key: { data: session.keys.ours.pem } }]))
      await wait(IN_FORCE)
    })

    test('as it is printed it is taken, or says what it lacks', async () => {
      for (const example of documented) {
        const said = await kubectl('apply -f - --dry-run=server', JSON.stringify(printed(example, images.filling)))
        assert.equal(said.code, example.refused === undefined ? 0 : 1, `${example.name}: ${said.stderr}`)
        const wanted = example.nulls?.map((path) => `${path}: Invalid value: "null"`) ?? [example.refused ?? '']
        for (const text of wanted) assert.ok(said.stderr.includes(text), `${example.name}: ${said.stderr}`)
      }
    })

    const together = documented.filter(({ beside }) => beside === undefined)
    const groups = [
      { title: 'those that speak about different images', examples: together, inForce: together },
      ...documented
        .filter(({ beside }) => beside !== undefined)
        .map((one) => ({
          title: one.name,
          examples: [one],
          inForce: [one, ...documented.filter(({ name }) => one.beside?.includes(name))],
        })),
    ]
    for (const { title, examples, inForce } of groups)
      test(`it is ready in either version, admits what it should and refuses its neighbour: ${title}`, async () => {
        for (const version of ['v1alpha1', 'v1beta1']) {
          const items = policies(inForce).map((one) => ({ ...one, apiVersion: `policy.sigstore.dev/${version}` }))
          await applied(session.cluster, ['apply', '-f', '-'], list(items))
        }
        await applied(session.cluster, ['wait', '--for=condition=Ready', '--timeout=30s', ...named(inForce)])
        await wait(IN_FORCE)
        // The replica that leads says that they are ready; the other reads keys and trust by itself.
        const patience = Date.now() + 10_000
        for (const { name, judged } of examples)
          for (const one of judged) {
            const asked = () => kubectl(`create -f - --dry-run=server -n ${NAMESPACE}`, JSON.stringify(workloadOf(one, NAMESPACE).object))
            const isAsWanted = ({ code, stderr }: Said) => (one.refused ? code === 1 && one.refused.test(stderr) : code === 0)
            let said = await asked()
            while (!isAsWanted(said) && Date.now() < patience) said = await asked()
            const about = `${name}: ${one.image}: ${said.stderr}`
            assert.equal(said.code, one.refused ? 1 : 0, about)
            if (one.refused) assert.match(said.stderr, one.refused, about)
            else if (one.warned) assert.match(said.stderr.replaceAll(/^Warning: /gm, ''), one.warned, about)
            else assert.equal(said.stderr, '', about)
          }
        await applied(session.cluster, ['delete', ...named(inForce)])
      })
  })

  test('sealgate doctor finds nothing wrong but that there is no kubelet, and reaches the webhook through the API server', async () => {
    type Found = { readonly check: string; readonly level: string; readonly what: string }
    const given = ['doctor', '--json', `--kubeconfig=${session.cluster.adminKubeconfig}`, '--disable-tuf']
    const { code, stdout } = await run(fileURLToPath(new URL('../bin/sealgate', import.meta.url)), given)
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly Found[] }
    const installed = (f: Found): boolean => !['policies and settings', 'registries'].includes(f.check)
    assert.deepEqual(
      findings.filter((f) => installed(f) && (f.level === 'wrong' || f.level === 'unknown')).map((f) => f.what),
      ['no replica runs behind the Service'],
    )
    assert.equal(code, 1)
    assert.deepEqual(
      findings.filter((f) => f.check === 'the API server reaches the webhook').map((f) => f.level),
      ['ok', 'ok'],
    )
    assert.ok(findings.some((f) => f.what.startsWith('system:serviceaccount:cosign-system:webhook may do all ')))
  })

  test('the controller has the rights that it needs and no more', async () => {
    const asController = (line: string) => kubectl(`--kubeconfig=${session.kubeconfig} ${line}`)
    for (const line of [
      'get secrets -A',
      `get secrets -n ${NAMESPACE}`,
      'get pods -A',
      'get namespaces',
      `create configmap no -n cosign-system`,
      'delete cip denied-policy',
    ])
      assert.match((await asController(line)).stderr, /forbidden/, line)
    for (const line of ['get secrets -n cosign-system', 'get configmaps -n cosign-system', 'get serviceaccounts -A', 'get cip'])
      assert.equal((await asController(line)).code, 0, line)
    // Nothing that it asked for so far was refused. (An API server that comes back refuses everyone until it has read its roles.)
    assert.doesNotMatch(session.log(), /forbidden/)
  })

  test('the API server is killed and comes back: nothing is lost, nothing need be restarted', async () => {
    const runs = (name: string) => kubectl(`run ${name} --image=${COSIGN}:v1.2.1 --dry-run=server -n ${NAMESPACE}`)
    await session.cluster.killApiServer()
    await wait(IN_FORCE)
    await session.cluster.startApiServer()
    assert.equal((await runs('still')).code, 0)
    assert.match((await kubectl(`run busybox --image=busybox --dry-run=server -n ${NAMESPACE}`)).stderr, /no matching policies/)
    // The watch is taken up again after a pause that grows with the failures; this is its bound, not its measure.
    await applied(session.cluster, ['delete', 'cip', 'image-policy'])
    const patience = Date.now() + 60_000
    while ((await runs('gone')).code === 0) assert.ok(Date.now() < patience, 'the deletion of the policy never arrived')
    assert.match((await runs('gone')).stderr, /no matching policies/)
  })
}

function policy(name: string, globs: readonly string[], authorities: readonly object[]): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec: { images: globs.map((glob) => ({ glob })), authorities },
  }
}
