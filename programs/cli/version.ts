import { readFileSync } from 'node:fs'

/** The version of Sealgate and of the Node that runs it, as `sealgate version` prints them. */
export function versionLine(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return `sealgate ${(manifest as { readonly version: string }).version} (node ${process.versions.node}, ${process.platform}-${process.arch})`
}
