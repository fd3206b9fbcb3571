import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer } from 'node:http'
import type { Metrics } from '../../src/world/metrics.ts'
import type { Readiness } from './server.ts'

const REQUEST_TIMEOUT = 10_000 // ms
const MAX_CONNECTIONS = 256

/**
 * Plain http for Prometheus and the kubelet, not yet listening: `/metrics`, `/healthz` and `/readyz`, the two last also under the names
 * `/health` and `/readiness`. What is ready may change; what is alive is alive as long as it answers, and is not stuck.
 */
export function openProbes(readiness: () => Readiness, metrics: Metrics, isStuck: () => boolean = () => false): Server {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT, headersTimeout: REQUEST_TIMEOUT }, (request, response) => {
    void answer(request, response, readiness, metrics, isStuck)
  })
  server.maxConnections = MAX_CONNECTIONS
  return server
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  readiness: () => Readiness,
  metrics: Metrics,
  isStuck: () => boolean,
): Promise<void> {
  const say = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(text)
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'only GET\n')
  switch ((request.url ?? '').split('?', 1)[0]) {
    case '/healthz':
    case '/health':
      return isStuck() ? say(503, 'there has been too little memory for a minute\n') : say(200, 'ok\n')
    case '/readyz':
    case '/readiness': {
      const state = readiness()
      return state.ready ? say(200, 'ok\n') : say(503, `${state.text}\n`)
    }
    case '/metrics':
      try {
        return say(200, await metrics.text(), metrics.contentType)
      } catch {
        return say(500, 'the metrics could not be written\n')
      }
    default:
      return say(404, 'here are /metrics, /healthz and /readyz\n')
  }
}
