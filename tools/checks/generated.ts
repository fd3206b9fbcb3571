import { generated as made } from '../generate.ts'
import type { Check } from '../project.ts'

export const generated: Check = {
  claim: 'generated files equal what is committed',
  violations: (project) => staleAmong(made, project.files, (file) => project.text(file)),
}

/** Those of `made` that are missing or differ. */
export function staleAmong(
  made: Readonly<Record<string, () => string>>,
  files: readonly string[],
  textOf: (file: string) => string,
): string[] {
  return Object.entries(made)
    .filter(([file, make]) => !files.includes(file) || textOf(file) !== make())
    .map(([file]) => `${file}: is not what its generator makes; npm run generate`)
}
