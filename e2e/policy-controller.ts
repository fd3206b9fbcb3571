import { mkdirSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import type { Manifest } from './chart.ts'
import type { Pod } from './nodes.ts'
import { Server } from './processes.ts'
import { PROBE_MS } from './service.ts'

const DRAIN = 60_000 // ms; it answers for 45 s after it was asked to end

export type PolicyControllerOptions = {
  readonly program: string
  readonly kubeconfig: string
  readonly folder: string
  /** Its ports are its own choice: one can run at a time, and this is when the last one has ended. */
  readonly after: Promise<unknown>
}

/** A Pod of the sigstore policy controller: its program, with the arguments and the environment of its Deployment. */
export class PolicyController implements Pod {
  readonly name: string
  readonly port = 8443
  /** When it has ended. */
  readonly ended: Promise<void>
  readonly #hasEnded: () => void
  readonly #deployment: Manifest
  readonly #options: PolicyControllerOptions
  #server: Server | undefined
  /** When it was asked to end, in ms since 1970. */
  askedToEnd: number | undefined

  constructor(name: string, deployment: Manifest, options: PolicyControllerOptions) {
    this.name = name
    this.#deployment = deployment
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<void>()
    this.ended = promise
    this.#hasEnded = resolve
  }

  async start(): Promise<void> {
    void this.#options.after.then(() => {
      if (this.askedToEnd === undefined) this.#start()
    })
  }

  #start(): void {
    const { program, kubeconfig, folder } = this.#options
    const container = this.#deployment.spec?.template?.spec.containers[0]
    if (!container) throw new Error('the Deployment has no container')
    const home = join(folder, this.name)
    mkdirSync(home, { recursive: true })
    this.#server = new Server(
      this.name,
      program,
      // Nothing of the public instance is needed, and tests ask nobody outside of this machine.
      [...(container.args ?? []), '-disable-tuf'],
      join(folder, `${this.name}.log`),
      {
        ...Object.fromEntries(container.env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]))),
        PATH: process.env['PATH'],
        HOME: home,
        KUBECONFIG: kubeconfig,
        SYSTEM_NAMESPACE: this.#deployment.metadata.namespace,
      },
    )
  }

  /** As its Deployment's probe asks. */
  isReady(): Promise<boolean> {
    if (!this.#server) return Promise.resolve(false)
    return new Promise((resolve) => {
      const signal = AbortSignal.timeout(PROBE_MS)
      const options = { rejectUnauthorized: false, agent: false, signal, headers: { 'k-kubelet-probe': 'webhook' } }
      get(`https://127.0.0.1:${this.port}/`, options, (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      }).on('error', () => resolve(false))
    })
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    this.askedToEnd ??= Date.now()
    await this.#server?.stop(signal, DRAIN)
    this.#hasEnded()
  }

  log(): string {
    return this.#server?.log() ?? ''
  }
}
