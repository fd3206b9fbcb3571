import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from '../../../programs/cli/options.ts'
import { commandOf, parse } from '../../../programs/cli/parse.ts'

function settings(command: Command, given: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const parsed = parse(command, given, environment)
  if (!parsed.ok) throw new Error(parsed.text)
  return parsed.settings
}

function problem(command: Command, given: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  const parsed = parse(command, given, environment)
  return parsed.ok ? 'none' : parsed.text
}

test('without options, everything has its default', () => {
  const { address, port, metricsPort, systemNamespace, manifests, tlsMinVersion, logFormat } = settings('serve', [])
  deepEqual(
    [address, port, metricsPort, systemNamespace, manifests, tlsMinVersion, logFormat],
    ['::', 8443, 9090, 'cosign-system', [], '1.3', undefined],
  )
})

test('the demo listens on this machine alone, unless an address is given, be it what others listen on without one', () => {
  equal(settings('demo', []).address, '127.0.0.1')
  equal(settings('demo', ['--address', '::']).address, '::')
  equal(settings('demo', [], { METRICS_PROMETHEUS_HOST: '::1' }).address, '127.0.0.1')
})

for (const given of [
  ['--port', '9443'],
  ['--port=9443'],
  ['-port', '9443'],
  ['-port=9443'],
  ['--secure-port=9443'],
  ['-secure-port', '9443'],
])
  test(`${given.join(' ')} is the port`, () => equal(settings('serve', given).port, 9443))

test('a repeatable option keeps every value in order, any other the last', () => {
  const { manifests, port } = settings('serve', ['--manifests', 'a', '--port', '1', '--manifests=b', '--port', '2'])
  deepEqual([manifests, port], [['a', 'b'], 2])
})

test('serve takes several paths after one --manifests, as a shell writes them', () =>
  deepEqual(settings('serve', ['--manifests', 'a.yaml', 'b.yaml', '--port', '1']).manifests, ['a.yaml', 'b.yaml']))

test('review takes files before and after options; a dash is standard input', () => {
  const parsed = parse('review', ['a.json', '--manifests', 'policies', '-', '--', '--odd.json'], {})
  deepEqual(parsed.ok && [parsed.files, parsed.settings.manifests], [['a.json', '-', '--odd.json'], ['policies']])
})

for (const [variable, value, name, wanted] of [
  ['SYSTEM_NAMESPACE', 'security', 'systemNamespace', 'security'],
  ['SEALGATE_READ_ONLY', 'true', 'readOnly', true],
  ['WEBHOOK_NAME', 'gate', 'serviceName', 'gate'],
  ['METRICS_PROMETHEUS_PORT', '9191', 'metricsPort', 9191],
  ['METRICS_PROMETHEUS_HOST', '127.0.0.1', 'metricsAddress', '127.0.0.1'],
  ['WEBHOOK_TLS_MIN_VERSION', '1.2', 'tlsMinVersion', '1.2'],
  ['CONFIG_LOGGING_NAME', 'logs', 'loggingConfigMap', 'logs'],
] as const)
  test(`the environment variable ${variable} sets ${name}`, () => equal(settings('serve', [], { [variable]: value })[name], wanted))

test('the command line wins over the environment, and an empty variable is none', () => {
  equal(settings('serve', ['--metrics-port', '1'], { METRICS_PROMETHEUS_PORT: '2' }).metricsPort, 1)
  equal(settings('serve', [], { METRICS_PROMETHEUS_PORT: '' }).metricsPort, 9090)
})

test('what has no meaning here is accepted and noted, never silently', () => {
  const given = ['--vmodule', 'x=1', '-v', '4', '--kube-api-qps=10']
  const parsed = parse('serve', given, { METRICS_DOMAIN: 'sigstore.dev/policy', POD_NAME: 'webhook-1' })
  const names = parsed.ok ? parsed.notes.map((n) => n.setting) : []
  deepEqual(names, ['--vmodule', '-v', '--kube-api-qps', 'METRICS_DOMAIN'])
})

for (const [command, given, text] of [
  ['serve', ['--mirorr', 'x'], 'unknown option --mirorr: did you mean --mirror?'],
  ['serve', ['-prot', '1'], 'unknown option -prot: did you mean --port?'],
  ['serve', ['--policy-resync'], 'unknown option --policy-resync: did you mean --policy-resync-period?'],
  ['serve', ['--colour'], 'unknown option --colour: see sealgate serve --help'],
  ['serve', ['--at', '2026-01-31T12:00:00Z'], 'unknown option --at: it belongs to sealgate review, explain, verify-bundle'],
  [
    'explain',
    ['--object', 'a', '--service-account', 'b'],
    '--object and --service-account exclude each other: the object names its ServiceAccount',
  ],
  ['review', ['--vmodule', 'x=1', 'x.json'], 'unknown option --vmodule: see sealgate review --help'],
  ['serve', ['--port'], '--port needs a value: --port PORT'],
  ['serve', ['--port', 'x'], '--port: not a port: `x`'],
  ['serve', ['--policy-resync-period', 'often'], '--policy-resync-period: not a duration such as 45s or 1m30s: `often`'],
  ['serve', ['policies/'], 'unexpected argument policies/: sealgate serve takes options only'],
  ['serve', ['--tls-cert', 'a.pem'], '--tls-cert needs --tls-key'],
  ['serve', ['--tls-key', 'a.pem'], '--tls-key needs --tls-cert'],
  ['serve', ['--manifests', 'a', '--kubeconfig', 'b'], '--manifests and --kubeconfig exclude each other'],
  ['demo', ['--kubeconfig', 'b'], 'unknown option --kubeconfig: it belongs to sealgate serve, doctor'],
] as const)
  test(`sealgate ${command} ${given.join(' ')}: ${text}`, () => equal(problem(command, given), text))

test('a wrong environment variable is named', () =>
  equal(problem('serve', [], { METRICS_PROMETHEUS_PORT: 'x' }), 'the environment variable METRICS_PROMETHEUS_PORT: not a port: `x`'))

for (const [given, text] of [
  ['serv', 'unknown command serv: did you mean serve?'],
  ['deploy', 'unknown command deploy: see sealgate --help'],
  ['--port=1', '--port stands before the command: sealgate COMMAND --port'],
] as const)
  test(`sealgate ${given}: ${text}`, () => {
    const command = commandOf(given)
    equal(command.ok ? 'none' : command.text, text)
  })
