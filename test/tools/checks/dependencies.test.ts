import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dependencies } from '../../../tools/checks/dependencies.ts'
import { inMemory } from '../../../tools/project.ts'

const page = '| package | why |\n| --- | --- |\n| `yaml` | reads YAML |\n| `oxlint`, `oxfmt` | lint, format |\n'
const sound = { dependencies: { yaml: '2.9.1' }, devDependencies: { oxlint: '1.0.0', oxfmt: '1.0.0' } }

function violationsOf(manifest: object, reasons: string, lock = '{}'): unknown {
  return dependencies.violations(
    inMemory({
      'package.json': JSON.stringify(manifest),
      'docs/reference/dependencies.md': reasons,
      'package-lock.json': lock,
      'src/world/a.ts': "import { parse } from 'yaml'",
    }),
  )
}

test('pinned and explained dependencies are in order', () => assert.deepEqual(violationsOf(sound, page), []))

test('a range is no pin', () => {
  assert.deepEqual(violationsOf({ ...sound, dependencies: { yaml: '^2.9.1' } }, page), ['package.json: yaml is not pinned: ^2.9.1'])
})

test('a dependency without a reason, a reason without a dependency, and a dependency that nothing imports, are named', () => {
  assert.deepEqual(violationsOf({ ...sound, dependencies: { undici: '8.0.0' } }, page), [
    'package.json: nothing imports undici',
    'docs/reference/dependencies.md: no reason for undici',
    'docs/reference/dependencies.md: yaml is no dependency',
  ])
})

test('a lock file with download addresses is refused', () => {
  assert.equal(
    (violationsOf(sound, page, '{"packages":{"node_modules/yaml":{"resolved":"https://registry.example/yaml.tgz"}}}') as string[]).length,
    1,
  )
})

test('a lock file without the optional packages of other platforms is refused', () => {
  const lock = (packages: object): string =>
    JSON.stringify({ packages: { 'node_modules/a': { optionalDependencies: { 'a-linux': '1.0.0' } }, ...packages } })
  assert.deepEqual(violationsOf(sound, page, lock({})), ['package-lock.json: a-linux is missing, so npm ci refuses it'])
  assert.deepEqual(violationsOf(sound, page, lock({ 'node_modules/a-linux': { version: '1.0.0' } })), [])
})
