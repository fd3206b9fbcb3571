import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parts } from './parts.ts'

/** `npm run e2e`: builds the parts that are missing, then runs every test that needs them, the session first of all. */
await parts()
const tests = ['session', 'fixtures'].map((name) => fileURLToPath(new URL(`./${name}.test.ts`, import.meta.url)))
process.exitCode = spawnSync(process.execPath, ['--test', ...process.argv.slice(2), ...tests], { stdio: 'inherit' }).status ?? 1
