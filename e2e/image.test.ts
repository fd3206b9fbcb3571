import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, closeSync, existsSync, globSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { basename, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parse } from 'yaml'
import { type Architecture, ARCHITECTURES, Containers, leftOutWithoutContainers, own, root, startNodeRegistry } from './image.ts'
import { freePort, must, temporaryFolder } from './processes.ts'

const MAX_BYTES = 290_000_000 // unpacked; docs/operate.md says how much it is
const HOME = '/var/run/sigstore'
const OPENSHIFT = '1000680000:0' // a user as OpenShift makes them up, and the group that it gives them
const READY_MS = 120_000 // emulated and busy, 15 s; else a second

type Container = {
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly resources: { readonly limits: { readonly memory: string } }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
}
type Deployment = {
  readonly spec: {
    readonly template: {
      readonly spec: { readonly securityContext: Readonly<Record<string, unknown>>; readonly containers: readonly [Container] }
    }
  }
}
const { spec: pod } = (parse(readFileSync(`${root}deploy/manifests/deployment.yaml`, 'utf8')) as Deployment).spec.template

/** What a kubelet makes of the Deployment, as far as it restricts: where that changes, this must. */
function restrictions(): readonly string[] {
  const [container] = pod.containers
  assert.deepEqual(pod.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
  })
  assert.deepEqual(
    container.volumeMounts.filter(({ readOnly }) => readOnly !== true),
    [{ name: 'home', mountPath: HOME }],
  )
  return [
    '--security-opt=no-new-privileges',
    '--cap-drop=all',
    '--read-only',
    '--read-only-tmpfs=false',
    `--mount=type=tmpfs,dst=${HOME},tmpfs-mode=0777,chown=false`,
    `--memory=${container.resources.limits.memory.replace('Mi', 'm')}`,
    '--network=host',
    // podman's own limits are more than every machine lets root have.
    '--ulimit=nofile=1024:1024',
    '--ulimit=nproc=1024:1024',
  ]
}

