import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { follow } from '../cluster/follow.ts'
import type { Log } from '../log.ts'
import type { OwnDockerConfig } from './docker-config.ts'
import { readOwnDockerConfig } from './docker-config.ts'

const POLL_MS = 30_000 // after which a change is noticed of which nothing tells
const GONE_MS = 2_000 // after which a file that disappeared is gone: mounted Secrets are exchanged, not written

type Environment = Readonly<Record<string, string | undefined>>
export type DockerConfigTimes = { readonly poll?: number; readonly gone?: number }

/**
 * The controller's own Docker configs: `$DOCKER_CONFIG/config.json`, `$HOME/.docker/config.json`, `$REGISTRY_AUTH_FILE`,
 * `$XDG_RUNTIME_DIR/containers/auth.json`, in this order. A file that does not exist is passed over.
 */
export class DockerConfigFiles {
  readonly #files: readonly File[]
  readonly #log: Log
  readonly #times: DockerConfigTimes
  #current: readonly OwnDockerConfig[] = []
  #following: { close(): void } | undefined
  #later: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #isStale = false

  private constructor(environment: Environment, log: Log, times: DockerConfigTimes) {
    this.#files = pathsIn(environment).map((path) => ({
      path,
      text: undefined,
      config: undefined,
      goneSince: undefined,
      problem: undefined,
    }))
    this.#log = log
    this.#times = times
  }

  /** Reads them. Rejects when one cannot be read, since going on without it would ask registries as somebody else. */
  static async open(environment: Environment, log: Log, times: DockerConfigTimes = {}): Promise<DockerConfigFiles> {
    const opened = new DockerConfigFiles(environment, log, times)
    await Promise.all(opened.#files.map(load))
    for (const { path, problem } of opened.#files) if (problem !== undefined) throw new Error(`the Docker config ${path} ${problem}`)
    opened.#take()
    return opened
  }

  /** What is in force: the same object until something changes. */
  current(): readonly OwnDockerConfig[] {
    return this.#current
  }

  /** Follows changes from now on. Of a file that is broken then, what was read of it stays in force, and the log says so. */
  follow(): void {
    const folders = [...new Set(this.#files.map(({ path }) => dirname(path)))]
    this.#following = follow(
      () => folders,
      () => this.#look(),
      this.#times.poll ?? POLL_MS,
      this.#log,
    )
  }

  async close(): Promise<void> {
    this.#following?.close()
    this.#following = undefined
    clearTimeout(this.#later)
    await this.#reading
  }

  /** One look at a time; what changes meanwhile leads to another. */
  #look(): void {
    this.#isStale = true
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
  }

  async #read(): Promise<void> {
    while (this.#isStale && this.#following) {
      this.#isStale = false
      const { poll: _, gone = GONE_MS } = this.#times
      const known = this.#files.map(({ config, problem }) => ({ config, problem }))
      await Promise.all(this.#files.map(load))
      const now = performance.now()
      for (const [i, file] of this.#files.entries()) {
        const isGone = file.goneSince !== undefined && now - file.goneSince >= gone
        if (isGone) file.config = undefined
        else if (file.goneSince !== undefined && file.config) {
          clearTimeout(this.#later)
          this.#later = setTimeout(() => this.#look(), gone)
        }
        const { path, problem } = file
        if (problem !== undefined && problem !== known[i]?.problem)
          this.#log.warn('a Docker config is broken; what was read of it before stays in force', { path, problem })
      }
      if (this.#files.every(({ config }, i) => config === known[i]?.config)) continue
      this.#take()
      this.#log.info('a Docker config changed', { files: this.#current.length })
    }
  }

  #take(): void {
    this.#current = this.#files.flatMap(({ config }) => (config ? [config] : []))
  }
}

type File = {
  readonly path: string
  /** As it was read last. */
  text: string | undefined
  config: OwnDockerConfig | undefined
  goneSince: number | undefined
  problem: string | undefined
}

async function load(file: File): Promise<void> {
  let bytes: Buffer
  try {
    bytes = await readFile(file.path)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    file.text = undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      file.problem = undefined
      file.goneSince ??= performance.now()
    } else file.problem = `cannot be read: ${code}`
    return
  }
  file.goneSince = undefined
  const text = bytes.toString('latin1')
  if (text === file.text) return
  file.text = text
  const read = readOwnDockerConfig(bytes, 'Docker config of the controller')
  file.problem = read.ok ? undefined : read.error
  if (read.ok) file.config = read.value
}

function pathsIn({ DOCKER_CONFIG, HOME, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR }: Environment): readonly string[] {
  const paths = [
    DOCKER_CONFIG && join(DOCKER_CONFIG, 'config.json'),
    HOME && join(HOME, '.docker', 'config.json'),
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers', 'auth.json'),
  ]
  return [...new Set(paths)].filter((path): path is string => path !== undefined && path !== '')
}
