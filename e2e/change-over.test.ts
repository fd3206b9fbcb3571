import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { signatureManifest } from '../fakes/signer.ts'
import { Sigstore } from '../fakes/sigstore/sigstore.ts'
import type { Digest } from '../src/image/digest.ts'
import { type Cluster, applied, startCluster } from './cluster.ts'
import { type KeyPair, importKey, sign } from './cosign.ts'
import { type Answer, Load, Questions, type Request, isInOrder } from './load.ts'
import { WITHOUT_OWN_NETWORK, heldIn, isOwnNetworkAllowed } from './network.ts'
import { Nodes, type Pod, type PodMaker } from './nodes.ts'
import { type Parts, leftOutWithout, manifestsOf, partsIfPresent } from './parts.ts'
import { PolicyController } from './policy-controller.ts'
import { type Said, run, temporaryFolder } from './processes.ts'
import { type Registry, contentOf, pushImage, pushSignature, restore, startRegistry } from './registry.ts'
import { Replica } from './replica.ts'
import { Service } from './service.ts'
import { type Digests, IMAGES, madeOf, podOf, policiesOf, requestsOf } from './taken-over.ts'

const needed = ['kube-apiserver', 'etcd', 'kubectl', 'registry', 'cosign2', 'cosign3', 'helm', 'policy-controller'] as const
const repository = fileURLToPath(new URL('..', import.meta.url))
const SYSTEM = 'cosign-system'

/** A network with nothing but loopback: the ports of the controller in use are its own choice, and its Service is at port 443. */
const NETWORK = 'ip link set lo up && ip addr add 10.0.0.1/32 dev lo && ip route add default dev lo'
const isInside = process.env['SEALGATE_OWN_NETWORK'] !== undefined

if (!isInside) {
  const skip = leftOutWithout(needed) || (!isOwnNetworkAllowed(NETWORK) && WITHOUT_OWN_NETWORK)
  test('a cluster changes over from the sigstore policy controller and back, by the page', { skip }, async () => {
    const { code, said } = await heldIn(NETWORK, fileURLToPath(import.meta.url), { SEALGATE_OWN_NETWORK: '1' })
    assert.equal(code, 0, said.slice(Math.max(0, said.search(/^ *not ok /m))).slice(0, 8000))
    assert.ok((said.match(/^\s+ok /gm) ?? []).length >= 8, said)
  })
}

/** The commands of the page by its headings and steps: what is indented below a step, a block each. */
function commandsIn(page: string): Readonly<Record<string, readonly string[]>> {
  const commands: Record<string, string[]> = {}
  let step = ''
  let isBlock = false
  for (const line of page.split('\n')) {
    if (line.startsWith('## ')) step = line.slice(3)
    const [, number] = /^(\d+)\. /.exec(line) ?? []
    if (number !== undefined) step = `${step.split(' ')[0]} ${number}`
    const isCommand = line.startsWith('       ')
    const blocks = (commands[step] ??= [])
    if (isCommand && isBlock) blocks.push(`${blocks.pop()}\n${line.slice(7)}`)
    else if (isCommand) blocks.push(line.slice(7))
    isBlock = isCommand
  }
  return commands
}

/** What it says, in any order. */
function wordsOf({ lines }: Answer): readonly string[] {
  return lines.join(' ').split(' ').toSorted()
}

type Written = { readonly name: string; readonly uid: string; readonly generation: number; readonly spec: string }
type Read = {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly uid: string; readonly generation: number; readonly finalizers?: readonly string[] }
  readonly spec: object
  readonly status?: {
    readonly observedGeneration?: number
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}
const STEP_MS = 150_000 // for what one step of the page asks for; on busy cores Pods take their time
const ENDING = 5_000 // ms
const MAX_UNANSWERED = 6 // twice as many as are asked at once
const THEIRS = ['clusterimagepolicies.policy.sigstore.dev', 'trustroots.policy.sigstore.dev']

