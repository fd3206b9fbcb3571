import type { ChildProcess } from 'node:child_process'
import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ApiServer } from './cluster.ts'
import { startApiServer } from './cluster.ts'
import { asker } from './conversation.ts'
import type { Load, Measured } from './load.ts'
import type { LongestSlice } from './longest-slice.ts'
import type { Form, RegistryAnswer, RegistryQuestion } from './registry.ts'

/** The registry's name in images and policies; requests for it are sent to the process. */
export const REGISTRY = 'registry.example'

const READY_EVERY_MS = 5
const READY_MS = 30_000

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** What a question measures with. Everything that it starts ends with it. */
export class Bench {
  /** Whether the long questions are asked in full. */
  readonly full: boolean
  readonly #say: (what: string) => void
  readonly #started: { stop(): Promise<void> }[] = []

  constructor(full: boolean, say: (what: string) => void) {
    this.full = full
    this.#say = say
  }

  /** Tells whoever watches how far it is. */
  progress(what: string): void {
    this.#say(what)
  }

  /** A registry that answers each request after `delay` ms. */
  async registry(delay = 0): Promise<RegistryProcess> {
    return this.#keep(new RegistryProcess(fork(here('registry.ts'), [String(delay)])))
  }

  /** A webhook with these manifests (JSON), whose requests for `REGISTRY` go to `registry`. `enter`: what a shell does before it becomes the webhook. */
  async webhook(
    manifests: readonly object[],
    registry: RegistryProcess,
    environment: NodeJS.ProcessEnv = {},
    enter?: string,
  ): Promise<WebhookProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'sealgate-bench-'))
    mkdirSync(join(folder, 'manifests'))
    write(folder, manifests)
    return this.#start(folder, [`--manifests=${join(folder, 'manifests')}`], registry, environment, enter)
  }

  /** An API server with these objects. */
  async apiServer(objects: readonly object[]): Promise<ApiServer> {
    return this.#keep(await startApiServer(objects))
  }

  /** A webhook in the cluster of an API server. */
  async webhookIn({ kubeconfig }: ApiServer, registry: RegistryProcess): Promise<WebhookProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'sealgate-bench-'))
    return this.#start(folder, [`--kubeconfig=${kubeconfig}`, '--probe-port=0', '--drain-quiet=0s'], registry, {})
  }

  /** A load; one process each, so that one does not wait for another. */
  async load(webhook: WebhookProcess, load: Omit<Load, 'port' | 'ca'>): Promise<Measured> {
    const child = fork(here('load.ts'))
    this.#keep({ stop: () => ended(child, 'SIGKILL') })
    const measured = await asker<Load, Measured>(child)({ port: webhook.port, ca: webhook.ca(), ...load })
    await ended(child, 'SIGKILL')
    if (measured.failed > 0)
      throw new Error(`${measured.failed} of ${measured.requests} answers were no answers\n${webhook.log().slice(-2000)}`)
    return measured
  }

  async end(): Promise<void> {
    await Promise.all(this.#started.splice(0).map((started) => started.stop()))
  }

  async #start(
    folder: string,
    options: readonly string[],
    registry: RegistryProcess,
    environment: NodeJS.ProcessEnv,
    enter?: string,
  ): Promise<WebhookProcess> {
    const mirror = ['--mirror', `${REGISTRY}=http://127.0.0.1:${await registry.port()}`]
    const webhook = this.#keep(await WebhookProcess.start(folder, [...options, ...mirror], environment, enter))
    await webhook.ready
    return webhook
  }

  #keep<T extends { stop(): Promise<void> }>(started: T): T {
    this.#started.push(started)
    return started
  }
}

export class RegistryProcess {
  readonly #child: ChildProcess
  readonly #ask: (question: RegistryQuestion) => Promise<RegistryAnswer>

  constructor(child: ChildProcess) {
    this.#child = child
    this.#ask = asker(child)
  }

