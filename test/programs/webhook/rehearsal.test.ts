import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import type { Settings } from '../../../programs/cli/options.ts'
import { parse } from '../../../programs/cli/parse.ts'
import { rehearse } from '../../../programs/webhook/rehearsal.ts'

function settings(...given: readonly string[]): Settings {
  const parsed = parse('serve', given, {})
  if (!parsed.ok) throw new Error(parsed.text)
  return parsed.settings
}

test('before the first real image, images that are signed on the spot are judged and admitted', async () => {
  await rehearse(settings())
})

test('the rehearsal needs nothing of the settings for registries, and leaves nothing open', async () => {
  await rehearse(settings('--mirror', 'ghcr.io=http://127.0.0.1:1', '--registry-ca', '/nowhere/ca.pem'))
  const open = (): number => process.getActiveResourcesInfo().filter((r) => r.startsWith('TCP')).length
  for (let i = 0; i < 100 && open() > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  equal(open(), 0)
})
