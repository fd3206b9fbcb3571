import { homedir } from 'node:os'
import { dirname } from 'node:path'
import { root, type Check } from '../project.ts'

const TEXT = /\.(ts|mjs|json|md|yaml|yml|sh|cue|rego|txt)$|^bin\/|^\.ci\/|Dockerfile$/

/** Folders that mean one machine: of users, and the one that this checkout lies in (but not a temporary folder, which is any machine's). */
function foldersOfAMachine(): RegExp[] {
  const own = [homedir(), dirname(root)].filter((folder) => folder.length > 1 && folder !== '/tmp')
  return [/(?<![\w.$}-])\/(home|Users)\/\w+\//, ...own.map((folder) => new RegExp(`(?<![\\w.$}-])${RegExp.escape(folder)}/`))]
}

export const machines: Check = {
  claim: 'no file names a folder of one machine',
  violations(project) {
    const folders = foldersOfAMachine()
    return project.files
      .filter((file) => TEXT.test(file))
      .flatMap((file) =>
        project
          .text(file)
          .split('\n')
          .flatMap((line, at) => (folders.some((folder) => folder.test(line)) ? [`${file}:${at + 1}: ${line.trim().slice(0, 120)}`] : [])),
      )
  },
}
