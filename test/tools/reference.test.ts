import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { settingRows } from '../../src/policy/settings.ts'
import { catalogue } from '../../src/verdict/reason.ts'
import { inMemory } from '../../tools/project.ts'
import { boundsPage, metricsPage, reasonsPage, settingsPage, table } from '../../tools/reference.ts'

test('every reason is on its page, its facts shown by their names', () => {
  const page = reasonsPage()
  for (const code of Object.keys(catalogue)) assert.ok(page.includes(`| \`${code}\` |`), code)
  assert.ok(page.includes('| invalid value: ‹image› must be an image digest |'))
  assert.ok(!page.includes('undefined') && !page.includes('[object'))
})

test('every setting is on its page', () => {
  for (const { key } of settingRows) assert.ok(settingsPage().includes(`| \`${key}\` |`), key)
})

test('a metric is shown with its type and labels', () => {
  const source =
    "new Counter({\n  name: 'a_total',\n  help: 'Things',\n  labelNames: ['path', 'kind'],\n  registers,\n})\nnew Gauge({ name: 'b', help: 'One', registers })"
  assert.ok(metricsPage(source).includes('| `a_total` | counter | `path`, `kind` | Things |\n| `b` | gauge |  | One |\n'))
})

test('every metric that is registered is on the page', () => {
  const source = readFileSync(new URL('../../programs/webhook/prometheus.ts', import.meta.url), 'utf8')
  const names = [...source.matchAll(/name: '(sealgate_\w+)'/g)].map(([, name = '']) => name)
  assert.ok(names.length > 20)
  for (const name of names) assert.ok(metricsPage(source).includes(`| \`${name}\` |`), name)
})

test('a bound is shown with the reason beside or above it', () => {
  const project = inMemory({
    'src/a.ts':
      'const MAX_A = 4 * 1024 // bytes; as the specification says\n/** Pages, since somebody may send them without end. */\nexport const MAX_B = 20\nconst OTHER = 1\n',
    'test/a.test.ts': 'const MAX_C = 1 // not a bound of the product\n',
  })
  const page = boundsPage(project)
  assert.ok(page.includes('| `src/a.ts` | `MAX_A` | 4 × 1024 | bytes; as the specification says |\n'))
  assert.ok(page.includes('| `src/a.ts` | `MAX_B` | 20 | Pages, since somebody may send them without end. |\n'))
  assert.ok(!page.includes('OTHER') && !page.includes('MAX_C'))
})

test('a table keeps its columns whatever its cells hold', () => {
  assert.equal(table(['a', 'b'], [['x|y', 'two\nlines']]), '| a | b |\n| --- | --- |\n| x\\|y | two lines |\n')
})