// The steps build on each other, so one that fails takes the rest along.
if (isInside)
  suite('changing over from the sigstore policy controller and back, on real parts', { timeout: 300_000 }, () => {
    const parts = partsIfPresent(needed) ?? assert.fail('parts are missing')
    const folder = temporaryFolder('change-over')
    const stops: (() => unknown)[] = []
    const controllers: PolicyController[] = []
    const replicas: Replica[] = []
    const commands = commandsIn(readFileSync(join(repository, 'docs/change-over.md'), 'utf8'))
    let cluster: Cluster
    let host: string
    let digests: Digests
    let keys: Readonly<Record<'ours' | 'theirs', KeyPair>>
    let questions: Questions
    let service: Service
    let nodes: Nodes | undefined
    let requests: readonly Request[]
    let load: Load
    /** What the controller in use said to each request, and what it had written. */
    let said: readonly Answer[]
    let written: readonly Written[]

    const kubectl = (line: string): Promise<string> => applied(cluster, line.split(' '))
    const make = (object: object): Promise<string> => applied(cluster, ['apply', '-f', '-'], JSON.stringify(object))
    const read = async (): Promise<readonly Read[]> =>
      (JSON.parse(await kubectl('get clusterimagepolicies.v1alpha1.policy.sigstore.dev,trustroots -o json')) as { items: readonly Read[] })
        .items
    const writtenNow = async (): Promise<readonly Written[]> =>
      (await read()).map(({ metadata: { name, uid, generation }, spec }) => ({ name, uid, generation, spec: JSON.stringify(spec) }))
    const askAll = (): Promise<readonly Answer[]> => Promise.all(requests.map((one) => questions.ask(one)))

    /** Follows a step of the page, or one of its commands, and answers what was said. Each must succeed. */
    async function follow(step: string, only?: number): Promise<readonly Said[]> {
      const blocks = commands[step] ?? assert.fail(`${step} is no step of the page`)
      const all: Said[] = []
      for (const block of only === undefined ? blocks : blocks.slice(only, only + 1)) {
        // What the page leaves to the reader; and of the other one there is no second, whose ports would be the same.
        const line = block
          .replaceAll('NAME', 'webhook')
          .replaceAll('--replicas=2', '--replicas=1')
          .replaceAll('repository=…', 'repository=sealgate')
        const env = { PATH: `${dirname(parts.kubectl)}:${dirname(parts.helm)}:${process.env['PATH']}`, HOME: folder }
        const one = await run('sh', ['-ec', line], { cwd: folder, env, timeout: STEP_MS }).catch((error: unknown) =>
          assert.fail(`${String(error)}\n${String(nodes)}`),
        )
        assert.equal(one.code, 0, `${step}:\n${line}\n${one.stdout}${one.stderr}\n${String(nodes)}`)
        all.push(one)
      }
      return all
    }

    before(async () => {
      const registry = await startRegistry(parts.registry, join(folder, 'registry.log'), false)
      host = registry.host
      stops.push(() => registry.stop('SIGKILL'))
      keys = {
        ours: await importKey(parts as Parts, folder, 'ours', 'p256'),
        theirs: await importKey(parts as Parts, folder, 'theirs', 'p256'),
      }
      const sigstore = await Sigstore.create({ now: Date.now() })
      const accounts = ['webhook', 'sealgate'].map((name) => ({ namespace: SYSTEM, name }))
      ;[cluster, digests] = await Promise.all([
        startCluster(parts, join(folder, 'cluster'), accounts),
        fill(registry, keys, sigstore, folder),
      ])
      stops.push(() => cluster.stop())
      questions = new Questions(cluster)
      stops.push(() => questions.close())
      // Where the page finds things.
      for (const name of ['bin', '.kube']) mkdirSync(join(folder, name))
      symlinkSync(join(repository, 'bin/sealgate'), join(folder, 'bin/sealgate'))
      symlinkSync(join(repository, 'deploy'), join(folder, 'deploy'))
      symlinkSync(cluster.adminKubeconfig, join(folder, '.kube/config'))

      // The controller in use, as its manifests have it.
      const manifests = manifestsOf(parts['policy-controller'])
      await applied(cluster, ['apply', '-k', manifests])
      await applied(cluster, ['apply', '-f', join(manifests, 'webhook.yaml')])
      service = await Service.start(await kubectl(`get service webhook -n ${SYSTEM} -o jsonpath={.spec.clusterIP}`), 443)
      stops.push(() => service.stop())
      const started = await Nodes.start(cluster, SYSTEM, service, podOfEither)
      nodes = started
      stops.push(() => started.stop())
      await kubectl(`rollout status deployment/webhook -n ${SYSTEM} --timeout=60s`)
      await kubectl('create namespace shop')
      await kubectl('label namespace shop policy.sigstore.dev/include=true')
      await kubectl(`create secret generic ours -n ${SYSTEM} --from-file=cosign.pub=${join(folder, 'ours.pub')}`)
      await kubectl(`create secret generic turning -n ${SYSTEM} --from-file=cosign.pub=${join(folder, 'theirs.pub')}`)
      const spec = { sigstoreKeys: sigstore.sigstoreKeys(['v1']) }
      const roots = ['sigstore', 'spare'].map((name) => ({
        apiVersion: 'policy.sigstore.dev/v1alpha1',
        kind: 'TrustRoot',
        metadata: { name },
        spec,
      }))
      const shop = { host, ours: keys.ours.pem, theirs: keys.theirs.pem }
      // Its webhooks answer a moment after it says that it is ready.
      const items = [...roots, ...policiesOf(shop)]
      await until('what is written is taken', () => make({ apiVersion: 'v1', kind: 'List', items }).then(() => true))
      requests = requestsOf(shop, digests)
      await until('every policy is ready', async () => (await read()).every(isReady))
      await make({ ...podOf(`${host}/keyed/app@${digests.signed}`), metadata: { name: 'runs', namespace: 'shop' } })
    })
    after(async () => {
      await load?.stop()
      for (const stop of stops.toReversed()) await stop()
    })

    test('what is answered otherwise stands in the page', () => {
      const rows = readFileSync(join(repository, 'docs/change-over.md'), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('| '))
      for (const { verdict, instead } of requests)
        if (instead) {
          const row = rows.find((one) => one.includes(instead.row)) ?? assert.fail(`${instead.row} is no row of the page`)
          assert.ok(row.endsWith(verdict === 'admitted' ? '| stricter |' : '| wider |'), row)
        }
    })

    test('the controller in use answers each request as is expected, and wrote what it writes', async () => {
      const all = await read()
      assert.ok(all.every(isTheirs))
      assert.ok(all.length > 15)
      await until('every request is answered', async () => {
        said = await askAll()
        return requests.every(({ verdict }, i) => said[i]?.verdict === verdict)
      }).catch(() =>
        assert.fail(
          JSON.stringify(
            requests.map(({ name, verdict }, i) => ({ name, verdict, ...said[i] })).filter((r, i) => r.verdict !== requests[i]?.verdict),
            undefined,
            1,
          ),
        ),
      )
      assert.ok(requests.some(({ name }, i) => name === 'warned of' && said[i]?.warnings.join().includes('failed policy: warned')))
      written = await writtenNow()
      load = new Load(
        questions,
        requests.filter(({ instead }) => !instead),
      )
    })

    test('Before: nothing is wrong, and nobody would be refused', async () => {
      const [doctor] = await follow('Before 1')
      assert.match(doctor?.stdout ?? '', /the sigstore policy controller answers behind the Service/)
      assert.match(doctor?.stdout ?? '', /\n0 things wrong, /)
      const [refused] = await follow('Before 2')
      assert.match(refused?.stdout ?? '', /\n0 things wrong, [^\n]*\n$/)
      await follow('Before 3')
    })

    test('Over: Sealgate answers in place of the other one, in the same words, and no object was touched', async () => {
      await follow('Over 4')
      await follow('Over 5')
      await follow('Over 6', 0)
      await isWell('Over 6', 1)
      await until('nobody is led to the other one', async () => controllers.every((one) => service.connectionsTo(one) === 0))
      await isSame('ours')
      assert.deepEqual(await writtenNow(), written)
    })

    test('policies are edited, deleted and made under Sealgate', async () => {
      await isNow({ edited: 'refused', dropped: 'refused', turned: 'refused', made: 'refused' })
      await applied(cluster, [
        'patch',
        'clusterimagepolicy',
        'edited',
        '--type=merge',
        '-p',
        JSON.stringify({ spec: { authorities: [{ key: { data: keys.ours.pem } }] } }),
      ])
      await kubectl('delete clusterimagepolicy dropped --timeout=45s')
      await kubectl('delete trustroot spare --timeout=45s')
      const data = { 'cosign.pub': Buffer.from(keys.ours.pem).toString('base64') }
      await applied(cluster, ['patch', 'secret', 'turning', '-n', SYSTEM, '--type=merge', '-p', JSON.stringify({ data })])
      await make(madeOf(host, keys.ours.pem))
      await isNow({ edited: 'admitted', dropped: 'admitted', turned: 'admitted', made: 'admitted' })
      await until('every policy is ready', async () => (await read()).every(isReady))
      // Once all is told, nothing is written any more, though their CustomResourceDefinitions do not keep all that Sealgate tells.
      const versions = (): Promise<string> =>
        kubectl('get clusterimagepolicies,trustroots -o jsonpath={.items[*].metadata.resourceVersion}')
      const told = await versions()
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      assert.equal(await versions(), told)
    })

    test('Back: the controller in use answers again, by what is in force now', async () => {
      await follow('Back 1')
      await controllers[0]?.ended // of two of them the ports are the same
      await follow('Back 2', 0)
      await until('everything is in its ConfigMaps', async () => {
        const [lists] = await follow('Back 2', 1)
        const [policies, inForce, roots, trusted] = lists?.stdout.split('\n') ?? []
        return policies === inForce && roots === trusted
      })
      await follow('Back 3')
      await until('nobody is led to Sealgate', async () => replicas.every((one) => service.connectionsTo(one) === 0))
      await isSame('theirs')
      await isNow({ edited: 'admitted', dropped: 'admitted', turned: 'admitted', made: 'admitted' })
      // It takes care of what Sealgate left to it as of its own.
      await until('every policy is its own again', async () => (await read()).every((one) => isReady(one) && isTheirs(one)))
      await kubectl('delete clusterimagepolicy made --timeout=45s')
      await isNow({ made: 'refused' })
      const untouched = written.filter(({ name }) => !['edited', 'dropped', 'spare'].includes(name))
      assert.deepEqual(
        (await writtenNow()).filter(({ name }) => untouched.some((one) => one.name === name)),
        untouched,
      )
    })

    test('Over for good: what is left of the other one goes, and Sealgate is its own', async () => {
      await follow('Over 4')
      await follow('Over 5')
      await follow('Over 6', 0)
      await follow('Over 7', 0)
      await isWell('Over 7', 1)
      await isSame('ours')
    })

    test('all the while every request was answered, and rightly', async () => {
      await load.stop()
      assert.deepEqual(load.wrong, [])
      // The other one closes connections when it is asked to end, whatever is on its way: the page says so.
      const isOfItsEnd = (at: number): boolean =>
        controllers.some(({ askedToEnd = Infinity }) => at >= askedToEnd && at < askedToEnd + ENDING)
      assert.deepEqual(
        load.unanswered.filter(({ at, answer }) => !isOfItsEnd(at) || !answer.lines[0]?.includes('failed calling webhook')),
        [],
      )
      assert.ok(load.counts.unanswered <= MAX_UNANSWERED, JSON.stringify(load.unanswered))
      assert.ok(load.counts.admitted > 100 && load.counts.refused > 100, JSON.stringify(load.counts))
    })

    /** Waits until doctor, which is called there, finds nothing wrong. */
    function isWell(step: string, command: number): Promise<void> {
      return until(`${step}: nothing is wrong`, async () => {
        const [doctor] = await follow(step, command)
        return /\n0 things wrong, /.test(doctor?.stdout ?? '')
      })
    }

    /** Each request has the verdict that the controller in use gave, in the same words: of Sealgate there may be more, and it differs where the page says so. */
    async function isSame(whose: 'ours' | 'theirs'): Promise<void> {
      const answers = await askAll()
      const different = requests.flatMap(({ name, isInAnyOrder, instead }, i) => {
        const [before, now] = [said[i], answers[i]]
        if (!before || !now) return [{ name }]
        if (instead && whose === 'ours') return now.verdict === instead.verdict ? [] : [{ name, before, now }]
        const is =
          before.verdict === now.verdict &&
          (isInOrder(before.lines, now.lines) || (isInAnyOrder === true && wordsOf(before).join(' ') === wordsOf(now).join(' '))) &&
          isInOrder(before.warnings, now.warnings) &&
          before.images.join() === now.images.join()
        return is ? [] : [{ name, before, now }]
      })
      assert.deepEqual(different, [])
    }

    /** Waits until images in these folders, signed by our key, are answered so. */
    async function isNow(verdicts: Readonly<Record<string, string>>): Promise<void> {
      for (const [name, verdict] of Object.entries(verdicts)) {
        const object = podOf(`${host}/${name}/app@${digests.signed}`)
        await until(`${name} is ${verdict}`, async () => (await questions.ask({ object })).verdict === verdict)
      }
    }

    function podOfEither(...[name, deployment, behind]: Parameters<PodMaker>): Pod {
      const pod = deployment.spec?.template?.spec
      const kubeconfig = cluster.kubeconfigOf(SYSTEM, pod?.serviceAccountName ?? '')
      if (pod?.containers[0].image.includes('policy-controller')) {
        const after_ = controllers.at(-1)?.ended ?? Promise.resolve()
        const made = new PolicyController(name, deployment, { program: parts['policy-controller'], kubeconfig, folder, after: after_ })
        controllers.push(made)
        return made
      }
      // As in a cluster, one that ends answers until everybody has learnt that it is gone; here that takes a tenth of a second.
      const made = new Replica(name, {
        deployment,
        kubeconfig,
        folder,
        service: behind,
        env: {},
        arguments: ['--disable-tuf', '--drain-quiet=2s'],
      })
      replicas.push(made)
      return made
    }
  })

