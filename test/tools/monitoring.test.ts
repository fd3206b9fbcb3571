import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { alertRules, alerts, alertsPage, dashboard, rows } from '../../tools/monitoring.ts'
import { onDisk } from '../../tools/project.ts'

/** What a query asks about: each metric with the labels that are named beside it, or by which all is grouped. */
type Asked = {
  readonly metrics: readonly string[]
  readonly labels: readonly string[]
  readonly values: readonly (readonly [string, string])[]
}

/** Reads a query by the grammar of PromQL. Grafana's variables are replaced by what Grafana would put there. */
function asked(query: string): Asked {
  const text = query.replaceAll('$__rate_interval', '5m').replaceAll('$namespace', 'cosign-system')
  const metrics: string[] = []
  const labels: string[] = []
  const values: [string, string][] = []
  parser.parse(text).iterate({
    enter: ({ name, from, to, node, type }) => {
      const said = text.slice(from, to)
      assert.ok(!type.isError, `${query}: wrong at ${from}: ${text.slice(from, from + 20)}`)
      if (name === 'Identifier' && node.parent?.name === 'VectorSelector') metrics.push(said)
      if (name === 'LabelName') labels.push(said)
      if (name === 'UnquotedLabelMatcher') {
        const [label = '', value = ''] = said.split(/!?=~?/)
        for (const one of value.replaceAll('"', '').split('|')) values.push([label.trim(), one.trim()])
      }
    },
  })
  return { metrics, labels, values }
}

/** The metrics of docs/reference/metrics.md with their labels. */
function known(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>()
  const page = onDisk().text('docs/reference/metrics.md')
  for (const [, name = '', type, labels = ''] of page.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*) \|/gm)) {
    const names = [...labels.matchAll(/`(\w+)`/g)].map((m) => m[1] ?? '')
    if (type === 'histogram') for (const part of ['_bucket', '_count', '_sum']) found.set(name + part, [...names, 'le'])
    else found.set(name, names)
  }
  return found
}

// What Prometheus and Node.js bring by themselves.
const OF_OTHERS = new Set(['process_resident_memory_bytes', 'process_cpu_seconds_total'])
const OF_THE_TARGET = new Set(['namespace', 'pod'])

const queries = [
  ...alerts.map(({ name, expr }) => [`alert ${name}`, expr] as const),
  ...rows.flatMap(({ panels }) => panels.flatMap(({ title, queries: q }) => q.map(({ expr }) => [`panel ${title}`, expr] as const))),
]

test('every query is PromQL, about metrics and labels that there are', () => {
  const metrics = known()
  assert.ok(metrics.size > 15)
  for (const [where, expr] of queries) {
    const { metrics: names, labels } = asked(expr)
    assert.ok(names.length > 0, where)
    for (const name of names) assert.ok(metrics.has(name) || OF_OTHERS.has(name), `${where}: ${name} is no metric`)
    const all = new Set(names.flatMap((name) => metrics.get(name) ?? []))
    for (const label of labels) assert.ok(all.has(label) || OF_THE_TARGET.has(label), `${where}: ${label} is no label of ${names.join()}`)
  }
})

test('a value that a query asks for is one that the code has a word for', () => {
  const project = onDisk()
  const words = new Set(
    project.files.filter((file) => /^(src|programs)\/.*\.ts$/.test(file)).flatMap((file) => project.text(file).match(/[\w/-]+/g) ?? []),
  )
  for (const [where, expr] of queries)
    for (const [label, value] of asked(expr).values)
      if (!OF_THE_TARGET.has(label) && label !== 'le') assert.ok(words.has(value), `${where}: ${label}="${value}" is never set`)
})

test('what is wrong is found', () => {
  assert.throws(() => asked('sum(rate(x[5m])'))
  assert.throws(() => asked('x{a=}'))
  assert.deepEqual(asked('sum by (a) (x_total{b=~"c|d"})'), {
    metrics: ['x_total'],
    labels: ['a', 'b'],
    values: [
      ['b', 'c'],
      ['b', 'd'],
    ],
  })
})

test('metrics that mean trouble have an alert', () => {
  const watched = new Set(alerts.flatMap(({ expr }) => asked(expr).metrics))
  for (const name of [
    'sealgate_policies',
    'sealgate_trust_roots',
    'sealgate_trust_expiry_timestamp_seconds',
    'sealgate_certificate_expiry_timestamp_seconds',
    'sealgate_internal_errors_total',
    'sealgate_without_policies_keyless',
    'sealgate_api_contact_age_seconds',
    'sealgate_kms_keys',
    'sealgate_memory_pressure',
    'sealgate_leader',
  ])
    assert.ok(watched.has(name), name)
})

test('alerts have a name of their own, how bad it is, and what to do', () => {
  const { groups } = parse(alertRules()) as {
    groups: [{ rules: { alert: string; for: string; labels: object; annotations: Record<string, string> }[] }]
  }
  const [{ rules }] = groups
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, alerts.length)
  for (const { alert, for: held, labels, annotations } of rules) {
    assert.match(alert, /^Sealgate[A-Z]\w+$/)
    assert.match(held, /^\d+[mh]$/)
    assert.deepEqual(Object.keys(labels), ['severity'])
    for (const text of ['summary', 'description']) assert.ok((annotations[text]?.length ?? 0) > 10, `${alert}: ${text}`)
    // What a template names must be left of the query.
    const { expr = '' } = alerts.find(({ name }) => name === alert) ?? {}
    for (const [, label = ''] of JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g))
      assert.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), `${alert}: ${label}`)
  }
})

test('panels fill rows of 24, and none lies over another', () => {
  type Drawn = { id: number; type: string; gridPos: { x: number; y: number; w: number; h: number } }
  const { panels } = JSON.parse(dashboard()) as { panels: Drawn[] }
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  for (const { title, panels: inRow } of rows)
    assert.equal(
      inRow.reduce((sum, { width }) => sum + width, 0),
      24,
      title,
    )
  const taken = new Set<string>()
  for (const { gridPos } of panels)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `${x} ${y}`)
        taken.add(`${x} ${y}`)
      }
})

test('the page has a row for every alert, with what stands in for labels', () => {
  for (const { name } of alerts) assert.match(alertsPage(), new RegExp(`^\\| \`${name}\` \\|`, 'm'))
  assert.doesNotMatch(alertsPage(), /\{\{/)
  assert.match(alertsPage(), /What ‹name› says ends within six hours/)
})
