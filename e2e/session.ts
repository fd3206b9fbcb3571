import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parts } from './parts.ts'

/** `npm run e2e`: builds the parts that are missing, then runs every test of this folder. */
await parts()
const folder = fileURLToPath(new URL('.', import.meta.url))
const tests = globSync(`${folder}*.test.ts`)
process.exitCode = spawnSync(process.execPath, ['--test', ...process.argv.slice(2), ...tests], { stdio: 'inherit' }).status ?? 1