suite('the image, built and run', { skip: leftOutWithoutContainers(), timeout: 900_000 }, () => {
  const folder = temporaryFolder('image')
  const containers = new Containers(folder)
  let node: Awaited<ReturnType<typeof startNodeRegistry>>
  before(async () => {
    chmodSync(folder, 0o755)
    mkdirSync(join(folder, 'given'))
    writeFileSync(
      join(folder, 'given/policies.yaml'),
      JSON.stringify({
        apiVersion: 'policy.sigstore.dev/v1beta1',
        kind: 'ClusterImagePolicy',
        metadata: { name: 'no-one' },
        spec: { images: [{ glob: '**' }], authorities: [{ name: 'never', static: { action: 'fail', message: 'nobody gets in' } }] },
      }),
    )
    node = await startNodeRegistry(folder)
  })
  after(async () => {
    containers.end()
    await node?.close()
  })

  for (const architecture of ARCHITECTURES)
    suite(`for ${architecture}${architecture === own ? '' : ', emulated'}`, () => {
      let image = ''
      let tree = ''
      /** `podman run` of the image with what a kubelet restricts. */
      const started = (options: readonly string[], ...arguments_: readonly string[]): readonly [string, readonly string[]] =>
        containers.command('run', '--rm', ...restrictions(), ...options, image, ...arguments_)
      const says = (options: readonly string[], ...arguments_: readonly string[]): Promise<string> => {
        const [program, words] = started(options, ...arguments_)
        return must(program, words)
      }

      test('it is built from a Node by digest', async () => {
        image = await containers.build(node.image, architecture)
        tree = (await containers.podman('image', 'mount', image)).trim()
      })

      test('its configuration says how it is run', async () => {
        type Inspected = {
          Architecture: string
          Os: string
          Size: number
          Config: Record<string, unknown> & { Labels: Record<string, string> }
        }
        const [inspected] = JSON.parse(await containers.podman('image', 'inspect', image)) as [Inspected]
        const { Labels: labels, ...config } = inspected.Config
        assert.deepEqual([inspected.Os, inspected.Architecture], ['linux', architecture])
        assert.deepEqual(config, {
          User: '65532:0',
          ExposedPorts: { '8443/tcp': {}, '9090/tcp': {} },
          Env: [
            'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', // the builder's
            'NODE_ENV=production',
            'NODE_COMPILE_CACHE=/app/.cache/compile',
            'NODE_COMPILE_CACHE_PORTABLE=1',
            `HOME=${HOME}`,
          ],
          Entrypoint: [
            '/usr/local/bin/node',
            '--max-semi-space-size=8',
            '--heap-growing-percent=50',
            '--expose-gc',
            '/app/programs/cli/main.ts',
          ],
          Cmd: ['serve'],
        })
        assert.equal(labels['org.opencontainers.image.title'], 'sealgate')
        assert.equal(labels['org.opencontainers.image.licenses'], 'Apache-2.0')
        assert.ok(inspected.Size < MAX_BYTES, `${inspected.Size} bytes`)
        console.error(`image for ${architecture}: ${Math.round(inspected.Size / 1e6)} MB unpacked`)
      })

      test('Node, what it is linked with and the sources are in it: no shell, no other program', () => {
        const outside = globSync('**', { cwd: tree, withFileTypes: true, exclude: (entry) => entry.name === 'app' })
          .filter((entry) => !entry.isDirectory())
          .map((entry) => join(entry.parentPath, entry.name).slice(tree.length))
        const libraries = outside.filter((file) => /^\/lib(64)?\/([\w-]+\/)?(ld-linux-[\w-]+|lib\w[\w+]*)\.so\.\d+$/.test(file))
        assert.deepEqual(outside.filter((file) => !libraries.includes(file)).toSorted(), [
          '/etc/group',
          '/etc/nsswitch.conf',
          '/etc/passwd',
          '/etc/ssl/certs/ca-certificates.crt',
          '/usr/local/bin/node',
        ])
        assert.ok(
          ['libc', 'libstdc++', 'libm', 'ld-linux'].every((name) => libraries.some((file) => file.includes(`/${name}`))),
          libraries.join(),
        )
        // Only scripts of packages, which nothing here can run, and no program for a machine: the same packages serve every architecture.
        const all = globSync('app/**', { cwd: tree, withFileTypes: true }).filter((entry) => entry.isFile())
        assert.deepEqual(all.map((entry) => join(entry.parentPath, entry.name)).filter(isProgramOfAMachine), [])
      })

      test('what is in it belongs to root, and everybody may read it', () => {
        for (const entry of globSync('**', { cwd: tree, withFileTypes: true })) {
          if (entry.isSymbolicLink()) continue
          const path = join(entry.parentPath, entry.name)
          const { uid, gid, mode } = statSync(path)
          assert.deepEqual([uid, gid, mode & 0o022], [0, 0, 0], path)
          assert.equal(mode & (entry.isDirectory() ? 0o005 : 0o004), entry.isDirectory() ? 0o005 : 0o004, path)
        }
      })

      test('only production dependencies are in it', () => {
        type Lock = { packages: Record<string, { dev?: boolean; optional?: boolean }> }
        const lock = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Lock
        const { packages } = lock(`${root}package-lock.json`)
        const installed = Object.keys(lock(join(tree, 'app/node_modules/.package-lock.json')).packages)
        assert.deepEqual(
          installed.toSorted(),
          Object.keys(packages)
            .filter((name) => name !== '' && !packages[name]?.dev && !packages[name]?.optional)
            .toSorted(),
        )
        assert.ok(!existsSync(join(tree, 'app/test')) && !existsSync(join(tree, 'app/deploy')))
      })

      test('it says its version and its help', async () => {
        const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string }
        assert.ok(
          (await says([], 'version')).includes(
            `${version} (node ${process.versions.node}, linux-${architecture === 'arm64' ? 'arm64' : 'x64'})`,
          ),
        )
        assert.match(await says(['--user', OPENSHIFT], 'serve', '--help'), /^sealgate serve/m)
      })

      test('it runs without a right, and can write nowhere but in its home', async () => {
        const probe = `
          const fs = require('node:fs')
          const status = Object.fromEntries(fs.readFileSync('/proc/self/status', 'utf8').split('\\n').map((line) => line.split(':\\t')))
          const { Uid, Gid, CapPrm, CapEff, CapBnd, NoNewPrivs, Seccomp } = status
          const refused = ['/', '/app', '/app/.cache/compile', '/etc/passwd'].filter((path) => {
            try { fs.writeFileSync(fs.statSync(path).isDirectory() ? path + '/x' : path, '') } catch { return true }
          })
          fs.writeFileSync('${HOME}/x', '')
          console.log(JSON.stringify({ Uid, Gid, CapPrm, CapEff, CapBnd, NoNewPrivs, Seccomp, refused, heap: require('node:v8').getHeapStatistics().heap_size_limit }))`
        for (const [options, user] of [
          [[], 65532],
          [['--user', OPENSHIFT], 1000680000],
        ] as const) {
          const [program, words] = containers.command(
            'run',
            '--rm',
            ...restrictions(),
            ...options,
            '--entrypoint=/usr/local/bin/node',
            image,
            '-e',
            probe,
          )
          const { heap, ...said } = JSON.parse(await must(program, words)) as { heap: number }
          const [none, ids] = ['0'.repeat(16), `${user}\t${user}\t${user}\t${user}`]
          assert.deepEqual(said, {
            Uid: ids,
            Gid: '0\t0\t0\t0',
            CapPrm: none,
            CapEff: none,
            CapBnd: none,
            NoNewPrivs: '1',
            Seccomp: '2',
            refused: ['/', '/app', '/app/.cache/compile', '/etc/passwd'],
          })
          assert.ok(heap < 512 * 1024 * 1024, `the heap follows the container's limit: ${heap}`)
        }
      })

      for (const [who, options] of [
        ['its user', []],
        ['another user', ['--user', OPENSHIFT]],
      ] as const)
        test(`as ${who} it becomes ready, answers a review, finds everything compiled, and ends when it is told to`, async () => {
          const [port, metricsPort] = [await freePort(), await freePort()]
          const [program, words] = started(
            [...options, `--volume=${folder}/given:/given:ro`, '--env=NODE_DEBUG_NATIVE=COMPILE_CACHE', ...otherCpu(architecture)],
            'serve',
            '--manifests=/given/policies.yaml',
            '--address=127.0.0.1',
            `--port=${port}`,
            `--metrics-port=${metricsPort}`,
            `--tls-folder=${HOME}/tls`,
            '--log-format=json',
          )
          const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] })
          // Node writes what it found compiled to standard error, a line in several pieces: the log of standard output must not come between them.
          let [logged, said] = ['', '']
          child.stdout.on('data', (chunk: Buffer) => (logged += chunk.toString()))
          child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
          const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
          const patience = Date.now() + READY_MS
          while (!(await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined))?.ok) {
            assert.ok(Date.now() < patience && child.exitCode === null, logged + said)
            await new Promise((resolve) => void setTimeout(resolve, 50))
          }
          assert.match(await refusal(port), /nobody gets in/)
          child.kill('SIGTERM')
          assert.equal(await ended, 0, logged + said)
          const read = [...said.matchAll(/reading cache from .* for \w+ (\S+)\.\.\.(.*)/g)]
          const missed = new Set(read.filter(([, , how]) => !how?.includes('success')).map(([, file]) => basename(file ?? '')))
          assert.ok(read.length > 100, said.slice(0, 2000))
          // The program itself runs as soon as it is read, so it cannot be compiled ahead alone; and libraries load a file or two when they are used.
          missed.delete('main.ts')
          assert.deepEqual(
            [...missed].filter((file) => file.endsWith('.ts')),
            [],
          )
          assert.ok(missed.size < 5, [...missed].join())
        })
    })
})

