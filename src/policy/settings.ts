import type { NoMatchPolicy } from '../verdict/enforce.ts'

/** The settings of ConfigMap `config-policy-controller` in the controller's namespace (specification 10.4, and Sealgate's own). */
export type Settings = {
  readonly noMatchPolicy: NoMatchPolicy
  readonly failOnEmptyAuthorities: boolean
  /** Accepted for compatibility: signatures are looked for among the referrers whatever it says, and it changes nothing about what is verified. */
  readonly enableOci11: boolean
  /** `keep-tag` writes `repo:tag@sha256:…`, `digest-only` writes `repo@sha256:…`. */
  readonly tagResolution: 'keep-tag' | 'digest-only'
  /** Which objects are rewritten; with `pods` a template keeps its tags and is judged by what they mean now. */
  readonly tagResolutionFor: 'all' | 'pods'
  readonly withoutPolicies: 'keyless' | 'no-match-policy'
  readonly keyless: 'enabled' | 'disabled'
  /** Whether `rfc3161timestamp` asks for a timestamp (Q11), or only verifies one that is there; of a bundle it always does. */
  readonly requireTimestamps: boolean
  /** Whether `*` in `identities[].subject` stands for any text, or for itself. */
  readonly subjectGlobs: boolean
  /** Whether each platform's manifest of a multi-arch image must satisfy the policies too, not only the index. */
  readonly verifyPlatformManifests: boolean
  /** Whether an update that changes no image is judged again. */
  readonly recheckUnchanged: boolean
  /** Milliseconds that a policy's pass for an image is remembered; 0 is off. */
  readonly rememberPasses: number
  /** Milliseconds that a tag's digest is remembered; 0 is off, but concurrent askers share one request. */
  readonly rememberTags: number
}

export const defaultSettings: Settings = {
  noMatchPolicy: 'deny',
  failOnEmptyAuthorities: true,
  enableOci11: false,
  tagResolution: 'keep-tag',
  tagResolutionFor: 'all',
  withoutPolicies: 'keyless',
  keyless: 'enabled',
  requireTimestamps: true,
  subjectGlobs: true,
  verifyPlatformManifests: false,
  recheckUnchanged: true,
  rememberPasses: 5 * 60_000,
  rememberTags: 0,
}

/** A value that was not understood; the last good one stays in force. */
export type SettingProblem = { readonly key: string; readonly found: string; readonly wanted: string }

const MAX_REMEMBERED = 60 * 60_000 // ms; longer would let a withdrawn signature pass for hours

type SettingRow<K extends keyof Settings> = {
  readonly key: string
  readonly field: K
  readonly wanted: string
  readonly read: (text: string) => Settings[K] | undefined
  readonly meaning: string
}

function row<K extends keyof Settings>(
  key: string,
  field: K,
  wanted: string,
  read: (text: string) => Settings[K] | undefined,
  meaning: string,
): SettingRow<K> {
  return { key, field, wanted, read, meaning }
}

/** Every setting, in the order of the reference page. */
export const settingRows = [
  // Upstream reads anything but `warn` and `allow` as `deny`, so there is no bad value.
  row(
    'no-match-policy',
    'noMatchPolicy',
    'deny, warn or allow',
    (t) => oneOf(t, ['warn', 'allow'] as const) ?? 'deny',
    'what an image gets that no policy speaks about',
  ),
  row(
    'fail-on-empty-authorities',
    'failOnEmptyAuthorities',
    'true or false',
    boolean,
    'whether a policy without authorities is refused when it is written; one that exists admits nobody either way',
  ),
  row(
    'enable-oci11',
    'enableOci11',
    'true or false',
    boolean,
    'accepted for compatibility; referrers are always looked at, and always verified',
  ),
  row(
    'tag-resolution',
    'tagResolution',
    'keep-tag or digest-only',
    (t) => oneOf(t, ['keep-tag', 'digest-only'] as const),
    'how a resolved tag is written into the object',
  ),
  row('tag-resolution-for', 'tagResolutionFor', 'all or pods', (t) => oneOf(t, ['all', 'pods'] as const), 'which objects are rewritten'),
  row(
    'without-policies',
    'withoutPolicies',
    'keyless or no-match-policy',
    (t) => oneOf(t, ['keyless', 'no-match-policy'] as const),
    'what happens while the cluster has no ClusterImagePolicy at all',
  ),
  row(
    'keyless',
    'keyless',
    'enabled or disabled',
    (t) => oneOf(t, ['enabled', 'disabled'] as const),
    'disabled refuses every keyless authority and the keyless fallback',
  ),
  row(
    'require-timestamps',
    'requireTimestamps',
    'true or false',
    boolean,
    'whether an authority with rfc3161timestamp refuses a signature that has no timestamp; false only verifies those that are there, but a bundle always needs one',
  ),
  row(
    'subject-globs',
    'subjectGlobs',
    'true or false',
    boolean,
    'whether `*` in the subject of an identity stands for any text (before the last `@` without `/` and `@`); false compares it as it is',
  ),
  row(
    'verify-platform-manifests',
    'verifyPlatformManifests',
    'true or false',
    boolean,
    'whether the manifest of each platform of a multi-arch image must satisfy the policies too; false: a signature of the index suffices',
  ),
  row(
    'recheck-unchanged',
    'recheckUnchanged',
    'true or false',
    boolean,
    'whether an update that changes no image is judged again. false lets it through unseen, though a policy, a key or the labels that policies match by may have changed since: what once got in stays in; a log line warns of it',
  ),
  row(
    'remember-passes',
    'rememberPasses',
    'a Go duration from 0 to 1h, such as 5m',
    duration,
    "how long a policy's pass for an image digest is remembered; 0 is off",
  ),
  row(
    'remember-tags',
    'rememberTags',
    'a Go duration from 0 to 1h, such as 30s',
    duration,
    'how long the digest of a tag is remembered; 0 is off',
  ),
] as const

/** Reads the ConfigMap's `data`. A value that is not understood keeps what was in force before and is reported; unknown keys are ignored, as upstream does. */
export function readSettings(
  data: Readonly<Record<string, unknown>>,
  before: Settings,
): { settings: Settings; problems: readonly SettingProblem[] } {
  const problems: SettingProblem[] = []
  const read: Record<string, unknown> = { ...defaultSettings }
  for (const { key, field, wanted, read: reader } of settingRows) {
    if (!Object.hasOwn(data, key)) continue
    const found = data[key]
    const value = typeof found === 'string' ? reader(found.trim()) : undefined
    if (value === undefined) problems.push({ key, found: String(found).slice(0, 200), wanted })
    read[field] = value ?? before[field]
  }
  return { settings: read as Settings, problems }
}

function oneOf<T extends string>(text: string, values: readonly T[]): T | undefined {
  return values.find((v) => v === text)
}

/** Go's strconv.ParseBool. */
function boolean(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  return undefined
}

const unitMilliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Go's time.ParseDuration for the units that make sense here; milliseconds, at most an hour. */
function duration(text: string): number | undefined {
  if (text === '0') return 0
  if (text.length > 32 || !/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) return undefined
  let total = 0
  for (const [, number, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h)/g))
    total += Number(number) * (unitMilliseconds[unit ?? ''] ?? NaN)
  return total <= MAX_REMEMBERED ? total : undefined
}
