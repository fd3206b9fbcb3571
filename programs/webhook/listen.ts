import type { Server } from 'node:net'

/** Where a server listens, as a URL's `host:port`. */
export type Listening =
  | { readonly ok: true; readonly address: string; readonly port: number }
  | { readonly ok: false; readonly text: string }

/**
 * Lets `server` listen. `::` is IPv4 too, and stands for `0.0.0.0` where there is no IPv6. A port that is taken is told with the option
 * that chooses another; which one it is stays the operator's decision.
 */
export async function listen(server: Server, address: string, port: number, option: string): Promise<Listening> {
  const failed = await attempt(server, address, port)
  if (failed === undefined) return where(server)
  if (address === '::' && (failed.code === 'EAFNOSUPPORT' || failed.code === 'EADDRNOTAVAIL'))
    return listen(server, '0.0.0.0', port, option)
  const shown = `${hostText(address)}:${port}`
  switch (failed.code) {
    case 'EADDRINUSE':
      return { ok: false, text: `${shown} is taken: choose another port with ${option}` }
    case 'EACCES':
      return { ok: false, text: `${shown} needs more rights: choose another port with ${option}` }
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return { ok: false, text: `${shown} is no address of this machine: choose another with ${option.replace('port', 'address')}` }
    default:
      return { ok: false, text: `cannot listen on ${shown}: ${failed.message}` }
  }
}

function attempt(server: Server, address: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(error)
    server.once('error', failed)
    server.listen({ host: address, port, backlog: BACKLOG }, () => {
      server.off('error', failed)
      resolve(undefined)
    })
  })
}

const BACKLOG = 1024 // connections that wait to be accepted, in a burst

function where(server: Server): Listening {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return { ok: false, text: 'the server is not listening' }
  return { ok: true, address: `${hostText(bound.address)}:${bound.port}`, port: bound.port }
}

function hostText(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
