import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openIdentity } from '../../../programs/webhook/identity.ts'
import { silent } from '../../../src/world/log.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const folder = mkdtempSync(join(tmpdir(), 'identity-'))
after(() => rmSync(folder, { recursive: true }))

test('registries are read with the Docker configs, their helpers and the cloud whose they are, in this order', async () => {
  const auths = { 'ghcr.io': { username: 'me', password: 'x' } }
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths, credHelpers: { 'ghcr.io': 'gh' } }))
  const identity = await openIdentity({ DOCKER_CONFIG: folder }, silent, uncounted)
  const sources = (registry: string): string[] =>
    identity
      .credentials()
      .credentialsFor(registry, 'app')
      .map(({ source }) => source)
  assert.deepEqual(sources('ghcr.io'), ['docker-credential-gh', 'Docker config of the controller', 'GitHub'])
  assert.deepEqual(sources('registry.example'), [])
  identity.follow()
  await identity.close()
})

test('a Docker config or a proxy that cannot be read is an error, not a default', async () => {
  writeFileSync(join(folder, 'config.json'), '{')
  await assert.rejects(openIdentity({ DOCKER_CONFIG: folder }, silent, uncounted), /the Docker config .* is not a JSON object/)
  await assert.rejects(openIdentity({ HTTPS_PROXY: 'ftp://x' }, silent, uncounted), /HTTPS_PROXY is not the URL of a proxy/)
})
