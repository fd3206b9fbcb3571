import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { leftOutWithout, partsIfPresent } from './parts.ts'
import { must, temporaryFolder } from './processes.ts'

const needed = ['dockerfile-check'] as const
const node = `docker.io/library/node:26.10.0-trixie@sha256:${'0123456789abcdef'.repeat(4)}`

suite('deploy/Dockerfile as BuildKit reads it', { skip: leftOutWithout(needed) }, () => {
  const read = async (file: string): Promise<readonly string[]> => {
    const said = await must(partsIfPresent(needed)?.['dockerfile-check'] ?? '', [`-build-arg=NODE_IMAGE=${node}`, file])
    return said.trim().split('\n').toSorted()
  }

  test('it warns of nothing, and begins with the Node of the platform that builds and with that of the platform that the image is for', async () => {
    assert.deepEqual(
      await read(fileURLToPath(new URL('../deploy/Dockerfile', import.meta.url))),
      [
        ['linux/amd64', 'linux/amd64'],
        ['linux/amd64', 'linux/amd64'],
        ['linux/arm64', 'linux/amd64'],
        ['linux/arm64', 'linux/arm64'],
      ].map(([target, platform]) => `${target}: from ${node} for ${platform}`),
    )
  })

  test('of what is wrong it warns', async () => {
    const file = join(temporaryFolder('dockerfile'), 'Dockerfile')
    writeFileSync(file, 'FROM scratch\nENV REGISTRY_TOKEN=secret\nCMD node\n')
    const warned = (await read(file)).map((line) => /^linux\/arm64: line (\d+: \w+)/.exec(line)?.[1]).filter((line) => line !== undefined)
    assert.deepEqual(warned, ['2: SecretsUsedInArgOrEnv', '3: JSONArgsRecommended'])
  })
})
