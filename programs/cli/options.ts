import type { Mirror, Value } from './values.ts'
import { duration, instant, mirror, oneOf, port, registryHost, repositoryUrl, text, toggle } from './values.ts'

/** The commands, in the order the help shows them. */
export const commands = ['serve', 'review', 'explain', 'verify-bundle', 'doctor', 'demo', 'version', 'help'] as const
export type Command = (typeof commands)[number]

/** One row of the table below. The parser, every help text and docs/reference/options.md derive from it. */
export type Option<T = unknown> = {
  readonly value: Value<unknown>
  /** What holds when it is neither given nor in the environment. */
  readonly unset: T
  /** The same for commands that differ. */
  readonly unsetFor?: Readonly<Partial<Record<Command, T>>>
  /** What the help says instead of `unset`, where that is decided only later. */
  readonly unsetText?: string
  readonly repeatable: boolean
  readonly commands: readonly Command[]
  readonly group: Group
  readonly help: string
  /** The environment variable read when the option is not given. */
  readonly env?: string
  /** Other names, without dashes, as the sigstore policy controller spells them. */
  readonly alias?: readonly string[]
}

export type Group = 'asked' | 'objects' | 'serving' | 'certificate' | 'writing' | 'registries' | 'trust' | 'log' | 'clock'

type About<T> = Omit<Option<T>, 'value' | 'unset' | 'repeatable'>

function option<T>(value: Value<T>, unset: T, about: About<T>): Option<T>
function option<T>(value: Value<T>, unset: undefined, about: About<T>): Option<T | undefined>
function option<T>(value: Value<T>, unset: T | undefined, about: About<T>): Option<T | undefined> {
  return { value, unset, repeatable: false, ...about }
}

function repeatable<T>(value: Value<T>, about: About<readonly T[]>): Option<readonly T[]> {
  return { value, unset: [], repeatable: true, ...about }
}

const everywhere = ['serve', 'review', 'explain', 'doctor', 'demo'] as const
const servers = ['serve', 'demo'] as const

