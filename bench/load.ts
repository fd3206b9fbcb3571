import { once } from 'node:events'
import { createHistogram } from 'node:perf_hooks'
import type { TLSSocket } from 'node:tls'
import { connect } from 'node:tls'
import { answerParent } from './conversation.ts'
import { reviewOf } from './review.ts'

/**
 * A load of AdmissionReviews as an API server makes it: TLS, connections that stay open, one request at a time on each, the next as soon as
 * the last is answered. Each Pod has one container an image of its entry in `pods`; the entries are gone through round and round.
 */
export type Load = {
  readonly port: number
  /** PEM of the CA. */
  readonly ca: string
  readonly connections: number
  readonly pods: readonly (readonly string[])[]
  /** Ends it, whichever comes first; work under way is waited for. */
  readonly requests?: number
  readonly seconds?: number
}

/** Times are milliseconds from the first byte of a request to the last of its answer. `failed` counts answers that are not HTTP 200. */
export type Measured = {
  readonly requests: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly longest: number
  readonly allowed: number
  readonly failed: number
}

answerParent<Load, Measured>(measure)

async function measure({ port, ca, connections, pods, requests = Infinity, seconds = Infinity }: Load): Promise<Measured> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port, ca)))
  const prepared = pods.map((images, i) => requestOf(images, i))
  const times = createHistogram()
  const begun = performance.now()
  const end = begun + seconds * 1000
  let sent = 0
  let allowed = 0
  let failed = 0
  const loop = async (socket: TLSSocket): Promise<void> => {
    while (sent < requests && performance.now() < end) {
      const request = prepared[sent++ % prepared.length] as Buffer
      const at = performance.now()
      socket.write(request)
      const answer = await answerOn(socket)
      times.record(Math.max(1, Math.round((performance.now() - at) * 1000)))
      if (!answer.startsWith('HTTP/1.1 200 ')) failed++
      else if (answer.includes('"allowed":true')) allowed++
    }
  }
  await Promise.all(sockets.map(loop))
  const took = (performance.now() - begun) / 1000
  for (const socket of sockets) socket.destroy()
  const milliseconds = (microseconds: number): number => microseconds / 1000
  return {
    requests: sent,
    perSecond: sent / took,
    p50: milliseconds(times.percentile(50)),
    p99: milliseconds(times.percentile(99)),
    longest: milliseconds(times.max),
    allowed,
    failed,
  }
}

async function open(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca, servername: 'localhost' })
  await once(socket, 'secureConnect')
  return socket.setNoDelay(true).setEncoding('latin1')
}

function requestOf(images: readonly string[], number: number): Buffer {
  const body = JSON.stringify(reviewOf(images, number))
  const head = `POST /validations?timeout=10s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.from(head + body)
}

/** One whole answer, which has a Content-Length; a refusal's body may come in several pieces. */
function answerOn(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const heard = (piece: string): void => {
      text += piece
      const head = text.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1])
      if (text.length >= head + 4 + length) done(() => resolve(text))
    }
    const cut = (): void => done(() => reject(new Error('the webhook closed a connection')))
    const done = (then: () => void): void => {
      socket.off('data', heard).off('close', cut)
      then()
    }
    socket.on('data', heard).once('close', cut)
  })
}
