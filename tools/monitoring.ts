import { stringify } from 'yaml'
import { table } from './reference.ts'

/**
 * The alert rules and the dashboard in deploy/monitoring, from one list each. Every metric and label in them is one that
 * docs/reference/metrics.md has: test/tools/monitoring.test.ts holds that.
 */
export type Alert = {
  readonly name: string
  readonly expr: string
  /** How long it must hold. */
  readonly for: string
  /** `critical`: workloads are refused, or soon will be; `warning`: somebody should look at it. */
  readonly severity: 'critical' | 'warning'
  readonly summary: string
  /** What it means, and what to do. */
  readonly description: string
}

export const alerts: readonly Alert[] = [
  {
    name: 'SealgateDown',
    expr: 'absent(sealgate_leader)',
    for: '2m',
    severity: 'critical',
    summary: 'No replica answers',
    description:
      'With failurePolicy Fail the API server refuses every workload in checked namespaces. Look at the Pods of the controller; its own namespace is never checked, so they can start.',
  },
  {
    name: 'SealgateNoLeader',
    expr: 'sum(sealgate_leader) == 0',
    for: '5m',
    severity: 'warning',
    summary: 'No replica writes',
    description:
      'Requests are answered, but status, serving certificate and webhook configurations are not kept up to date. The log says what keeps replicas from the Lease.',
  },
  {
    name: 'SealgateApiServerSilent',
    expr: 'max(sealgate_api_contact_age_seconds) > 120',
    for: '2m',
    severity: 'warning',
    summary: 'A replica has not heard of the API server for two minutes',
    description: 'It goes on with the policies that it knows; changes of policies and keys are not in force.',
  },
  {
    name: 'SealgateInternalErrors',
    expr: 'sum by (where) (increase(sealgate_internal_errors_total[10m])) > 0',
    for: '0m',
    severity: 'warning',
    summary: 'An exception that no code expected ({{ $labels.where }})',
    description: 'A bug: the request was refused, and the log has the stack. Please report it.',
  },
  {
    name: 'SealgatePolicyBroken',
    expr: 'max(sealgate_policies{state="broken"}) > 0',
    for: '5m',
    severity: 'critical',
    summary: '{{ $value }} policies refuse every image that they speak about',
    description:
      'A key, Secret, ConfigMap or TrustRoot cannot be had, or a field is wrong: kubectl get cip -o wide, and the conditions of those that are not ready.',
  },
  {
    name: 'SealgateWithoutPolicies',
    expr: 'max(sealgate_without_policies_keyless) == 1',
    for: '15m',
    severity: 'warning',
    summary: 'There is no ClusterImagePolicy',
    description:
      'Every image with any keyless signature of the public Sigstore instance is let in. Add a policy, or set without-policies: no-match-policy.',
  },
  {
    name: 'SealgateTrustRootBroken',
    expr: 'max by (of) (sealgate_trust_roots{state="broken"}) > 0',
    for: '5m',
    severity: 'critical',
    summary: '{{ $value }} trust roots cannot be believed',
    description: 'Authorities that name them refuse. kubectl get trustroot -o wide says why.',
  },
  {
    name: 'SealgateTrustRootStale',
    expr: 'max by (of) (sealgate_trust_roots{state="stale"}) > 0',
    for: '1h',
    severity: 'warning',
    summary: '{{ $value }} trust roots could not be refreshed',
    description: 'They stay in force until they expire. Their TUF repository cannot be reached, or does not answer well.',
  },
  {
    name: 'SealgateTrustExpires',
    expr: 'min by (of, name) (sealgate_trust_expiry_timestamp_seconds) - time() < 6 * 3600',
    for: '10m',
    severity: 'critical',
    summary: 'What {{ $labels.name }} says ends within six hours',
    description:
      'After that, authorities that rest on it refuse. It was not refreshed in time: see whether its TUF repository can be reached.',
  },
  {
    name: 'SealgatePolicyExpires',
    expr: 'min by (policy) (sealgate_policy_expiry_timestamp_seconds) - time() < 14 * 24 * 3600',
    for: '1h',
    severity: 'warning',
    summary: 'What {{ $labels.policy }} trusts ends within two weeks',
    description:
      'Nothing that is signed after that passes the policy; what was signed before goes on passing. Give it the next certificate authority or trust root.',
  },
  {
    name: 'SealgateKeyStale',
    expr: 'max(sealgate_kms_keys{state="stale"}) > 0',
    for: '1h',
    severity: 'warning',
    summary: '{{ $value }} keys could not be read again from their key management service',
    description: 'The last ones stay in force. Look at the credentials of the controller and at the service.',
  },
  {
    name: 'SealgateKeyMissing',
    expr: 'max(sealgate_kms_keys{state="broken"}) > 0',
    for: '5m',
    severity: 'critical',
    summary: '{{ $value }} keys could never be read from their key management service',
    description: 'Their authorities refuse. kubectl get cip -o wide, and the log, say why.',
  },
  {
    name: 'SealgateCertificateExpires',
    expr: 'min(sealgate_certificate_expiry_timestamp_seconds) - time() < 24 * 3600',
    for: '10m',
    severity: 'critical',
    summary: 'The serving certificate ends within a day',
    description:
      'After that the API server can ask nobody. The controller renews it much earlier: its log says what keeps it from that; or cert-manager does.',
  },
  {
    name: 'SealgateRegistryTrouble',
    expr: 'sum by (host) (rate(sealgate_registry_requests_total{outcome=~"limited|failed|timeout"}[10m])) / sum by (host) (rate(sealgate_registry_requests_total[10m])) > 0.2',
    for: '10m',
    severity: 'warning',
    summary: 'A fifth of the requests to {{ $labels.host }} hosts fail',
    description:
      'Images whose evidence cannot be fetched are refused. limited: too many requests; timeout and failed: the host cannot be reached, or breaks.',
  },
  {
    name: 'SealgateUnknown',
    expr: 'sum by (code) (rate(sealgate_decisions_total{outcome="unknown"}[10m])) > 0.1',
    for: '10m',
    severity: 'warning',
    summary: 'Images are refused because something could not be found out ({{ $labels.code }})',
    description: 'Not because of what was found: docs/reference/reasons.md says what the code means and what to do.',
  },
  {
    name: 'SealgateSlow',
    expr: `sum(rate(sealgate_request_duration_seconds_bucket{path=~"/validations|/mutations", le="10"}[10m])) / sum(rate(sealgate_request_duration_seconds_count{path=~"/validations|/mutations"}[10m])) < 0.95`,
    for: '10m',
    severity: 'warning',
    summary: 'One request in twenty takes longer than ten seconds',
    description: 'The stages (sealgate_stage_duration_seconds) say where: as a rule a registry is slow. A retry finds what was remembered.',
  },
  {
    name: 'SealgateMemoryPressure',
    expr: 'max(sealgate_memory_pressure) > 0',
    for: '2m',
    severity: 'critical',
    summary: 'Requests are refused for want of memory',
    description: 'Raise the limit of the container, of which the heap takes its share, or add replicas.',
  },
]

