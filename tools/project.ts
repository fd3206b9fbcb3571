import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The folder of this checkout, with a slash at its end. */
export const root = fileURLToPath(new URL('../', import.meta.url))

/** What the checks look at: every file of the project by its path from the root, without what is ignored by git. */
export type Project = {
  readonly files: readonly string[]
  /** The text of a file of `files`. */
  text(file: string): string
}

/** One thing that the project holds itself to. `claim` is a sentence; a violation names file and place. */
export type Check = {
  readonly claim: string
  violations(project: Project): readonly string[] | Promise<readonly string[]>
}

const LEFT_ALONE = ['node_modules', '.git', '.cache', 'coverage']

/** The project as it lies on disk. Without git, since a checkout may be an unpacked archive. */
export function onDisk(): Project {
  const files = globSync('**', { cwd: root, exclude: (entry) => LEFT_ALONE.includes(entry.name), withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(root.length))
    .toSorted()
  return { files, text: (file) => readFileSync(root + file, 'utf8') }
}

/** A project of the given files, for tests of checks. */
export function inMemory(files: Readonly<Record<string, string>>): Project {
  return { files: Object.keys(files).toSorted(), text: (file) => files[file] ?? '' }
}

/** The lines of a TypeScript file with their numbers, comments blanked out. A block comment is one that begins its line: `/*` may stand in a glob. */
export function codeLines(text: string): { readonly line: number; readonly code: string }[] {
  const blank = (comment: string): string => comment.replace(/[^\n]/g, ' ')
  const code = text.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank).replace(/(^|\s)\/\/.*$/gm, blank)
  return code.split('\n').map((line, at) => ({ line: at + 1, code: line }))
}
