import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import { pipeline } from 'node:stream'

/** One that stands behind a Service. `isReady` is asked again and again, as the kubelet asks. */
export type Endpoint = { readonly port: number; isReady(): Promise<boolean> }

/** Who does not answer a probe in this time is not ready; a kubelet waits a second. */
export const PROBE_MS = 5_000

const PROBE_EVERY = 100 // ms

/**
 * What kube-proxy does, which is not here: connections to the address of a Service go to the endpoints that are ready, one after the other. One that
 * ends takes its connections with it; one that only is no longer ready keeps them.
 */
export class Service {
  readonly #endpoints = new Map<Endpoint, boolean>()
  readonly #sockets = new Set<Socket>()
  readonly #leading = new Map<Socket, Endpoint>()
  readonly #server = createServer((socket) => this.#forward(socket))
  readonly #probing: NodeJS.Timeout
  #next = 0

  readonly #onward: string

  private constructor(onward: string) {
    this.#onward = onward
    this.#probing = setInterval(() => this.#probe(), PROBE_EVERY)
  }

  /** `onward`: the address of its endpoints. */
  static async start(address: string, port: number, onward = '127.0.0.1'): Promise<Service> {
    const service = new Service(onward)
    service.#server.listen(port, address)
    await once(service.#server, 'listening')
    return service
  }

  add(endpoint: Endpoint): void {
    this.#endpoints.set(endpoint, false)
  }

  /** Whoever is gone is sent nothing any more. */
  remove(endpoint: Endpoint): void {
    this.#endpoints.delete(endpoint)
  }

  /** How many connections lead to an endpoint, whether it is still behind the Service or not. */
  connectionsTo(endpoint: Endpoint): number {
    return [...this.#leading.values()].filter((one) => one === endpoint).length
  }

  /** Nobody is there any more. */
  clear(): void {
    this.#endpoints.clear()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  stop(): void {
    clearInterval(this.#probing)
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #probe(): void {
    for (const endpoint of this.#endpoints.keys())
      void endpoint.isReady().then(
        (isReady) => this.#endpoints.has(endpoint) && this.#endpoints.set(endpoint, isReady),
        () => this.#endpoints.has(endpoint) && this.#endpoints.set(endpoint, false),
      )
  }

  #forward(socket: Socket): void {
    const ready = [...this.#endpoints].filter(([, isReady]) => isReady).map(([endpoint]) => endpoint)
    const chosen = ready[this.#next++ % Math.max(1, ready.length)]
    if (!chosen) return void socket.resetAndDestroy()
    const onward = connect(chosen.port, this.#onward)
    this.#leading.set(onward, chosen)
    onward.on('close', () => this.#leading.delete(onward))
    for (const one of [socket, onward]) {
      this.#sockets.add(one)
      one.setNoDelay(true)
      one.on('close', () => this.#sockets.delete(one))
    }
    // Whichever side ends, the other does.
    pipeline(socket, onward, socket, () => {
      socket.destroy()
      onward.destroy()
    })
  }
}
