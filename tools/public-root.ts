import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { root } from './project.ts'

/** Where the embedded trust root of the public Sigstore instance lies. */
export const PUBLIC_ROOT = 'src/trust/public-root.json'
const REPOSITORY = 'https://tuf-repo-cdn.sigstore.dev'

type Seeds = { readonly [repository: string]: { readonly 'root.json': string; readonly 'targets': { readonly [name: string]: string } } }

/**
 * The file with the TUF root and the trusted root of the public Sigstore instance, both as the text that they are, from what the
 * development dependency `@sigstore/tuf` brings along. A new version of it changes the file: `node tools/public-root.ts` writes it,
 * `node tools/public-root.ts --check` says whether it is what it should be.
 */
export function publicRootFile(): string {
  const seeds = createRequire(import.meta.url)('@sigstore/tuf/seeds.json') as Seeds
  const seed = seeds[REPOSITORY]
  const text = (base64: string | undefined): string => {
    if (base64 === undefined) throw new Error(`@sigstore/tuf has no root.json or trusted_root.json for ${REPOSITORY}`)
    return Buffer.from(base64, 'base64').toString('utf8')
  }
  return `${JSON.stringify({ root: text(seed?.['root.json']), trustedRoot: text(seed?.targets['trusted_root.json']) }, null, 2)}\n`
}

if (import.meta.main) {
  const made = publicRootFile()
  if (!process.argv.includes('--check')) writeFileSync(root + PUBLIC_ROOT, made)
  else if (readFileSync(root + PUBLIC_ROOT, 'utf8') !== made) {
    console.error(`${PUBLIC_ROOT} is not what @sigstore/tuf brings along: node tools/public-root.ts`)
    process.exitCode = 1
  }
}
