import { parseAllDocuments } from 'yaml'
import { compile } from '../../src/policy/compile.ts'
import type { ClusterObjects } from '../../src/policy/objects.ts'
import type { Check, Project } from '../project.ts'

/** YAML of the documentation and what its fence says becomes of it: nothing (accepted), `warns` or `refused`. */
type Shown = { readonly at: string; readonly yaml: string; readonly becomes: string }

type Manifest = { readonly kind?: string; readonly metadata?: { readonly name?: string } }

/** Policies and settings that the documentation shows go through the same reading as those of a cluster. */
export const policies: Check = {
  claim: 'policies and settings in the documentation are carried out as it says',
  violations: (project) =>
    shownIn(project).flatMap(({ at, yaml, becomes }) => {
      const found = outcomeOf(yaml)
      return found.becomes === becomes
        ? []
        : [
            `${at}: ${found.becomes || 'accepted'}, but shown as ${becomes || 'accepted'}${found.why.map((why) => `\n        ${why}`).join('')}`,
          ]
    }),
}

function shownIn(project: Project): Shown[] {
  return project.files.flatMap((file) => {
    if (/^docs\/.*\.yaml$/.test(file)) return [{ at: file, yaml: project.text(file), becomes: '' }]
    if (!file.endsWith('.md')) return []
    const text = project.text(file)
    return [...text.matchAll(/^```yaml ?(warns|refused)?\n([\s\S]*?)^```$/gm)].map((block) => ({
      at: `${file}:${text.slice(0, block.index).split('\n').length}`,
      yaml: block[2] ?? '',
      becomes: block[1] ?? '',
    }))
  })
}

/** What becomes of the objects in `yaml`; Secrets count as those of the controller's namespace. */
export function outcomeOf(yaml: string): { readonly becomes: string; readonly why: readonly string[] } {
  const documents = parseAllDocuments(yaml)
  const errors = Array.isArray(documents) ? documents.flatMap((document) => document.errors.map((error) => error.message)) : []
  if (errors.length > 0 || !Array.isArray(documents)) return { becomes: 'no YAML', why: errors }
  const objects = documents.map((document) => document.toJS() as Manifest)
  const byName = (kind: string): Map<string, object> =>
    new Map(objects.filter((object) => object.kind === kind).map((object) => [object.metadata?.name ?? '', object]))
  const cluster: ClusterObjects = {
    policies: byName('ClusterImagePolicy'),
    policiesIncomplete: undefined,
    secrets: byName('Secret'),
    configMaps: byName('ConfigMap'),
  }
  const snapshot = compile(cluster, 'cosign-system')
  const why = [
    ...snapshot.policies.flatMap((policy) => policy.warnings),
    ...snapshot.settingProblems.map(({ key, found, wanted }) => `${key}: found ${found}, wanted ${wanted}`),
  ]
  const refused =
    snapshot.settingProblems.length > 0 ||
    snapshot.policies.some((p) => p.refuses.length > 0 || p.authorities.some((a) => a.refuses.length > 0))
  return { becomes: refused ? 'refused' : why.length > 0 ? 'warns' : '', why }
}
