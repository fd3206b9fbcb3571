import type { Check } from '../project.ts'

const SAYS_NOTHING = /(^|\/)(utils?|helpers?|common|types?|misc|shared|lib|index|core|main2|stuff|manager)(\.[a-z]+)*(\/|$)/

export const names: Check = {
  claim: 'every file and folder is named by a word of its field',
  violations: (project) =>
    project.files.filter((file) => SAYS_NOTHING.test(file)).map((file) => `${file}: the name says nothing about what is in it`),
}
