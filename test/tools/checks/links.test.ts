import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anchorOf, links } from '../../../tools/checks/links.ts'
import { inMemory } from '../../../tools/project.ts'

test('a link to a missing file or heading is named', async () => {
  const project = inMemory({ 'README.md': '[a](docs/gone.md) [b](docs/try.md#nowhere) [c](#neither)', 'docs/try.md': '# Try it' })
  assert.deepEqual(await links.violations(project), [
    'README.md: docs/gone.md leads nowhere',
    'README.md: docs/try.md#nowhere leads to no heading',
    'README.md: #neither leads to no heading',
  ])
})

test('links to files, folders, headings and other sites lead somewhere', async () => {
  const project = inMemory({
    'README.md': '# A\n[a](docs/try.md) [b](docs/) [c](docs/try.md#try-it-at-home) [d](https://example.com) [e](#a)',
    'docs/try.md': '## Try it, at `home`\n[up](../README.md)\n```\n[not a link](gone.md)\n```',
  })
  assert.deepEqual(await links.violations(project), [])
})

test('an anchor is the heading in lower case with hyphens, without punctuation', () => {
  assert.equal(anchorOf('What `--at` does, and when?'), 'what---at-does-and-when')
})
