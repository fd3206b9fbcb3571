import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agrees, examples, examplesIn, whyWrong } from '../../../tools/checks/examples.ts'
import { inMemory } from '../../../tools/project.ts'

const page = [
  '# Page',
  '```console run',
  '$ echo one; exit 3 # exit 3',
  'one',
  '$ echo two \\',
  '  three; exit 4 # exit 4',
  'two three',
  '```',
  '```console',
  '$ rm -rf everything',
  '```',
].join('\n')

test('only blocks that say so are run, with what they print and how they end', () => {
  assert.deepEqual(examplesIn(page), [
    { line: 3, command: 'echo one; exit 3 # exit 3', status: 3, prints: ['one'] },
    { line: 5, command: 'echo two \\\n  three; exit 4 # exit 4', status: 4, prints: ['two three'] },
  ])
})

test('an example that does what it shows is not wrong', async () => {
  assert.deepEqual(await examples.violations(inMemory({ 'docs/page.md': page })), [])
})

test('an example with another status or other output is named', () => {
  assert.deepEqual(whyWrong({ line: 1, command: 'echo no; exit 1', status: 0, prints: ['yes'] }), [
    'exit 1 instead of 0',
    'printed:\n        no',
  ])
})

for (const [shown, printed, holds] of [
  [['a'], ['a'], true],
  [['a'], ['a', 'b'], false],
  [['a', 'b'], ['a'], false],
  [['a…c'], ['abc'], true],
  [['a…'], ['a'], true],
  [['a…b…c'], ['a-b-c'], true],
  [['aa…aa'], ['aaa'], false],
  [['a', '…', 'z'], ['a', 'b', 'c', 'z'], true],
  [['…', 'z'], ['a'], false],
  [['…'], [], true],
  [[], [], true],
] as const)
  test(`${JSON.stringify(printed)} ${holds ? 'is' : 'is not'} what ${JSON.stringify(shown)} shows`, () =>
    assert.equal(agrees(shown, printed), holds))
