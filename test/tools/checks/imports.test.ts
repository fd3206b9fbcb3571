import assert from 'node:assert/strict'
import { test } from 'node:test'
import { imports } from '../../../tools/checks/imports.ts'
import { inMemory } from '../../../tools/project.ts'

for (const [file, text, violation] of [
  [
    'src/image/tag.ts',
    "import { glob } from '../policy/glob.ts'",
    'src/image/tag.ts:1: imports src/policy/glob.ts, which is a layer above',
  ],
  [
    'src/policy/a.ts',
    "import type { C } from '../world/cluster/cluster.ts'",
    'src/policy/a.ts:1: imports src/world/cluster/cluster.ts, which is a layer above',
  ],
  ['src/policy/a.ts', "import {\n  a,\n  b,\n} from '../admit.ts'", 'src/policy/a.ts:4: imports src/admit.ts, which is a layer above'],
  [
    'src/world/a.ts',
    "const a = await import('../../programs/cli/main.ts')",
    'src/world/a.ts:1: imports programs/cli/main.ts, which is a layer above',
  ],
  ['src/admit.ts', "import '../test/a.test.ts'", 'src/admit.ts:1: imports test/a.test.ts, which is no part of the product'],
  [
    'programs/cli/main.ts',
    "import { r } from '../../fakes/registry.ts'",
    'programs/cli/main.ts:1: imports fakes/registry.ts; of the programs only the demo uses fakes',
  ],
  [
    'fakes/registry.ts',
    "import { s } from '../programs/webhook/server.ts'",
    'fakes/registry.ts:1: imports programs/webhook/server.ts; fakes know no program',
  ],
  ['src/policy/a.ts', "import { readFileSync } from 'node:fs'", 'src/policy/a.ts:1: imports node:fs; only node:crypto is allowed here'],
  ['src/admit.ts', "import { request } from 'undici'", 'src/admit.ts:1: imports undici, which is for src/world/ and programs/'],
  ['src/sigstore/a.ts', '\nconst now = Date.now()', 'src/sigstore/a.ts:2: reads the clock: it must come in as a value'],
  ['src/sigstore/a.ts', 'const now = new Date()', 'src/sigstore/a.ts:1: reads the clock: it must come in as a value'],
  ['src/policy/a.ts', 'if (process.env.DEBUG) return', 'src/policy/a.ts:1: reads or changes the process: it must come in as a value'],
  ['src/policy/a.ts', 'const id = Math.random()', 'src/policy/a.ts:1: is random: it must come in as a value'],
  ['src/image/a.ts', "import { randomBytes } from 'node:crypto'", 'src/image/a.ts:1: is random: it must come in as a value'],
] as const)
  test(`${file} may not hold: ${text.replaceAll('\n', ' ').trim()}`, async () => {
    assert.deepEqual(await imports.violations(inMemory({ [file]: text })), [violation])
  })

for (const [file, text] of [
  [
    'src/policy/a.ts',
    "import { digestOf } from '../image/digest.ts'\nimport { createHash } from 'node:crypto'\nimport { parse } from 'yaml'",
  ],
  ['src/policy/a.ts', '// Date.now() would make this unrepeatable\nconst at = new Date(seconds * 1000)'],
  ['src/policy/a.ts', '/**\n * process.env is not read here\n */'],
  ['src/world/a.ts', "import { readFile } from 'node:fs/promises'\nimport { admit } from '../admit.ts'\nconst now = Date.now()"],
  ['programs/demo/main.ts', "import { registry } from '../../fakes/registry.ts'\nimport { serve } from '../webhook/server.ts'"],
  ['test/policy/a.test.ts', "import { fake } from '../../fakes/registry.ts'\nconst now = Date.now()"],
] as const)
  test(`${file} may hold: ${text.replaceAll('\n', ' ')}`, async () => {
    assert.deepEqual(await imports.violations(inMemory({ [file]: text })), [])
  })
