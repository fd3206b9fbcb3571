import { generateKeyPairSync } from 'node:crypto'
import { compile, nothingKnown } from '../../src/policy/compile.ts'
import { defaulted } from '../../src/policy/default.ts'
import { kmsUrisOf } from '../../src/policy/kms.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import { readPolicy } from '../../src/policy/read.ts'
import { whyNotPolicy } from '../../src/policy/validate.ts'
import { publicRoot } from '../../src/trust/public-root.ts'
import { readTrustRoot } from '../../src/trust/trust-root.ts'
import { merged, rendered } from '../../src/verdict/diagnostic.ts'
import { sentenceOf } from '../../src/verdict/reason.ts'
import { readDocuments } from '../../src/world/cluster/documents.ts'
import { readObjects, type Kind } from '../../src/world/cluster/objects.ts'
import type { Check, Project } from '../project.ts'

/** YAML of the documentation and what its fence says becomes of it: nothing (accepted), `warns` or `refused`. */
type Shown = { readonly at: string; readonly yaml: string; readonly becomes: string }

const NAMESPACE = 'cosign-system'
const A_KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'pem', type: 'spki' })

/** Policies, trust roots and settings that the documentation shows go through the same reading as those of a cluster. */
export const policies: Check = {
  claim: 'policies, trust roots and settings in the documentation are carried out as it says',
  async violations(project) {
    const violations: string[] = []
    for (const { at, yaml, becomes } of shownIn(project)) {
      const found = await outcomeOf(yaml)
      const said = found.becomes === '' ? 'accepted' : found.becomes
      if (found.becomes !== becomes)
        violations.push([`${at}: is ${said}, which is not what it is shown as`, ...found.why].join('\n        '))
    }
    return violations
  },
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

/** What becomes of the objects in `yaml`; Secrets and ConfigMaps count when they are in the controller's namespace. */
export async function outcomeOf(yaml: string): Promise<{ readonly becomes: string; readonly why: readonly string[] }> {
  const documents = await readDocuments(yaml)
  if (!documents.ok) return { becomes: 'no YAML', why: [documents.problem] }
  const read = readObjects(documents.documents)
  if (!read.ok) return { becomes: 'no Kubernetes object', why: [read.problem] }
  const byName = (kind: Kind): Map<string, object> =>
    new Map(read.objects.filter((o) => o.kind === kind && (o.namespace === '' || o.namespace === NAMESPACE)).map((o) => [o.name, o.object]))
  const objects = {
    policies: byName('ClusterImagePolicy'),
    policiesIncomplete: undefined,
    secrets: byName('Secret'),
    configMaps: byName('ConfigMap'),
    trustRoots: byName('TrustRoot'),
  }
  const roots = [...objects.trustRoots].map(([name, object]) => [name, readTrustRoot(object, name)] as const)
  // Nothing is fetched here: what a repository says is taken for something good.
  const trustRoots = new Map(
    roots.map(([name, root]) => [
      name,
      root.ok ? ({ ok: true, value: root.value.from === 'itself' ? root.value.material : publicRoot() } as const) : root,
    ]),
  )
  // So is what a key management service would say.
  const kmsKeys = new Map([...objects.policies.values()].flatMap(kmsUrisOf).map((uri) => [uri, { ok: true, value: A_KEY } as const]))
  const outside = { ...nothingFetched(), trustRoots, kmsKeys }
  const { policies: compiled, settings, settingProblems } = compile(objects, NAMESPACE, nothingKnown, outside)
  const terms = { systemNamespace: NAMESPACE, failOnEmptyAuthorities: settings.failOnEmptyAuthorities }
  const found = [...objects.policies].flatMap(([name, raw]) => whyNotPolicy(defaulted(readPolicy(name, raw).spec), terms))
  const why = [
    ...merged(found).map(rendered),
    ...roots.flatMap(([, root]) => (root.ok ? [] : [sentenceOf(root.reason)])),
    ...compiled.flatMap((policy) => policy.warnings),
    ...settingProblems.map(({ key, found, wanted }) => `${key}: found ${found}, wanted ${wanted}`),
  ]
  const refused =
    found.some((f) => f.level === 'error') ||
    settingProblems.length > 0 ||
    roots.some(([, root]) => !root.ok) ||
    compiled.some((policy) => policy.refuses.length > 0 || policy.authorities.some((a) => a.refuses.length > 0))
  return { becomes: refused ? 'refused' : why.length > 0 ? 'warns' : '', why }
}
