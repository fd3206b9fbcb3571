import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Manifest } from './chart.ts'
import { LOOPBACK, LOOPBACK_HOST } from './cluster.ts'
import { Server, freePort } from './processes.ts'
import { type Endpoint, PROBE_MS, type Service } from './service.ts'

const sealgate = fileURLToPath(new URL('../bin/sealgate', import.meta.url))

export type ReplicaOptions = {
  readonly deployment: Manifest
  readonly kubeconfig: string
  readonly folder: string
  readonly service: Pick<Service, 'add' | 'remove'>
  /** Besides those of the Deployment. */
  readonly arguments: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** A Pod of the Deployment, without a kubelet: a process with its arguments and its environment, behind its Service while it is ready. */
export class Replica implements Endpoint {
  readonly name: string
  readonly #options: ReplicaOptions
  #server: Server | undefined
  #port = 0
  #metricsPort = 0

  constructor(name: string, options: ReplicaOptions) {
    this.name = name
    this.#options = options
  }

  get port(): number {
    return this.#port
  }

  /** Starts it, or starts it again as another Pod; does not wait until it is ready. */
  async start(): Promise<void> {
    const { deployment, kubeconfig, folder, service, env } = this.#options
    const container = deployment.spec?.template?.spec.containers[0]
    if (!container) throw new Error('the Deployment has no container')
    const home = join(folder, this.name)
    mkdirSync(home, { recursive: true })
    const values = container.env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]))
    ;[this.#port, this.#metricsPort] = [await freePort(), await freePort()]
    this.#server = new Server(
      this.name,
      sealgate,
      [
        ...container.args,
        // What a Pod has of its own: an address, ports, a service account.
        `--kubeconfig=${kubeconfig}`,
        `--address=${LOOPBACK}`,
        `--port=${this.#port}`,
        `--metrics-port=${this.#metricsPort}`,
        '--probe-port=0',
        ...this.#options.arguments,
      ],
      join(folder, `${this.name}.log`),
      {
        ...Object.fromEntries(values),
        ...env,
        PATH: process.env['PATH'],
        HOME: home,
        SYSTEM_NAMESPACE: deployment.metadata.namespace,
        POD_NAME: this.name,
      },
    )
    service.add(this)
  }

  async untilReady(): Promise<void> {
    await this.#server?.until(async () => (await this.isReady()) || undefined)
  }

  async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`http://${LOOPBACK_HOST}:${this.#metricsPort}/readyz`, { signal: AbortSignal.timeout(PROBE_MS) })
      await response.arrayBuffer()
      return response.ok
    } catch {
      return false
    }
  }

  async isLeading(): Promise<boolean> {
    const text = await fetch(`http://${LOOPBACK_HOST}:${this.#metricsPort}/metrics`).then(
      (r) => r.text(),
      () => '',
    )
    return /^sealgate_leader 1$/m.test(text)
  }

  /** Ends it: as the kubelet does, or without a word. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    // What is killed is gone at once; what is asked to end says itself that it is no longer ready.
    if (signal === 'SIGKILL') this.#options.service.remove(this)
    await this.#server?.stop(signal)
    this.#options.service.remove(this)
  }

  log(): string {
    return this.#server?.log() ?? ''
  }
}