/** Pushes every image that is asked about, and what signs it. */
async function fill(
  registry: Registry,
  keys: Readonly<Record<'ours' | 'theirs', KeyPair>>,
  sigstore: Sigstore,
  folder: string,
): Promise<Digests> {
  const parts = partsIfPresent(needed) as Parts
  const names = ['signed', 'signedByThem', 'unsigned', 'bundled'] as const
  const push = async (repository: string): Promise<Digests> => {
    const pairs: (readonly [string, string])[] = []
    for (const name of names) pairs.push([name, await pushImage(registry, repository, name, name)])
    return Object.fromEntries(pairs) as Digests
  }
  let digests: Digests | undefined
  for (const name of IMAGES) digests = await push(`${name}/app`)
  if (!digests) throw new Error('there are no images')
  // What is signed is the same image everywhere, so its signature is the same.
  const first = `${IMAGES[0]}/app`
  await sign(parts, 'cosign2', 'tag', keys.ours, `${registry.host}/${first}@${digests.signed}`, folder)
  await sign(parts, 'cosign2', 'tag', keys.theirs, `${registry.host}/${first}@${digests.signedByThem}`, folder)
  const content = await contentOf(registry, first)
  for (const name of IMAGES.slice(1)) await restore(registry, { ...content, repository: `${name}/app` })
  await sign(parts, 'cosign3', 'bundle', keys.ours, `${registry.host}/bundled/app@${digests.bundled}`, folder)
  for (const repository of ['keyless/app', 'keyless-other/app']) {
    await push(repository)
    const signature = sigstore.signImage({ digest: digests.signed, form: 'annotations', log: 'v1' })
    await pushSignature(registry, repository, signatureManifest(digests.signed as Digest, [signature]))
  }
  return digests
}

function isTheirs({ metadata }: Read): boolean {
  return metadata.finalizers?.some((finalizer) => THEIRS.includes(finalizer)) === true
}

function isReady({ metadata, status }: Read): boolean {
  return (
    status?.observedGeneration === metadata.generation &&
    status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true
  )
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const patience = Date.now() + 60_000
  let cause: unknown
  const isSoNow = (): Promise<boolean> =>
    isSo().catch((error: unknown) => {
      cause = error
      return false
    })
  while (!(await isSoNow())) {
    if (Date.now() > patience) throw new Error(`it did not come about: ${what}`, { cause })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
