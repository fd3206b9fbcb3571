import { isObject } from '../../policy/shape.ts'
import { Secret } from '../log.ts'
import { run } from '../program.ts'

const PLUGIN_TIME = 30_000 // ms; plugins ask cloud services, and some take seconds
const MAX_PLUGIN_BYTES = 1024 * 1024 // of answer and of complaint; certificates are a few KB

/** A kubeconfig's `user.exec`: a program that answers with credentials (client.authentication.k8s.io). */
export type ExecPlugin = {
  readonly apiVersion: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly installHint: string | undefined
  /** What the plugin is told of the cluster, where `provideClusterInfo` asks for it. */
  readonly cluster: Readonly<Record<string, unknown>> | undefined
}

export type ExecCredential = {
  readonly token: Secret | undefined
  readonly cert: string | undefined
  readonly key: Secret | undefined
  /** Milliseconds since 1970 at which it ends; undefined: when the API server refuses it. */
  readonly ends: number | undefined
}

/** Runs a credential plugin. Rejects with an `Error` that says what was wrong, without anything that the plugin answered. */
export async function runPlugin(plugin: ExecPlugin, environment: NodeJS.ProcessEnv): Promise<ExecCredential> {
  const info = {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.cluster && { cluster: plugin.cluster }) },
  }
  const env = { ...environment, ...plugin.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) }
  const answer = await outputOf(plugin, env)
  let credential: unknown
  try {
    credential = JSON.parse(answer)
  } catch {
    throw new Error(`credential plugin ${plugin.command} did not answer with JSON`)
  }
  if (
    !isObject(credential) ||
    credential['kind'] !== 'ExecCredential' ||
    credential['apiVersion'] !== plugin.apiVersion ||
    !isObject(credential['status'])
  ) {
    throw new Error(`credential plugin ${plugin.command} did not answer with an ExecCredential of ${plugin.apiVersion}`)
  }
  const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = credential['status']
  const hasCertificate = typeof cert === 'string' && typeof key === 'string'
  if (typeof token !== 'string' && !hasCertificate)
    throw new Error(`credential plugin ${plugin.command} answered with neither a token nor a certificate and its key`)
  const ends = typeof expirationTimestamp === 'string' ? Date.parse(expirationTimestamp) : NaN
  return {
    token: typeof token === 'string' ? new Secret(token) : undefined,
    cert: hasCertificate ? cert : undefined,
    key: hasCertificate ? new Secret(key) : undefined,
    ends: Number.isNaN(ends) ? undefined : ends,
  }
}

async function outputOf(plugin: ExecPlugin, env: NodeJS.ProcessEnv): Promise<string> {
  const { command, args, installHint } = plugin
  const ended = await run({ command, args, env, ms: PLUGIN_TIME, maxBytes: MAX_PLUGIN_BYTES })
  if (ended.how === 'ended' && ended.code === 0) return ended.answer
  const what =
    ended.how === 'killed'
      ? `was ended after ${PLUGIN_TIME / 1000} s or ${MAX_PLUGIN_BYTES} bytes`
      : ended.how === 'not-run'
        ? `could not be run: ${ended.why}`
        : `ended with ${ended.code}: ${ended.complaint.trim().replaceAll(/\s+/g, ' ').slice(0, 200)}`
  throw new Error(`credential plugin ${command} ${what}${installHint ? `; ${installHint}` : ''}`)
}
