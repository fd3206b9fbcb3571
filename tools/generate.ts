import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { clusterImagePolicies } from './crds.ts'
import { root } from './project.ts'
import { referencePages } from './reference.ts'

/** Every file that is made by the project itself, and how. `npm run check` compares, `npm run generate` writes. */
export const generated: Readonly<Record<string, () => string>> = {
  'deploy/crds/clusterimagepolicies.yaml': clusterImagePolicies,
  ...referencePages,
}

if (import.meta.main) {
  for (const [file, make] of Object.entries(generated)) {
    mkdirSync(dirname(root + file), { recursive: true })
    writeFileSync(root + file, make())
    console.log(file)
  }
}
