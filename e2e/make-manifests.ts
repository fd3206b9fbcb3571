import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plainManifests } from './chart.ts'
import { parts } from './parts.ts'

/** Writes the plain manifests of deploy/ anew from the chart: node e2e/make-manifests.ts. Builds helm where it is missing. */
const { helm } = await parts(['helm'])
for (const [path, text] of Object.entries(await plainManifests(helm))) {
  const file = fileURLToPath(new URL(`../deploy/${path}`, import.meta.url))
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  console.log(`deploy/${path}`)
}
