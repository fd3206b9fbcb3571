import { spawnSync } from 'node:child_process'
import { changeOver } from './checks/change-over.ts'
import { dependencies } from './checks/dependencies.ts'
import { examples } from './checks/examples.ts'
import { generated } from './checks/generated.ts'
import { imports } from './checks/imports.ts'
import { links } from './checks/links.ts'
import { machines } from './checks/machines.ts'
import { names } from './checks/names.ts'
import { patterns } from './checks/patterns.ts'
import { policies } from './checks/policies.ts'
import { tested } from './checks/tested.ts'
import { onDisk, root, type Check } from './project.ts'

const checks: readonly Check[] = [
  tool('the linter finds nothing', 'oxlint/bin/oxlint'),
  tool('every file is formatted', 'oxfmt/bin/oxfmt', '--list-different'),
  tool('the types hold', 'typescript/bin/tsc', '--noEmit', '--pretty', 'false'),
  imports,
  tested,
  names,
  patterns,
  machines,
  dependencies,
  links,
  generated,
  policies,
  changeOver,
  examples,
]

/** A tool of `node_modules`, by the file that Node runs; what it prints when it fails are the violations. */
function tool(claim: string, file: string, ...args: string[]): Check {
  return {
    claim,
    violations() {
      const ran = spawnSync(process.execPath, [`${root}node_modules/${file}`, ...args], {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      return ran.status === 0 ? [] : `${ran.stdout}${ran.stderr}`.trim().split('\n')
    },
  }
}

const project = onDisk()
let failed = 0
for (const check of checks) {
  const violations = await check.violations(project)
  console.log(`${violations.length === 0 ? 'ok' : 'NOT TRUE'}: ${check.claim}`)
  for (const violation of violations) console.log(`    ${violation}`)
  if (violations.length > 0) failed++
}
console.log(`${checks.length - failed} checks passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