/** deploy/monitoring/alerts.yaml: as Prometheus reads it, and as the `spec` of a PrometheusRule. */
export function alertRules(): string {
  const rules = alerts.map(({ name, expr, for: held, severity, summary, description }) => ({
    alert: name,
    expr,
    for: held,
    labels: { severity },
    annotations: { summary, description },
  }))
  return `# Made by tools/monitoring.ts: npm run generate.\n${stringify({ groups: [{ name: 'sealgate', rules }] }, { lineWidth: 140 })}`
}

/** docs/reference/alerts.md. */
export function alertsPage(): string {
  const shown = (text: string): string => text.replaceAll(/\{\{ \$(?:labels\.)?(\w+) \}\}/g, '‹$1›')
  return `# Alerts

The rules in [\`deploy/monitoring/alerts.yaml\`](../../deploy/monitoring/alerts.yaml), and of the chart with \`prometheusRule.enabled\`. Critical means that workloads are
refused, or soon will be.

${table(
  ['alert', 'severity', 'what it says', 'what it means, and what to do'],
  alerts.map(({ name, severity, summary, description }) => [`\`${name}\``, severity, shown(summary), description]),
)}
This page is made from \`tools/monitoring.ts\` by \`npm run generate\`.
`
}

// — the dashboard

export type Panel = {
  readonly title: string
  readonly description: string
  readonly unit: 'reqps' | 's' | 'bytes' | 'short' | 'percentunit' | 'dtdurations'
  readonly kind: 'timeseries' | 'stat' | 'table'
  /** Of 24. */
  readonly width: number
  readonly queries: readonly { readonly expr: string; readonly legend: string }[]
}

const AT = '{namespace=~"$namespace"}'
const and = (labels: string): string => `{namespace=~"$namespace", ${labels}}`
const quantile = (q: number, metric: string, by: string): string =>
  `histogram_quantile(${q}, sum by (le, ${by}) (rate(${metric}_bucket${AT}[$__rate_interval])))`

