import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { renewed } from '../../../programs/webhook/certificate.ts'
import type { Answer } from '../../../programs/webhook/server.ts'
import type { Log, Values } from '../../../src/world/log.ts'
import { silent } from '../../../src/world/log.ts'

/** A certificate for loopback, made once a test file. */
export const certificate = await renewed(undefined, ['localhost', '127.0.0.1', '::1'], new Date())

export type Got = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string }

/** Sends one request as an API server does. */
export function post(
  port: number,
  path: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = { 'Content-Type': 'application/json' },
  more: object = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, path, method: 'POST', ca: certificate.ca, headers, agent: false, ...more },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(body)
  })
}

/** A review of nothing in particular. */
export function review(uid: string): string {
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request: { uid } })
}

/** An answer that names what it answers. */
export function allowing(body: Buffer): Answer {
  return { status: 200, body: JSON.stringify({ answers: (JSON.parse(body.toString()) as { request: { uid: string } }).request.uid }) }
}

/** A log that keeps its lines as `level message`, and their values. */
export function keeping(): Log & { readonly lines: { readonly text: string; readonly values: Values }[] } {
  const lines: { text: string; values: Values }[] = []
  const level =
    (name: string) =>
    (message: string, values: Values = {}) =>
      void lines.push({ text: `${name} ${message}`, values })
  return { ...silent, debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error'), lines }
}
