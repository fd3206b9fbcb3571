import { match } from 'node:assert/strict'
import { test } from 'node:test'
import { versionLine } from '../../../programs/cli/version.ts'

test('the version names the package, Node.js and the platform', () =>
  match(versionLine(), /^sealgate \d+\.\d+\.\d+ \(node \d+\.\d+\.\d+, \w+-\w+\)$/))
