import type { Value } from './values.ts'
import { text, toggle } from './values.ts'

/**
 * What the sigstore policy controller takes and what has no meaning here. It is accepted, so that a Deployment keeps working when the
 * image is exchanged, and `serve` logs that it does nothing and why: nothing is ignored silently. Flags that do have a meaning are
 * aliases in `options.ts`.
 */
export type Noted = { readonly value: Value<unknown>; readonly why: string }

const KEPT = 'what TUF repositories say is kept in memory only'
const LOG_KEYS = 'the keys of logs are those of a trust root: give them to a TrustRoot, and name it in the policy (trustRootRef)'
const CLIENT = 'the client of the API server needs no tuning'
const LOGGING = 'see --log-level and --log-format'

const noted = (value: Value<unknown>, why: string): Noted => ({ value, why })

export const notedFlags: Readonly<Record<string, Noted>> = {
  'kube-api-qps': noted(text('NUMBER'), CLIENT),
  'kube-api-burst': noted(text('NUMBER'), CLIENT),
  'v': noted(text('NUMBER'), LOGGING),
  'vmodule': noted(text('PATTERN'), LOGGING),
  'logtostderr': noted(toggle, LOGGING),
  'alsologtostderr': noted(toggle, LOGGING),
  'stderrthreshold': noted(text('NUMBER'), LOGGING),
  'log_dir': noted(text('FOLDER'), LOGGING),
  'log_file': noted(text('FILE'), LOGGING),
  'skip_headers': noted(toggle, LOGGING),
}

export const notedEnvironment: Readonly<Record<string, string>> = {
  KUBERNETES_MIN_VERSION: 'what is needed of the API server is asked of it, not of its version',
  METRICS_DOMAIN: 'metrics are named sealgate_…',
  K_THREADS_PER_CONTROLLER: 'requests are answered by one event loop',
  CONFIG_OBSERVABILITY_NAME: 'metrics are always served for Prometheus',
  PROFILING_PORT: 'profiles are taken with the inspector of Node.js',
  TUF_ROOT: KEPT,
  SIGSTORE_NO_CACHE: KEPT,
  SIGSTORE_REKOR_PUBLIC_KEY: LOG_KEYS,
  SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: LOG_KEYS,
  COSIGN_MAX_ATTACHMENT_SIZE: 'what is read of a registry has bounds of its own',
}
