import type { Server } from 'node:https'

const LOOK = 25 // ms between looks at whether it has become quiet

/**
 * How a server ends without refusing anyone. Until `drain` it only notes when the last request came. From then on it is no longer ready,
 * and its answers end their connections; it goes on answering until no request has come for the quiet time, because the API server
 * learns only later that this replica is gone. Then it stops listening, and what is under way finishes.
 */
export class Draining {
  #since: number | undefined
  #last = 0

  /** Whether `drain` was called: not ready, and connections are not kept. */
  isDraining(): boolean {
    return this.#since !== undefined
  }

  /** Notes the requests of `server`. */
  watch(server: Server): void {
    server.on('request', () => (this.#last = performance.now()))
  }

  /** Resolves once nothing is under way, or `grace` ms have passed: then what is left is cut off. */
  async drain(server: Server, quiet: number, grace: number): Promise<'finished' | 'cut-off'> {
    this.#since = performance.now()
    const end = this.#since + grace
    while (performance.now() < Math.min(end, Math.max(this.#since, this.#last) + quiet)) await pause(LOOK)
    const how = await new Promise<'finished' | 'cut-off'>((resolve) => {
      const late = setTimeout(() => resolve('cut-off'), Math.max(0, end - performance.now()))
      server.close(() => {
        clearTimeout(late)
        resolve('finished')
      })
    })
    server.closeAllConnections()
    return how
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, milliseconds))
}
