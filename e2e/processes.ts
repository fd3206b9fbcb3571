import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a program that ran to its end said. */
export type Said = { readonly code: number; readonly stdout: string; readonly stderr: string }

const RUN_MS = 60_000 // the slowest, a first cosign call on a busy machine, takes 5 s
const STOP_MS = 10_000 // then a process is killed, unless it needs longer
const READY_EVERY_MS = 50

const running = new Set<ChildProcess>()
const folders = new Set<string>()

// Whatever ends this process, what it started ends with it, and what it wrote goes.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/** Runs `program` to its end. A code other than 0 is an answer, not an exception. */
export function run(
  program: string,
  arguments_: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string; timeout?: number } = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const { input, ...rest } = options
    const child = execFile(program, arguments_, { timeout: RUN_MS, ...rest, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(new Error(`${program}: ${error.message}`))
      else resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
    running.add(child)
    child.once('exit', () => running.delete(child))
    // A program that does not read its input may have closed it.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input ?? '')
  })
}

/** As `run`, for a program that must succeed: answers its standard output. */
export async function must(program: string, arguments_: readonly string[], options: Parameters<typeof run>[2] = {}): Promise<string> {
  const said = await run(program, arguments_, options)
  if (said.code !== 0) throw new Error(`${program} ${arguments_.join(' ')}: exit code ${said.code}\n${said.stdout}${said.stderr}`)
  return said.stdout
}

/** A folder that is there until this process ends. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `sealgate-${name}-`))
  folders.add(folder)
  return folder
}

/** A process that serves until it is stopped. What it prints goes to the file `log`. */
export class Server {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #log: string

  constructor(name: string, program: string, arguments_: readonly string[], log: string, env: NodeJS.ProcessEnv = process.env) {
    const output = openSync(log, 'a')
    // Its input stays open as long as this process lives: some of the parts end with it.
    this.#child = spawn(program, arguments_, { env, stdio: ['pipe', output, output] })
    closeSync(output)
    this.#name = name
    this.#log = log
    running.add(this.#child)
    this.#child.once('exit', () => running.delete(this.#child))
  }

  get #ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** All that it has printed. */
  log(): string {
    return readFileSync(this.#log, 'utf8')
  }

  /** Waits until `ready` answers something other than undefined, and answers that. Fails with the end of the log when the process ends or the time does. */
  async until<T>(ready: () => T | undefined | Promise<T | undefined>, milliseconds = 60_000): Promise<T> {
    const patience = Date.now() + milliseconds
    for (;;) {
      const answer = await ready()
      if (answer !== undefined) return answer
      if (this.#ended || Date.now() > patience)
        throw new Error(`${this.#name}: ${this.#ended ? 'ended' : `not ready after ${milliseconds} ms`}\n${this.log().slice(-4000)}`)
      await new Promise((resolve) => setTimeout(resolve, READY_EVERY_MS))
    }
  }

  /** Ends it, in the way that the signal asks for, and waits until it has ended. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', patience = STOP_MS): Promise<void> {
    if (this.#ended) return
    const ended = once(this.#child, 'exit')
    this.#child.kill(signal)
    const force = setTimeout(() => this.#child.kill('SIGKILL'), patience)
    await ended
    clearTimeout(force)
  }
}

/** A port of `address` that nobody listened on a moment ago. */
export async function freePort(address = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, address)
  await once(server, 'listening')
  const at = server.address()
  server.close()
  await once(server, 'close')
  if (at === null || typeof at === 'string') throw new Error(`no port on ${address}`)
  return at.port
}
