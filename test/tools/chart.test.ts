import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { chartPage, chartSchema, chartValues } from '../../tools/chart.ts'
import { onDisk } from '../../tools/project.ts'

const values = `# -- how many
count: 2

group:
  # -- a word
  word: ""
  # -- open to any field
  open:
    a: 1
  deeper:
    # -- one of a list
    list: [x]
    # -- nothing
    none: null
`

test('a value is what a comment describes, whatever is below it', () => {
  assert.deepEqual(
    chartValues(values).map(({ path, meaning, value }) => [path, meaning, value]),
    [
      ['count', 'how many', 2],
      ['group.word', 'a word', ''],
      ['group.open', 'open to any field', { a: 1 }],
      ['group.deeper.list', 'one of a list', ['x']],
      ['group.deeper.none', 'nothing', null],
    ],
  )
})

for (const [what, yaml, why] of [
  ['a value', '# -- described\na: 1\nb: 2\n', /b has no comment/],
  ['an empty map', 'a: {}\n', /a has no comment/],
  ['a value with a comment that is not for it', '# about a\na: 1\n', /a has no comment/],
] as const)
  test(`${what} that is not described is an error`, () => {
    assert.throws(() => chartValues(yaml), why)
  })

test('the schema refuses values that do not exist, and nothing below a described one', () => {
  const schema = JSON.parse(chartSchema(values)) as unknown
  assert.deepEqual(schema, {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
    properties: {
      global: { type: 'object' },
      count: { description: 'how many', type: ['integer', 'string'] },
      group: {
        type: 'object',
        additionalProperties: false,
        properties: {
          word: { description: 'a word', type: 'string' },
          open: { description: 'open to any field', type: 'object' },
          deeper: {
            type: 'object',
            additionalProperties: false,
            properties: {
              list: { description: 'one of a list', type: 'array' },
              none: { description: 'nothing', type: ['integer', 'string', 'null'] },
            },
          },
        },
      },
    },
  })
})

test('the page has a row for every value, with its default', () => {
  assert.match(chartPage(values), /^\| `group\.open` \| `\{"a":1\}` \| open to any field \|$/m)
  assert.match(chartPage(values), /^\| `group\.word` \| {2}\| a word \|$/m)
})

test('templates read no value that values.yaml does not describe, and every described value is read', () => {
  const project = onDisk()
  const described = chartValues(project.text('deploy/chart/values.yaml')).map(({ path }) => path)
  const templates = project.files.filter((file) => file.startsWith('deploy/chart/templates/')).map((file) => project.text(file))
  const read = new Set(
    templates.flatMap((text) => [...text.matchAll(/\$?\.Values\.([\w.]+)|\$webhook\.([\w.]+)/g)].map((m) => m[1] ?? `webhook.${m[2]}`)),
  )
  const isAbout = (value: string, use: string): boolean => use === value || use.startsWith(`${value}.`)
  for (const use of read)
    assert.ok(
      described.some((value) => isAbout(value, use)) || described.some((value) => value.startsWith(`${use}.`)),
      `a template reads ${use}`,
    )
  const unused = described.filter((value) => ![...read].some((use) => isAbout(value, use)))
  assert.deepEqual(unused, [])
})

test('the chart has the version of the program, whose image it names', () => {
  const project = onDisk()
  const { version } = JSON.parse(project.text('package.json')) as { version: string }
  const { version: ofChart, appVersion } = parse(project.text('deploy/chart/Chart.yaml')) as { version: string; appVersion: string }
  assert.deepEqual([ofChart, appVersion], [version, version])
})
