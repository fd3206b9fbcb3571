import { codeLines, type Check } from '../project.ts'

/** Where a source file's test lies: `src/policy/glob.ts` → `test/policy/glob.test.ts`, `fakes/registry.ts` → `test/fakes/registry.test.ts`. */
export function testOf(file: string): string {
  return `test/${file.replace(/^src\//, '').replace(/\.ts$/, '')}.test.ts`
}

/** Files with something that can run. A file of types alone has nothing to test. */
function runs(text: string): boolean {
  return codeLines(text).some(({ code }) => /^(export (?!type\b|interface\b)|await\b|import '|[a-z]\w*(\.\w+)*\()/.test(code))
}

export const tested: Check = {
  claim: 'every source file has its test, and every test its source file',
  violations(project) {
    const sources = project.files.filter((file) => /^(src|programs|fakes|tools\/checks)\/.*\.ts$/.test(file))
    const expected = new Map(sources.map((file) => [testOf(file), file]))
    const there = new Set(project.files)
    const missing = [...expected].filter(([test, file]) => !there.has(test) && runs(project.text(file)))
    const astray = project.files.filter(
      (file) => /^test\/.*\.test\.ts$/.test(file) && !expected.has(file) && !/^test\/(tools|bin|fuzz|differential|deploy)\//.test(file),
    )
    return [
      ...missing.map(([test, file]) => `${file}: ${test} is missing`),
      ...astray.map((test) => `${test}: the file that it tests is missing`),
    ]
  },
}
