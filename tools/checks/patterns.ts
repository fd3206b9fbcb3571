import { codeLines, type Check } from '../project.ts'

export const patterns: Check = {
  claim: 'no regular expression is made from text: foreign patterns must run in linear time, and code is never made from text',
  violations: (project) =>
    project.files
      .filter((file) => /^(src|programs)\/.*\.ts$/.test(file))
      .flatMap((file) =>
        codeLines(project.text(file))
          .filter(({ code }) => /\bRegExp\(|\beval\(|\bnew Function\(/.test(code))
          .map(({ line, code }) => `${file}:${line}: ${code.trim()}`),
      ),
}
