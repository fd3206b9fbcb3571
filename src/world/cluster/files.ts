import { type BigIntStats } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const MAX_FILES = 10_000 // found below all the paths together
const MAX_FILE_BYTES = 16 * 1024 * 1024 // a list of a thousand large policies is 2 MB

/** What stands at the given paths at one moment. */
export type Look = {
  /** Each file with a mark that changes when its content does, in the order of the paths and, in a folder, of the names. */
  readonly files: ReadonlyMap<string, string>
  /** Paths and folders that could not be looked into, and why. What was known of the files in them still counts. */
  readonly problems: ReadonlyMap<string, string>
  /** The folders in which a change would show. */
  readonly folders: readonly string[]
  /** Folders inside folders: they are not read. */
  readonly inner: readonly string[]
}

/** Looks at files and folders. As kubectl does, a folder's files are those ending in .yaml, .yml or .json, without its inner folders; hidden ones are left out. */
export async function look(paths: readonly string[]): Promise<Look> {
  const files = new Map<string, string>()
  const problems = new Map<string, string>()
  const folders = new Set<string>()
  const inner: string[] = []
  const known = new Set<string>()

  const add = (path: string, stats: BigIntStats) => {
    // The same file through two paths is one file.
    const identity = `${stats.dev}:${stats.ino}`
    if (known.has(identity)) return
    known.add(identity)
    files.set(path, stats.isFile() ? `${identity}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}` : identity)
  }

  for (const path of paths.map((p) => resolve(p))) {
    const stats = await statOf(path)
    if (typeof stats === 'string') {
      folders.add(resolve(path, '..'))
      problems.set(path, stats)
    } else if (stats.isDirectory()) {
      folders.add(path)
      const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => textOf(error))
      if (typeof entries === 'string') {
        problems.set(path, entries)
        continue
      }
      for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
        const at = join(path, entry.name)
        if (entry.name.startsWith('.')) continue
        if (entry.isDirectory()) inner.push(at)
        if (entry.isDirectory() || !/\.(?:ya?ml|json)$/.test(entry.name)) continue
        const of = await statOf(at)
        if (typeof of === 'string') problems.set(at, of)
        else if (of.isFile()) add(at, of)
        if (files.size > MAX_FILES) {
          problems.set(path, `more than ${MAX_FILES} files`)
          break
        }
      }
    } else {
      folders.add(resolve(path, '..'))
      add(path, stats)
    }
  }
  return { files, problems, folders: [...folders], inner }
}

/** Whether two looks saw the same. */
export function isSame(a: Look, b: Look): boolean {
  return marks(a) === marks(b)
}

function marks(look: Look): string {
  return JSON.stringify([[...look.files], [...look.problems]])
}

export type TextRead =
  | { readonly state: 'found'; readonly text: string }
  | { readonly state: 'absent' }
  | { readonly state: 'failed'; readonly problem: string }

/** The text of a file or pipe, at most 16 MiB of UTF-8. */
export async function readText(path: string): Promise<TextRead> {
  try {
    await using file = await open(path)
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > MAX_FILE_BYTES) return { state: 'failed', problem: `larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB` }
      chunks.push(chunk)
    }
    return { state: 'found', text: new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)) }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { state: 'absent' }
    return { state: 'failed', problem: codeOf(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'not UTF-8' : textOf(error) }
  }
}

async function statOf(path: string): Promise<BigIntStats | string> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    return textOf(error)
  }
}

function codeOf(error: unknown): unknown {
  return (error as { readonly code?: unknown }).code
}

function textOf(error: unknown): string {
  if (codeOf(error) === 'ENOENT') return 'no such file or folder'
  const text = error instanceof Error ? error.message : String(error)
  return text.replace(/, \w+ '.*'$/, '').slice(0, 200)
}