export const rows: readonly { readonly title: string; readonly panels: readonly Panel[] }[] = [
  {
    title: 'Now',
    panels: [
      {
        title: 'Replicas',
        description: 'Replicas that are there, and those among them that write: one.',
        unit: 'short',
        kind: 'stat',
        width: 4,
        queries: [
          { expr: `count(sealgate_leader${AT})`, legend: 'replicas' },
          { expr: `sum(sealgate_leader${AT})`, legend: 'writing' },
        ],
      },
      {
        title: 'Policies',
        description: 'A broken one refuses every image that it speaks about.',
        unit: 'short',
        kind: 'stat',
        width: 4,
        queries: [{ expr: `max by (state) (sealgate_policies${AT})`, legend: '{{state}}' }],
      },
      {
        title: 'Trust roots',
        description: 'A stale one is in force, though its last refresh failed.',
        unit: 'short',
        kind: 'stat',
        width: 4,
        queries: [{ expr: `sum by (state) (max by (of, state) (sealgate_trust_roots${AT}))`, legend: '{{state}}' }],
      },
      {
        title: 'Keys of key management services',
        description: 'A stale one is in force, though it could not be read again.',
        unit: 'short',
        kind: 'stat',
        width: 4,
        queries: [{ expr: `max by (state) (sealgate_kms_keys${AT})`, legend: '{{state}}' }],
      },
      {
        title: 'Ends in',
        description: 'The serving certificate, and what is trusted, unless they are renewed before.',
        unit: 'dtdurations',
        kind: 'stat',
        width: 8,
        queries: [
          { expr: `min(sealgate_certificate_expiry_timestamp_seconds${AT}) - time()`, legend: 'serving certificate' },
          { expr: `min by (name) (sealgate_trust_expiry_timestamp_seconds${AT}) - time()`, legend: '{{name}}' },
          { expr: `min by (policy) (sealgate_policy_expiry_timestamp_seconds${AT}) - time()`, legend: 'policy {{policy}}' },
        ],
      },
    ],
  },
  {
    title: 'Decisions',
    panels: [
      {
        title: 'Requests',
        description: 'Admission requests answered.',
        unit: 'reqps',
        kind: 'timeseries',
        width: 8,
        queries: [
          {
            expr: `sum by (path, allowed) (rate(sealgate_requests_total${AT}[$__rate_interval]))`,
            legend: '{{path}} allowed={{allowed}}',
          },
          { expr: `sum by (status) (rate(sealgate_requests_turned_away_total${AT}[$__rate_interval]))`, legend: 'turned away {{status}}' },
        ],
      },
      {
        title: 'Refused, by reason',
        description: 'Answers of policies about images that were no pass; docs/reference/reasons.md says what a code means.',
        unit: 'reqps',
        kind: 'timeseries',
        width: 8,
        queries: [
          {
            expr: `sum by (code) (rate(sealgate_decisions_total${and('outcome!="pass"')}[$__rate_interval]))`,
            legend: '{{code}}',
          },
        ],
      },
      {
        title: 'Refused, by policy',
        description: 'In warn mode they were let in.',
        unit: 'reqps',
        kind: 'timeseries',
        width: 8,
        queries: [
          {
            expr: `topk(10, sum by (policy, mode) (rate(sealgate_decisions_total${and('outcome!="pass"')}[$__rate_interval])))`,
            legend: '{{policy}} ({{mode}})',
          },
        ],
      },
    ],
  },
  {
    title: 'Time',
    panels: [
      {
        title: 'Time to answer',
        description: 'From the first byte of a request to its answer.',
        unit: 's',
        kind: 'timeseries',
        width: 8,
        queries: [
          { expr: quantile(0.5, 'sealgate_request_duration_seconds', 'path'), legend: '{{path}} half' },
          { expr: quantile(0.99, 'sealgate_request_duration_seconds', 'path'), legend: '{{path}} 99 of 100' },
        ],
      },
      {
        title: 'Stages, 99 of 100',
        description: 'What takes the time of those that are not remembered.',
        unit: 's',
        kind: 'timeseries',
        width: 8,
        queries: [{ expr: quantile(0.99, 'sealgate_stage_duration_seconds', 'stage'), legend: '{{stage}}' }],
      },
      {
        title: 'Under way',
        description: 'Requests being answered now, and work that goes on though its request was answered.',
        unit: 'short',
        kind: 'timeseries',
        width: 8,
        queries: [
          { expr: `sum(sealgate_requests_under_way${AT})`, legend: 'requests' },
          { expr: `sum(sealgate_late_work${AT})`, legend: 'late work' },
        ],
      },
    ],
  },
  {
    title: 'Outside',
    panels: [
      {
        title: 'Requests to registries and others',
        description: 'By what came of them.',
        unit: 'reqps',
        kind: 'timeseries',
        width: 8,
        queries: [
          {
            expr: `sum by (host, outcome) (rate(sealgate_registry_requests_total${AT}[$__rate_interval]))`,
            legend: '{{host}} {{outcome}}',
          },
        ],
      },
      {
        title: 'Remembered',
        description: 'Share of questions to the memory that it could answer.',
        unit: 'percentunit',
        kind: 'timeseries',
        width: 8,
        queries: [
          {
            expr: `sum by (what) (rate(sealgate_memory_lookups_total${and('result="hit"')}[$__rate_interval])) / sum by (what) (rate(sealgate_memory_lookups_total${AT}[$__rate_interval]))`,
            legend: '{{what}}',
          },
        ],
      },
      {
        title: 'API server last heard of',
        description: 'Changes of policies and keys come from there.',
        unit: 's',
        kind: 'timeseries',
        width: 8,
        queries: [{ expr: `max by (pod) (sealgate_api_contact_age_seconds${AT})`, legend: '{{pod}}' }],
      },
    ],
  },
  {
    title: 'Process',
    panels: [
      {
        title: 'Memory',
        description: 'Resident memory of each replica, and what is remembered.',
        unit: 'bytes',
        kind: 'timeseries',
        width: 8,
        queries: [
          { expr: `process_resident_memory_bytes${AT} and on (namespace, pod) sealgate_leader`, legend: '{{pod}}' },
          { expr: `sum by (what) (sealgate_memory_held${and('what=~"passes|content"')})`, legend: '{{what}}' },
        ],
      },
      {
        title: 'Memory pressure',
        description: '1: further requests are refused, 2: nothing further is fetched either.',
        unit: 'short',
        kind: 'timeseries',
        width: 4,
        queries: [{ expr: `max by (pod) (sealgate_memory_pressure${AT})`, legend: '{{pod}}' }],
      },
      {
        title: 'CPU',
        description: 'Seconds of CPU a second.',
        unit: 'short',
        kind: 'timeseries',
        width: 4,
        queries: [
          {
            expr: `rate(process_cpu_seconds_total${AT}[$__rate_interval]) and on (namespace, pod) sealgate_leader`,
            legend: '{{pod}}',
          },
        ],
      },
      {
        title: 'Internal errors',
        description: 'Exceptions that no code expected; the log has their stacks.',
        unit: 'short',
        kind: 'timeseries',
        width: 8,
        queries: [{ expr: `sum by (where) (increase(sealgate_internal_errors_total${AT}[$__rate_interval]))`, legend: '{{where}}' }],
      },
    ],
  },
]

