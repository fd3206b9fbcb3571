import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { chartPage, chartSchema } from './chart.ts'
import { clusterImagePolicies, trustRoots } from './crds.ts'
import { alertRules, alertsPage, dashboard } from './monitoring.ts'
import { onDisk, root } from './project.ts'
import { referencePages } from './reference.ts'

const chartValues = (): string => onDisk().text('deploy/chart/values.yaml')

/** Every file that is made by the project itself, and how. `npm run check` compares, `npm run generate` writes. */
export const generated: Readonly<Record<string, () => string>> = {
  'deploy/crds/clusterimagepolicies.yaml': () => clusterImagePolicies(),
  'deploy/crds/trustroots.yaml': trustRoots,
  'deploy/monitoring/alerts.yaml': alertRules,
  'deploy/monitoring/dashboard.json': dashboard,
  // A chart can read only what is inside of it.
  'deploy/chart/files/clusterimagepolicies.yaml': () => clusterImagePolicies('None'),
  'deploy/chart/files/trustroots.yaml': trustRoots,
  'deploy/chart/files/alerts.yaml': alertRules,
  'deploy/chart/files/dashboard.json': dashboard,
  'deploy/chart/values.schema.json': () => chartSchema(chartValues()),
  'docs/reference/alerts.md': alertsPage,
  'docs/reference/chart.md': () => chartPage(chartValues()),
  ...referencePages,
}

if (import.meta.main) {
  for (const [file, make] of Object.entries(generated)) {
    mkdirSync(dirname(root + file), { recursive: true })
    writeFileSync(root + file, make())
    console.log(file)
  }
}