/** Emulated, it runs on another processor than it was built on: what was compiled ahead must serve on every one. */
function otherCpu(architecture: Architecture): readonly string[] {
  return architecture === own ? [] : [`--env=QEMU_CPU=${architecture === 'arm64' ? 'cortex-a53' : 'Nehalem'}`]
}

/** ELF, as every program and library of a Linux machine begins; also a package's own library for Node. */
function isProgramOfAMachine(path: string): boolean {
  const start = Buffer.alloc(4)
  const file = openSync(path, 'r')
  readSync(file, start, 0, 4, 0)
  closeSync(file)
  return start.toString('latin1') === '\x7fELF'
}

/** What a Pod is refused with. */
function refusal(port: number): Promise<string> {
  const image = `127.0.0.1:1/web@sha256:${createHash('sha256').update('web').digest('hex')}`
  const review = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'a',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      operation: 'CREATE',
      namespace: 'default',
      name: 'web',
      userInfo: {},
      object: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', namespace: 'default' },
        spec: { containers: [{ name: 'web', image }] },
      },
    },
  })
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' }
    const sent = request(
      { host: '127.0.0.1', port, path: '/validations', method: 'POST', headers, rejectUnauthorized: false },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => (text += chunk.toString()))
        response.on('end', () => resolve(text))
      },
    )
    sent.on('error', reject)
    sent.end(review)
  })
}
