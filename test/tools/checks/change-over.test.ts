import { deepEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { changeOver } from '../../../tools/checks/change-over.ts'
import { inMemory } from '../../../tools/project.ts'

const quirks = Array.from({ length: 40 }, (_, i) => `| Q${i + 1} | theirs | ours | same |`)
const values = [
  ['custom_cas[].ca_content', 'webhook.cas'],
  ['custom_ca_secrets[]', 'webhook.cas'],
  ['deployment_namespace', ''],
  ['limits_cpu`, `limits_memory`, `requests_cpu`, `requests_memory', 'webhook.resources'],
  ['no_match_policy`, `fail_on_empty_authorities', 'webhook.configData.no-match-policy'],
  ['quota.pod_number`, `replicas', 'webhook.replicaCount'],
  ['tuf_enabled`, `tuf_mirror`, `tuf_root', 'webhook.tuf'],
].map(([theirs, ours]) => `| \`${theirs}\` | ${ours && `\`${ours}\``} | |`)
const translated = (rows: readonly string[]): string =>
  `## From the Tanzu package\n\n| a | b | |\n| --- | --- | --- |\n${rows.join('\n')}\n\n`
const chart = `webhook:
  # -- one
  cas: []
  # -- two
  resources: {}
  # -- three
  configData: {}
  # -- four
  replicaCount: 2
  tuf:
    # -- five
    mirror: ""
`
const page = (...rows: readonly string[]): string =>
  `${translated(values)}## What differs\n\n| | a | b | |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
const beyond = '\n| | recorded | |\n| --- | --- | --- |\n| another spelling | `glob-a`, `glob-b` | stricter |'
const differences =
  '## Another verdict\n\n| case | verdict now | why |\n| --- | --- | --- |\n| `glob-a` | refused | x |\n| `glob-b` | refused | x |\n'

async function violations(text: string, listed = differences): Promise<readonly string[]> {
  return changeOver.violations(inMemory({ 'docs/change-over.md': text, 'cases/differences.md': listed, 'deploy/chart/values.yaml': chart }))
}

test('a page that has everything is well', async () => deepEqual(await violations(page(...quirks, beyond)), []))

test('a quirk without a row is told', async () =>
  deepEqual(await violations(page(...quirks.slice(0, -1), beyond)), ['docs/change-over.md: Q40 has no row, or several']))

test('a case that the page leaves out, or that is none any more, is told', async () => {
  deepEqual(await violations(page(...quirks, beyond), `${differences}| \`key-c\` | admitted | x |\n`), [
    'docs/change-over.md: key-c of cases/differences.md stands in no row',
  ])
  deepEqual(await violations(page(...quirks, beyond), differences.replace('`glob-b`', 'nothing')), [
    'docs/change-over.md: glob-b is no difference by cases/differences.md',
  ])
})

test('a row that does not say what it means for whoever changes over is told', async () =>
  deepEqual(await violations(page('| Q1 | theirs | ours | better |', ...quirks.slice(1), beyond)), [
    'docs/change-over.md: the row «Q1» ends in none of stricter, wider, fixed, same',
  ]))

test('a value of the Tanzu package without a row, and one that the chart does not have, are told', async () => {
  const text = page(...quirks, beyond)
    .replace('`deployment_namespace`', '`namespace`')
    .replace('`webhook.replicaCount`', '`webhook.replicas`')
  deepEqual(await violations(text), [
    'docs/change-over.md: the value deployment_namespace of the Tanzu package has no row',
    'docs/change-over.md: webhook.replicas is no value of the chart',
  ])
})
