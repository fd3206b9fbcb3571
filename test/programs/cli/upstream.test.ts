import { deepEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { options } from '../../../programs/cli/options.ts'
import { parse } from '../../../programs/cli/parse.ts'
import { notedEnvironment, notedFlags } from '../../../programs/cli/upstream.ts'

// Specification 10.8 and 10.7.
const flags =
  'webhook-name mutating-webhook-name validating-webhook-name tuf-mirror tuf-root disable-tuf policy-resync-period trustroot-resync-period secure-port kubeconfig server cluster kube-api-qps kube-api-burst disable-ha v logtostderr'
const variables =
  'SYSTEM_NAMESPACE KUBERNETES_MIN_VERSION WEBHOOK_NAME METRICS_DOMAIN POD_NAME K_THREADS_PER_CONTROLLER WEBHOOK_TLS_MIN_VERSION TUF_ROOT SIGSTORE_NO_CACHE SIGSTORE_REKOR_PUBLIC_KEY SIGSTORE_CT_LOG_PUBLIC_KEY_FILE COSIGN_MAX_ATTACHMENT_SIZE METRICS_PROMETHEUS_PORT METRICS_PROMETHEUS_HOST CONFIG_LOGGING_NAME CONFIG_OBSERVABILITY_NAME CONFIG_LEADERELECTION_NAME'

for (const flag of flags.split(' '))
  test(`the policy controller's --${flag} is accepted`, () => {
    const given = ['disable-tuf', 'disable-ha', 'logtostderr'].includes(flag)
      ? [`-${flag}`]
      : [`--${flag}`, flag.endsWith('period') ? '10h' : flag === 'tuf-mirror' ? 'https://tuf.example' : '10']
    const parsed = parse('serve', given, {})
    ok(parsed.ok, parsed.ok ? '' : parsed.text)
  })

test("each of the policy controller's environment variables is read, or noted with the reason why not", () => {
  const read = Object.values(options).flatMap((o) => ('env' in o ? [o.env] : []))
  deepEqual(
    variables.split(' ').filter((v) => !(v in notedEnvironment) && !(read as string[]).includes(v)),
    [],
  )
})

test('every note gives a reason', () => {
  for (const why of [...Object.values(notedFlags).map((n) => n.why), ...Object.values(notedEnvironment)]) ok(why.length > 10)
})

test('where trust and keys come from, and how often, is obeyed, not noted', () => {
  const given = [
    '--tuf-mirror',
    'https://tuf.example/',
    '--tuf-root',
    'root.json',
    '-disable-tuf',
    '--trustroot-resync-period',
    '1h',
    '--policy-resync-period=2h',
  ]
  const parsed = parse('serve', given, {})
  ok(parsed.ok)
  const { tufMirror, tufRoot, disableTuf, trustrootResyncPeriod, policyResyncPeriod } = parsed.settings
  deepEqual(
    [tufMirror?.href, tufRoot, disableTuf, trustrootResyncPeriod, policyResyncPeriod, parsed.notes],
    ['https://tuf.example/', 'root.json', true, 3_600_000, 7_200_000, []],
  )
})