  async port(): Promise<number> {
    return (await this.#ask({ ask: 'seen' })).port
  }

  /** PEM of the key that signs the images. */
  async key(): Promise<string> {
    return (await this.#ask({ ask: 'seen' })).key
  }

  /** A Sigstore trusted root that says who certifies and logs the identity that signs. */
  async trustedRoot(): Promise<object> {
    return (await this.#ask({ ask: 'trust' })).trustedRoot ?? {}
  }

  /** Puts images in and answers their names: each in a repository of its own, or all of them in one. */
  async fill(repository: string, images: number, form: Form, together = false): Promise<readonly string[]> {
    return (await this.#ask({ ask: 'fill', repository, images, form, together })).images.map((image) => `${REGISTRY}/${image}`)
  }

  /** From now on everything wants an anonymous token. */
  async guard(): Promise<void> {
    await this.#ask({ ask: 'guard' })
  }

  /** Requests since this was last asked, and how often the same one came at most. */
  async seen(): Promise<Pick<RegistryAnswer, 'requests' | 'mostAsked'>> {
    return this.#ask({ ask: 'seen' })
  }

  stop(): Promise<void> {
    return ended(this.#child, 'SIGKILL')
  }
}

export class WebhookProcess {
  readonly port: number
  /** Milliseconds from its start until it said that it is ready. */
  readonly ready: Promise<number>
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #metricsPort: number
  readonly #ask: (question: 'longest-slice') => Promise<LongestSlice>

  private constructor(child: ChildProcess, folder: string, port: number, metricsPort: number) {
    this.#child = child
    this.#folder = folder
    this.port = port
    this.#metricsPort = metricsPort
    this.#ask = asker(child)
    this.ready = this.#untilReady(performance.now())
  }

  /** `options` say where it takes its objects from; what it writes lies in `folder`, which it owns. */
  static async start(
    folder: string,
    options: readonly string[],
    environment: NodeJS.ProcessEnv,
    enter: string = ':',
  ): Promise<WebhookProcess> {
    const port = await freePort()
    const metricsPort = await freePort()
    const output = openSync(join(folder, 'log'), 'w')
    const child = spawn(
      'sh',
      [
        '-c',
        `${enter}; exec "$0" "$@"`,
        here('../bin/sealgate'),
        'serve',
        '--disable-tuf',
        '--address=127.0.0.1',
        `--port=${port}`,
        `--metrics-port=${metricsPort}`,
        `--tls-folder=${join(folder, 'tls')}`,
        ...options,
      ],
      {
        env: {
          ...process.env,
          NODE_OPTIONS: `--experimental-ffi --disable-warning=ExperimentalWarning --import=${new URL('longest-slice.ts', import.meta.url).href}`,
          ...environment,
        },
        stdio: ['ignore', output, output, 'ipc'],
      },
    )
    closeSync(output)
    return new WebhookProcess(child, folder, port, metricsPort)
  }

  /** Exchanges the manifests. */
  apply(manifests: readonly object[]): void {
    write(this.#folder, manifests)
  }

  /** PEM of the CA that signed its certificate. */
  ca(): string {
    return readFileSync(join(this.#folder, 'tls', 'ca.crt'), 'utf8')
  }

  log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8')
  }

  /** Resident memory, in MB. */
  memory(): number {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(this.#child.pid)], { encoding: 'utf8' })) / 1024
  }

  /** Milliseconds of processor time that it has taken since its start; undefined where the kernel does not say. */
  processorTime(): number | undefined {
    if (process.platform !== 'linux') return undefined
    // After the name in parentheses: user time is the twelfth field, system time the next, in ticks of 10 ms (proc_pid_stat(5)).
    const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10
  }

  /** For how long its event loop was held up at most, since this was last asked. */
  longestSlice(): Promise<LongestSlice> {
    return this.#ask('longest-slice')
  }

  /** The sum of all series of a metric. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text()
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  async stop(): Promise<void> {
    await ended(this.#child, 'SIGTERM')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #untilReady(started: number): Promise<number> {
    while (performance.now() - started < READY_MS && this.#child.exitCode === null) {
      const is = await fetch(`http://127.0.0.1:${this.#metricsPort}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
      if (is) return performance.now() - started
      await new Promise((resolve) => setTimeout(resolve, READY_EVERY_MS))
    }
    throw new Error(`the webhook did not become ready\n${this.log().slice(-4000)}`)
  }
}

function write(folder: string, manifests: readonly object[]): void {
  // Written beside and renamed, as every tool does that wants nobody to read the half of it.
  writeFileSync(join(folder, 'all.yaml'), manifests.map((manifest) => JSON.stringify(manifest)).join('\n---\n'))
  renameSync(join(folder, 'all.yaml'), join(folder, 'manifests', 'all.yaml'))
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const at = server.address()
  server.close()
  await once(server, 'close')
  return at === null || typeof at === 'string' ? 0 : at.port
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}