const HEIGHT = 7 // of a panel, in Grafana's grid
const STAT_HEIGHT = 4

/** deploy/monitoring/dashboard.json, for Grafana 10 and newer. */
export function dashboard(): string {
  let y = 0
  let id = 0
  const panels: object[] = []
  for (const row of rows) {
    panels.push({ id: ++id, type: 'row', title: row.title, collapsed: false, gridPos: { h: 1, w: 24, x: 0, y: y++ }, panels: [] })
    let x = 0
    const h = row.panels.every(({ kind }) => kind === 'stat') ? STAT_HEIGHT : HEIGHT
    for (const panel of row.panels) {
      panels.push({
        id: ++id,
        type: panel.kind,
        title: panel.title,
        description: panel.description,
        datasource: { type: 'prometheus', uid: '${datasource}' },
        gridPos: { h, w: panel.width, x, y },
        fieldConfig: { defaults: { unit: panel.unit }, overrides: [] },
        options: panel.kind === 'timeseries' ? { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } } : {},
        targets: panel.queries.map(({ expr, legend }, at) => ({
          refId: String.fromCharCode('A'.charCodeAt(0) + at),
          expr,
          legendFormat: legend,
          datasource: { type: 'prometheus', uid: '${datasource}' },
        })),
      })
      x += panel.width
    }
    y += h
  }
  const query = { name: 'namespace', type: 'query', label: 'Namespace', includeAll: true, multi: true }
  return `${JSON.stringify(
    {
      title: 'Sealgate',
      uid: 'sealgate',
      tags: ['sealgate', 'admission'],
      schemaVersion: 39,
      editable: true,
      refresh: '1m',
      time: { from: 'now-6h', to: 'now' },
      templating: {
        list: [
          { name: 'datasource', type: 'datasource', query: 'prometheus', label: 'Data source' },
          {
            ...query,
            datasource: { type: 'prometheus', uid: '${datasource}' },
            query: { query: 'label_values(sealgate_leader, namespace)', refId: 'namespace' },
            refresh: 2,
            allValue: '.*',
            current: { text: 'All', value: '$__all' },
          },
        ],
      },
      panels,
    },
    undefined,
    2,
  )}\n`
}