/** Every option, by its name in the settings: `metricsPort` is `--metrics-port`. */
export const options = {
  object: option<string>(text('FILE'), undefined, {
    group: 'asked',
    commands: ['explain'],
    unsetText: 'a Pod made of IMAGE',
    help: 'the object (YAML or JSON), or an AdmissionReview of it, that runs the image; without IMAGE, all of its images are explained',
  }),
  namespace: option<string>(text('NAMESPACE'), undefined, {
    group: 'asked',
    commands: ['explain'],
    unsetText: 'that of the object, else default',
    help: 'the namespace of the object',
  }),
  serviceAccount: option<string>(text('NAME'), undefined, {
    group: 'asked',
    commands: ['explain'],
    unsetText: 'default',
    help: 'the ServiceAccount of the Pod that is made of IMAGE: registries are asked with its pull secrets',
  }),
  bundle: option<string>(text('FILE'), undefined, {
    group: 'asked',
    commands: ['verify-bundle'],
    unsetText: 'none: it must be given',
    help: 'the Sigstore bundle (JSON, v0.1 to v0.3)',
  }),
  certificateIdentity: option<string>(text('ID'), undefined, {
    group: 'asked',
    commands: ['verify-bundle'],
    unsetText: 'none',
    help: 'who must have signed: an alternative name of the certificate, compared as it stands',
  }),
  certificateOidcIssuer: option<string>(text('URL'), undefined, {
    group: 'asked',
    commands: ['verify-bundle'],
    unsetText: 'none',
    help: 'who must say so: the OpenID issuer in the certificate, compared as it stands',
  }),
  key: option<string>(text('FILE'), undefined, {
    group: 'asked',
    commands: ['verify-bundle'],
    unsetText: 'none',
    help: 'the public key (PEM) that must have signed, instead of a certificate',
  }),
  trustedRoot: option<string>(text('FILE'), undefined, {
    group: 'asked',
    commands: ['verify-bundle'],
    unsetText: 'the public Sigstore instance',
    help: 'whom to believe about certificates, logs and time: a Sigstore trusted root (JSON)',
  }),
  staging: option<boolean>(toggle, false, {
    group: 'asked',
    commands: ['verify-bundle'],
    help: 'believe the staging instance of Sigstore instead of the public one; --trusted-root goes before it',
  }),
  json: option<boolean>(toggle, false, {
    group: 'asked',
    commands: ['explain', 'verify-bundle', 'doctor'],
    help: 'print one object of JSON instead of text',
  }),
  manifests: repeatable<string>(text('PATH'), {
    group: 'objects',
    commands: ['serve', 'review', 'explain', 'doctor'],
    help: 'take policies and what they need from this YAML or JSON file or folder instead of a cluster; `serve` follows changes to it',
  }),
  systemNamespace: option<string>(text('NAMESPACE'), 'cosign-system', {
    group: 'objects',
    commands: everywhere,
    env: 'SYSTEM_NAMESPACE',
    help: 'the namespace of the controller, where the Secrets of policies and its ConfigMap lie',
  }),
  kubeconfig: option<string>(text('FILE'), undefined, {
    group: 'objects',
    commands: ['serve', 'doctor'],
    unsetText: '$KUBECONFIG, else the service account of the pod',
    help: 'how to reach the cluster',
  }),
  cluster: option<string>(text('NAME'), undefined, {
    group: 'objects',
    commands: ['serve', 'doctor'],
    unsetText: 'that of the current context',
    help: 'the cluster of the kubeconfig to use',
  }),
  server: option<string>(text('URL'), undefined, {
    group: 'objects',
    commands: ['serve', 'doctor'],
    unsetText: 'that of the kubeconfig',
    help: 'the address of the API server',
  }),
  path: option<string>(text('PATH'), '/validations', {
    group: 'objects',
    commands: ['review'],
    help: 'the path the API server would send the review to: /validations or /mutations for workloads; /defaulting, /validating or /resource-conversion for policies',
  }),
  at: option<Date>(instant, undefined, {
    group: 'clock',
    commands: ['review', 'explain', 'verify-bundle'],
    unsetText: 'now',
    help: 'the instant at which everything is checked',
  }),
  address: option<string>(text('ADDRESS'), '::', {
    group: 'serving',
    commands: servers,
    unsetFor: { demo: '127.0.0.1' }, // nobody but this machine is meant to reach it
    help: 'the address to listen on; `::` is IPv4 too, and stands for 0.0.0.0 where there is no IPv6',
  }),
  port: option<number>(port, 8443, {
    group: 'serving',
    commands: servers,
    alias: ['secure-port'],
    help: 'the port of the webhook (https); 0: any free one, printed',
  }),
  metricsAddress: option<string>(text('ADDRESS'), undefined, {
    group: 'serving',
    commands: servers,
    env: 'METRICS_PROMETHEUS_HOST',
    unsetText: 'that of --address',
    help: 'the address of the metrics port',
  }),
  metricsPort: option<number>(port, 9090, {
    group: 'serving',
    commands: servers,
    env: 'METRICS_PROMETHEUS_PORT',
    help: 'the port (plain http) of /metrics, /healthz and /readyz; 0: any free one, printed',
  }),
  probePort: option<number>(port, undefined, {
    group: 'serving',
    commands: ['serve'],
    unsetText: '8080 in a cluster, else none',
    help: 'a further port (plain http) of /readiness and /health, which the metrics port answers too',
  }),
  drainQuiet: option<number>(duration, undefined, {
    group: 'serving',
    commands: ['serve'],
    unsetText: '45s in a cluster, else 0s',
    help: 'after SIGTERM: stop listening once no request has come for so long',
  }),
  drainGrace: option<number>(duration, 300_000, {
    group: 'serving',
    commands: ['serve'],
    unsetText: '5m',
    help: 'after SIGTERM: end at the latest after so long',
  }),
  tlsCert: option<string>(text('FILE'), undefined, {
    group: 'certificate',
    commands: servers,
    unsetText: 'in a cluster that of the Secret webhook-certs, else self-signed in --tls-folder',
    help: 'the certificate chain of the webhook (PEM), read anew when it changes',
  }),
  tlsKey: option<string>(text('FILE'), undefined, {
    group: 'certificate',
    commands: servers,
    unsetText: 'as --tls-cert',
    help: 'the private key of --tls-cert (PEM)',
  }),
  tlsFolder: option<string>(text('FOLDER'), undefined, {
    group: 'certificate',
    commands: servers,
    unsetText: '$XDG_CACHE_HOME/sealgate/tls, else ~/.cache/sealgate/tls',
    help: 'where a self-signed certificate and its CA are kept; given in a cluster, it takes the place of the Secret webhook-certs',
  }),
  serviceName: option<string>(text('NAME'), 'webhook', {
    group: 'certificate',
    commands: [...servers, 'doctor'],
    env: 'WEBHOOK_NAME',
    help: 'the Service that leads to the webhook: the self-signed certificate is good for it',
  }),
  tlsMinVersion: option<'1.2' | '1.3'>(oneOf('1.2', '1.3'), '1.3', {
    group: 'certificate',
    commands: servers,
    env: 'WEBHOOK_TLS_MIN_VERSION',
    help: 'the oldest version of TLS that is spoken',
  }),
  certificateOverlap: option<number>(duration, 300_000, {
    group: 'certificate',
    commands: ['serve'],
    unsetText: '5m',
    help: 'when the CA of the certificate in the Secret webhook-certs is exchanged: how long both are trusted before the new one signs, and after',
  }),
  readOnly: option<boolean>(toggle, false, {
    group: 'writing',
    commands: ['serve'],
    env: 'SEALGATE_READ_ONLY',
    help: 'write nothing to the cluster: no status, no certificate, no webhook configuration, no event',
  }),
  disableHa: option<boolean>(toggle, false, {
    group: 'writing',
    commands: ['serve'],
    help: 'there is one replica only: it writes without asking for the Lease',
  }),
  podName: option<string>(text('NAME'), undefined, {
    group: 'writing',
    commands: ['serve'],
    env: 'POD_NAME',
    unsetText: 'the name of the machine',
    help: 'what the Lease calls this replica',
  }),
  leaderElectionConfigMap: option<string>(text('NAME'), 'config-leader-election', {
    group: 'writing',
    commands: ['serve'],
    env: 'CONFIG_LEADERELECTION_NAME',
    help: 'the ConfigMap whose `lease-duration`, `renew-deadline` and `retry-period` say how the replica is found that writes',
  }),
  webhookName: option<string>(text('NAME'), 'policy.sigstore.dev', {
    group: 'writing',
    commands: ['serve', 'doctor'],
    help: 'the webhook configurations for workloads, validating and mutating, that are kept up to date',
  }),
  mutatingWebhookName: option<string>(text('NAME'), 'defaulting.clusterimagepolicy.sigstore.dev', {
    group: 'writing',
    commands: ['serve', 'doctor'],
    help: 'the mutating webhook configuration for policies and trust roots that is kept up to date',
  }),
  validatingWebhookName: option<string>(text('NAME'), 'validating.clusterimagepolicy.sigstore.dev', {
    group: 'writing',
    commands: ['serve', 'doctor'],
    help: 'the validating webhook configuration for policies and trust roots that is kept up to date',
  }),
  mirrors: repeatable<Mirror>(mirror, {
    group: 'registries',
    commands: everywhere,
    help: 'send requests for the registry HOST to URL; credentials of HOST are sent there only with `,credentials`',
  }),
  insecureRegistries: repeatable<string>(registryHost, {
    group: 'registries',
    commands: everywhere,
    help: 'speak plain http, with credentials, to this registry when it does not speak https',
  }),
  registryCas: repeatable<string>(text('PATH'), {
    group: 'registries',
    commands: everywhere,
    help: 'trust the certificates (PEM) of registries in this file or folder, besides those of the system',
  }),
  tufMirror: option<URL>(repositoryUrl, undefined, {
    group: 'trust',
    commands: ['serve', 'review', 'explain', 'doctor'],
    unsetText: 'https://tuf-repo-cdn.sigstore.dev',
    help: 'the TUF repository of the Sigstore instance that is meant where a policy names no TrustRoot',
  }),
  tufRoot: option<string>(text('FILE'), undefined, {
    group: 'trust',
    commands: ['serve', 'review', 'explain', 'doctor'],
    unsetText: 'that of the public instance, which is embedded',
    help: 'the TUF root metadata that trust in that instance begins with; with it, nothing that is embedded is trusted',
  }),
  disableTuf: option<boolean>(toggle, false, {
    group: 'trust',
    commands: ['serve', 'review', 'explain', 'doctor'],
    help: 'ask nobody about that instance: what is embedded of the public one is trusted until it expires',
  }),
  trustrootResyncPeriod: option<number>(duration, 24 * 60 * 60 * 1000, {
    group: 'trust',
    commands: ['serve'],
    unsetText: '24h',
    help: 'how often TUF repositories are asked again, those of TrustRoots too, besides before what they said expires; 0: only then',
  }),
  policyResyncPeriod: option<number>(duration, 10 * 60 * 60 * 1000, {
    group: 'trust',
    commands: ['serve'],
    unsetText: '10h',
    help: 'how often keys of key management services are read again, besides when a policy changes; 0: only then',
  }),
  logLevel: option<'debug' | 'info' | 'warn' | 'error'>(oneOf('debug', 'info', 'warn', 'error'), 'info', {
    group: 'log',
    commands: everywhere,
    help: 'the least important lines that are logged',
  }),
  logFormat: option<'json' | 'text'>(oneOf('json', 'text'), undefined, {
    group: 'log',
    commands: everywhere,
    unsetText: 'text on a terminal, else json',
    help: 'how lines are logged: `serve` logs to standard output, offline commands to standard error',
  }),
  loggingConfigMap: option<string>(text('NAME'), 'config-logging', {
    group: 'log',
    commands: ['serve'],
    env: 'CONFIG_LOGGING_NAME',
    help: 'the ConfigMap whose `loglevel.policy-controller` changes the level while the controller runs',
  }),
  help: option<boolean>(toggle, false, { group: 'log', commands, alias: ['h'], help: 'print the help of the command' }),
} as const

type Options = typeof options
export type Name = keyof Options

/** What a command runs with: every option's value, given, from the environment or unset. */
export type Settings = { readonly [N in Name]: Options[N] extends Option<infer T> ? T : never }

/** The spelling on the command line, without dashes. Repeatable options are named in the singular. */
export function flagOf(name: Name): string {
  const singular = { mirrors: 'mirror', insecureRegistries: 'insecure-registry', registryCas: 'registry-ca' } as const
  if (name in singular) return singular[name as keyof typeof singular]
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The options of one command, in the order of the table; `unset` is what holds for this one. */
export function optionsOf(command: Command): readonly (readonly [Name, Option])[] {
  return (Object.entries(options) as [Name, Option][])
    .filter(([, o]) => o.commands.includes(command))
    .map(([name, o]) => [name, { ...o, unset: o.unsetFor?.[command] ?? o.unset }])
}
