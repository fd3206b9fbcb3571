import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, lchownSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { dockerfile, stagesOf, texts } from './dockerfile.ts'
import { freePort, must, temporaryFolder } from './processes.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const [build, image] = stagesOf(dockerfile)
const isRoot = process.getuid?.() === 0
/** As container runtimes do: the program sees the folder as all there is, and /proc. The mount is seen by nobody else, and ends with the program. */
const ENTER = 'mount --rbind /proc "$1/proc" && folder=$1 user=$2 && shift 2 && exec chroot --userspec="$user" "$folder" "$@"'
// Root in a container may not be allowed to mount.
const hasOwnRoot = isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0
const [uid = 0, gid = 0] = (texts(image, 'USER')[0] ?? '').split(':').map(Number)

/**
 * What deploy/Dockerfile makes, without Docker: its steps, in a folder instead of an image. Run by root, the program runs with that folder as
 * its root, as the image's user, who owns none of it: whatever the image lacks, or the program would write, is found out.
 */
suite(
  'the image, made and run in a folder',
  { skip: process.platform !== 'linux' && 'the image is one for Linux', timeout: 300_000 },
  () => {
    const folder = temporaryFolder('image')
    const app = join(folder, 'app')
    const env: Record<string, string> = { PATH: '/usr/local/bin', HOME: '/nowhere' }
    for (const [, name = '', value = ''] of (texts(image, 'ENV')[0] ?? '').matchAll(/(\w+)=(\S+)/g)) env[name] = value
    const [program = '', ...flags] = JSON.parse(texts(image, 'ENTRYPOINT')[0] ?? '[]') as string[]

    /** The command that starts the program, and where its files are. */
    const started = (arguments_: readonly string[]): readonly [string, readonly string[]] =>
      hasOwnRoot
        ? ['unshare', ['--mount', 'sh', '-c', ENTER, 'sh', folder, `${uid}:${gid}`, program, ...flags, ...arguments_]]
        : [process.execPath, [...flags.map((flag) => flag.replace(/^\/app/, app)), ...arguments_]]
    const environment = (more: Record<string, string> = {}): NodeJS.ProcessEnv => ({
      ...env,
      ...more,
      ...(hasOwnRoot ? { PATH: process.env['PATH'] } : { NODE_COMPILE_CACHE: join(app, '.cache/compile') }),
    })
    const says = (...arguments_: string[]) => {
      const [command, words] = started(arguments_)
      return spawnSync(command, words, { env: environment(), encoding: 'utf8', timeout: 60_000 })
    }

    before(async () => {
      chmodSync(folder, 0o755)
      mkdirSync(app)
      mkdirSync(join(folder, 'proc'))
      for (const text of texts(build, 'COPY'))
        for (const file of text.split(/\s+/).slice(0, -1)) cpSync(join(root, file), join(app, file), { recursive: true })
      const [install = ''] = texts(build, 'RUN').filter((text) => text.startsWith('npm ci'))
      await must('npm', [...install.split(' ').slice(1), '--prefer-offline'], { cwd: app })
      const assemble = (texts(build, 'RUN').find((text) => text.startsWith('mkdir')) ?? '')
        .replaceAll('/image', folder)
        .replaceAll(' /usr/local/bin/node ', ` ${process.execPath} `)
      // Only root gives files away.
      await must('sh', ['-ec', isRoot ? assemble : assemble.replaceAll('chown', 'true')], { cwd: app })
      const cache = join(app, '.cache/compile')
      const warm = (texts(build, 'RUN').at(-1) ?? '').replaceAll('/app', app)
      await must('setpriv', [...(isRoot ? [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : []), 'sh', '-c', warm], {
        cwd: app,
        env: { PATH: `${join(folder, 'usr/local/bin')}:${process.env['PATH']}` },
      })
      if (isRoot) for (const path of readdirSync(cache, { recursive: true, encoding: 'utf8' })) lchownSync(join(cache, path), 0, 0)
      if (isRoot) chownSync(cache, 0, 0)
    })

    test('it says its version and its help', () => {
      const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string }
      const said = says('version')
      assert.deepEqual([said.status, said.stderr], [0, ''])
      assert.match(said.stdout, new RegExp(RegExp.escape(version)))
      for (const command of ['serve', 'review', 'explain']) {
        const help = says(command, '--help')
        assert.deepEqual([help.status, help.stderr], [0, ''])
        assert.match(help.stdout, new RegExp(`^sealgate ${command}`, 'm'))
      }
    })

    test('only production dependencies are in it', () => {
      type Lock = { packages: Record<string, { dev?: boolean; optional?: boolean }> }
      const lock = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Lock
      const { packages } = lock(`${root}package-lock.json`)
      const installed = Object.keys(lock(join(app, 'node_modules/.package-lock.json')).packages)
      assert.ok(installed.length > 20)
      assert.deepEqual(
        installed.filter((name) => packages[name]?.dev === true || packages[name]?.optional === true || !packages[name]),
        [],
      )
      assert.ok(!existsSync(join(app, 'test')) && !existsSync(join(app, 'deploy')))
    })

    test('it serves, with nothing to write to but its home, and finds everything compiled', async () => {
      const home = join(folder, 'var/run/sigstore')
      mkdirSync(home, { recursive: true })
      chownSync(home, isRoot ? uid : -1, isRoot ? gid : -1)
      writeFileSync(join(folder, 'policies.yaml'), '')
      const [port, metricsPort] = [await freePort(), await freePort()]
      const [command, words] = started([
        'serve',
        `--manifests=${hasOwnRoot ? '' : folder}/policies.yaml`,
        '--address=127.0.0.1',
        `--port=${port}`,
        `--metrics-port=${metricsPort}`,
        `--tls-folder=${hasOwnRoot ? '' : folder}/var/run/sigstore/tls`,
        '--log-format=json',
      ])
      const child = spawn(command, words, { env: environment({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }), stdio: ['ignore', 'pipe', 'pipe'] })
      after(() => child.kill('SIGKILL'))
      // Node writes what it found compiled to standard error, a line in several pieces: the log of standard output must not come between them.
      let [logged, said] = ['', '']
      child.stdout.on('data', (chunk: Buffer) => (logged += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
      for (let tries = 0; !(await fetch(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined))?.ok; tries++) {
        assert.ok(tries < 300 && child.exitCode === null, logged + said)
        await new Promise((resolve) => void setTimeout(resolve, 50))
      }
      child.kill('SIGTERM')
      assert.equal(await ended, 0, logged + said)
      const read = [...said.matchAll(/reading cache from .* for \w+ (\S+)\.\.\.(.*)/g)]
      const missed = new Set(read.filter(([, , how]) => !how?.includes('success')).map(([, file]) => basename(file ?? '')))
      assert.ok(read.length > 100, said.slice(0, 2000))
      // The program itself runs as soon as it is read, so it cannot be compiled ahead alone; and libraries load a file or two when they are used.
      missed.delete('main.ts')
      const ours = [...missed].filter((file) => file.endsWith('.ts'))
      assert.deepEqual(ours, [])
      assert.ok(missed.size < 5, [...missed].join())
    })
  },
)
