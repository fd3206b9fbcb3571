import { compile, nothingKnown } from '../../../src/policy/compile.ts'
import type { Policy } from '../../../src/policy/policy.ts'
import { whyDoubtful } from '../../../src/policy/pull-secret.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import type { Finding } from './finding.ts'
import { counted, note, ok, unknown, warning, wrong } from './finding.ts'
import type { Check, Patient } from './patient.ts'

const CORRECT = 'correct the policy, or what it names'

/** Every policy as it is carried out, with all that it names: Secrets, ConfigMaps, TrustRoots, keys of key management services. */
export const policies: Check = {
  name: 'policies and settings',
  run: async (patient) => {
    const snapshot = snapshotOf(patient)
    const settings = snapshot.settingProblems.map(({ key, found, wanted }) =>
      wrong(
        `setting ${key}: found ${found}, wanted ${wanted}; what was in force before stays`,
        'correct the ConfigMap config-policy-controller',
      ),
    )
    if (snapshot.unknownBecause !== undefined)
      return [
        ...settings,
        unknown(`the policies in force are not known, so everything is refused: ${snapshot.unknownBecause}`, 'see above'),
      ]
    const names = snapshot.policies.filter((policy) => policy.isFallback !== true)
    if (names.length === 0) return [...settings, without(snapshot.settings.withoutPolicies)]
    const findings = names.flatMap(about)
    const sound = names.filter((policy) => about(policy).length === 0).length
    return [
      ...settings,
      ...findings,
      ...(patient.settings.manifests.length === 0 ? pullSecrets(names, patient) : []),
      ...(sound > 0
        ? [ok(`${sound} of ${counted(names.length, 'policy', 'policies')} ${sound === 1 ? 'is' : 'are'} carried out as written`)]
        : []),
    ]
  },
}

export function snapshotOf({ objects, settings, outside }: Patient): ReturnType<typeof compile> {
  return compile(objects.objects(), settings.systemNamespace, nothingKnown, outside)
}

function about(policy: Policy): readonly Finding[] {
  const broken = policy.refuses.map((reason) =>
    wrong(`${policy.name} refuses every image that it speaks about: ${sentenceOf(reason)}`, CORRECT),
  )
  const isHopeless = policy.authorities.length > 0 && policy.authorities.every((a) => a.refuses.length > 0)
  const authorities = policy.authorities.flatMap(({ name, refuses }) =>
    refuses.map((reason) => {
      const what = `${policy.name}: authority ${name} cannot be satisfied: ${sentenceOf(reason)}`
      return isHopeless ? wrong(what, CORRECT) : warning(what, CORRECT)
    }),
  )
  const said = new Set([...broken, ...authorities].map(({ what }) => what))
  const warnings = policy.warnings.filter(
    (text) => ![...said].some((what) => what.endsWith(text) || text.endsWith(what)) && !isSaid(text, policy),
  )
  return [...broken, ...authorities, ...warnings.map((text) => warning(`${policy.name}: ${text}`, 'see docs/write-a-policy.md'))]
}

/** Warnings repeat what makes the policy refuse. */
function isSaid(text: string, { refuses, authorities }: Policy): boolean {
  return [...refuses, ...authorities.flatMap((a) => a.refuses)].some((reason) => text.includes(sentenceOf(reason)))
}

/** What `signaturePullSecrets` may not give. One that is missing may be with each workload. */
function pullSecrets(all: readonly Policy[], { objects, settings }: Patient): readonly Finding[] {
  const { secrets } = objects.objects()
  const doubts = new Map<string, Finding>()
  for (const policy of all)
    for (const { source } of policy.authorities)
      for (const name of source.pullSecrets ?? []) {
        const why = whyDoubtful(name, secrets, settings.systemNamespace)
        if (why === undefined || doubts.has(name)) continue
        const what = `${policy.name}: ${why}`
        doubts.set(
          name,
          secrets.has(name) ? warning(what, 'kubectl create secret docker-registry makes one of the right type') : note(what),
        )
      }
  return [...doubts.values()]
}

function without(how: 'keyless' | 'no-match-policy'): Finding {
  return how === 'keyless'
    ? warning(
        'there is no policy: images pass that anybody signed keyless with the public Sigstore instance',
        'write a policy, or set without-policies: no-match-policy',
      )
    : warning('there is no policy: what no-match-policy says holds for every image', 'write a policy')
}
