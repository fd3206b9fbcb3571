import { createHash } from 'node:crypto'
import type { TrustMaterial } from '../trust/material.ts'
import { byBytes } from '../verdict/diagnostic.ts'
import type { Read } from '../verdict/read.ts'
import type { Reason } from '../verdict/reason.ts'
import { sentenceOf } from '../verdict/reason.ts'
import { compileAuthority } from './authority.ts'
import { defaulted } from './default.ts'
import { compileGlob, whyDead, whyNarrow } from './glob.ts'
import { keyText } from './key-source.ts'
import { compileMatch, whyNeverFits } from './match.ts'
import type { ClusterObjects, Outside } from './objects.ts'
import { nothingFetched } from './objects.ts'
import type { Policy } from './policy.ts'
import type { AuthoritySpec, PolicyObject } from './read.ts'
import { readPolicy } from './read.ts'
import type { Settings, SettingProblem } from './settings.ts'
import { defaultSettings, readSettings } from './settings.ts'
import { isObject } from './shape.ts'
import { whyNotInForce } from './validate.ts'

/** Everything that one review judges by. Immutable; one review sees one snapshot. */
export type Snapshot = {
  /** In name order (bytes), which is the order of every answer. */
  readonly policies: readonly Policy[]
  readonly settings: Settings
  readonly settingProblems: readonly SettingProblem[]
  /** What images are judged by while there is no policy at all; undefined when there is one, or a setting wants something else. */
  readonly fallback: Policy | undefined
  /** Why it is not known which policies are in force. Then nothing is admitted. */
  readonly unknownBecause: string | undefined
}

/** Nothing is known yet: refuses everything. */
export const nothingKnown: Snapshot = {
  policies: [],
  settings: defaultSettings,
  settingProblems: [],
  fallback: undefined,
  unknownBecause: 'they have not been read yet',
}

/** Keyless against the public Sigstore instance, any identity (the product documentation's «fallback behaviors»). Its name is none that an object can have. */
const fallback: PolicyObject = readPolicy('(no ClusterImagePolicy)', {
  spec: {
    images: [{ glob: '**' }],
    authorities: [
      {
        name: 'public-sigstore',
        keyless: { url: 'https://fulcio.sigstore.dev', identities: [{ issuerRegExp: '.*', subjectRegExp: '.*' }] },
      },
    ],
  },
})

const SETTINGS = 'config-policy-controller'

/**
 * Compiles what the cluster holds into what requests are judged by. Never throws for anything that an object says: a policy that cannot be
 * carried out stays, and refuses the images that it speaks about. `before` lends what has not changed.
 */
export function compile(
  objects: ClusterObjects,
  systemNamespace: string,
  before: Snapshot = nothingKnown,
  outside: Outside = nothingFetched(),
): Snapshot {
  const compiling = compileInSteps(objects, systemNamespace, before, outside)
  for (;;) {
    const step = compiling.next()
    if (step.done) return step.value
  }
}

/** As `compile`, a policy a step (some 0.2 ms), so that whoever takes the steps can let others have their turn between them. */
export function* compileInSteps(
  objects: ClusterObjects,
  systemNamespace: string,
  before: Snapshot,
  outside: Outside,
): Generator<undefined, Snapshot, undefined> {
  const configMap = objects.configMaps.get(SETTINGS)
  const data = isObject(configMap) && isObject(configMap['data']) ? configMap['data'] : {}
  const { settings, problems } = readSettings(data, before.settings)
  const known = new Map(before.policies.map((p) => [p.hash, p]))
  const policies: Policy[] = []
  for (const [name, raw] of objects.policies) {
    policies.push(compilePolicy(readPolicy(name, raw), objects.secrets, systemNamespace, settings, known, outside))
    yield
  }
  // Settings that nobody has read may be stricter than those that are meant where there are none.
  const unknownBecause = objects.configMapsUnread ?? (policies.length === 0 ? objects.policiesIncomplete : undefined)
  const isWithout = policies.length === 0 && settings.withoutPolicies === 'keyless' && settings.keyless === 'enabled'
  return {
    fallback: isWithout
      ? { ...compilePolicy(fallback, new Map(), systemNamespace, settings, new Map(), outside), isFallback: true }
      : undefined,
    policies: policies.toSorted((a, b) => byBytes(a.name, b.name)),
    settings,
    settingProblems: problems,
    unknownBecause,
  }
}

function compilePolicy(
  object: PolicyObject,
  secrets: ClusterObjects['secrets'],
  systemNamespace: string,
  settings: Settings,
  known: ReadonlyMap<string, Policy>,
  outside: Outside,
): Policy {
  const spec = defaulted(object.spec)
  const named = (spec.authorities ?? []).map(({ key, keyless }, i) => {
    const at = `spec.authorities[${i}]`
    const caCert = keyless?.['ca-cert']
    return {
      key: key && keyText(key, `${at}.key`, secrets, systemNamespace, outside.kmsKeys),
      caCert: caCert && keyText(caCert, `${at}.keyless.ca-cert`, secrets, systemNamespace),
    }
  })
  const { keyless, tagResolutionFor, requireTimestamps, subjectGlobs } = settings
  const trust = (spec.authorities ?? []).map((a) => trustOf(a, outside))
  const hash = contentHash([object.name, spec, object.problems, named, keyless, tagResolutionFor, requireTimestamps, subjectGlobs, trust])
  const same = known.get(hash)
  if (same) return same

  const refuses: Reason[] = object.problems.map((p) => ({
    code: 'policy-unreadable',
    cause: `${p.at}: found ${p.found}, wanted ${p.wanted}`,
  }))
  const warnings: string[] = []
  // The API server refuses such policies when they are written, but they come from files too, and from before the webhook.
  refuses.push(...whyNotInForce(spec).map((cause) => ({ code: 'policy-unreadable' as const, cause })))

  const texts = (spec.images ?? []).map((image) => image.glob ?? '')
  // A policy that cannot say whom it is about speaks about everyone: what it was meant for must not slip through. So does one whose images
  // or match were only half read: what is missing may be what it is about.
  const isHalfRead = object.problems.some((p) => p.at === 'spec' || p.at.startsWith('spec.images') || p.at.startsWith('spec.match'))
  const globs = (texts.length === 0 || isHalfRead ? ['**'] : texts.map((t) => (t === '' ? '**' : t))).map((t) => compileGlob(t))
  for (const text of texts) {
    const why = text === '' ? undefined : (whyDead(text) ?? whyNarrow(text))
    if (why !== undefined) warnings.push(why)
  }
  for (const { broken, text } of globs)
    if (broken) warnings.push(`${sentenceOf({ code: 'glob-broken', glob: text })} refuses every image that is compared with it`)
  if (spec.policy) refuses.push({ code: 'field-not-carried-out', field: 'spec.policy' })
  if (settings.tagResolutionFor === 'pods' && (spec.match ?? []).length > 0 && !(spec.match ?? []).some((m) => m.resource === 'pods')) {
    warnings.push(
      'spec.match leaves out pods, and with tag-resolution-for: pods only the Pod carries the digest that runs: add an entry for pods',
    )
  }

  const match = isHalfRead ? [] : (spec.match ?? []).map((m) => compileMatch(m))
  for (const [k, entry] of match.entries()) {
    const why = whyNeverFits(entry)
    if (why !== undefined) warnings.push(`spec.match[${k}] ${why}`)
  }

  const authorities = (spec.authorities ?? []).map((a, i) =>
    compileAuthority(a, `spec.authorities[${i}]`, { key: undefined, caCert: undefined, ...named[i], outside }, settings, refuses, warnings),
  )
  const passing = authorities.find(({ check }) => check.by === 'static' && check.action === 'pass')
  if (passing && authorities.length > 1)
    warnings.push(`authority ${passing.name} lets every image through, so the other authorities of the policy check nothing`)
  return {
    name: object.name,
    mode: spec.mode === 'warn' ? 'warn' : 'enforce',
    globs,
    match,
    authorities,
    refuses,
    warnings: [
      ...warnings,
      ...refuses.map(sentenceOf),
      ...authorities.flatMap((a) => a.refuses.map((r) => `authority ${a.name}: ${sentenceOf(r)}`)),
    ],
    hash,
  }
}

/** The state of all trust that an authority may rest on: a policy is compiled anew when it changes. */
function trustOf({ keyless, ctlog, rfc3161timestamp }: AuthoritySpec, outside: Outside): unknown {
  const names = [keyless?.trustRootRef, ctlog?.trustRootRef, rfc3161timestamp?.trustRootRef]
  const isPublic = keyless ?? ctlog ?? rfc3161timestamp
  const stateOf = (root: Read<TrustMaterial> | undefined): unknown =>
    root && (root.ok ? [root.value.hash, root.value.until ?? null] : root.reason)
  return [isPublic ? stateOf(outside.publicRoot) : null, names.map((name) => (name ? stateOf(outside.trustRoots.get(name)) : null))]
}

function contentHash(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex')
}
