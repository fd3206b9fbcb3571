import type { Conversion, ConversionAnswer } from './admission/conversion.ts'
import { converted, routeOf } from './admission/conversion.ts'
import { differenceOf } from './admission/patch.ts'
import type { Resource } from './admission/resource.ts'
import { isEnding, readResource, whyUnhandled } from './admission/resource.ts'
import type { AdmissionAnswer } from './admission/response.ts'
import { allowed, denied, patched, withinLimits } from './admission/response.ts'
import type { Review } from './admission/review.ts'
import { rewritten } from './admission/struct.ts'
import type { Deadline } from './admit.ts'
import type { Json, JsonObject } from './image/json.ts'
import { filledIn, isJsonObject } from './image/json.ts'
import type { Snapshot } from './policy/compile.ts'
import { compile } from './policy/compile.ts'
import { missingConfigMaps } from './policy/config-map.ts'
import { conflictsOf } from './policy/conflict.ts'
import { missingInPolicy } from './policy/default.ts'
import type { ClusterObjects, Outside } from './policy/objects.ts'
import type { Policy } from './policy/policy.ts'
import { doubtfulPullSecrets } from './policy/pull-secret.ts'
import { readPolicy } from './policy/read.ts'
import { missingTrustRoots } from './policy/trust-root-ref.ts'
import { whyNotPolicy } from './policy/validate.ts'
import { missingInTrustRoot } from './trust/default.ts'
import type { TrustRoot } from './trust/trust-root.ts'
import { readTrustRoot } from './trust/trust-root.ts'
import { whyNotTrustRoot } from './trust/validate.ts'
import type { Diagnostic } from './verdict/diagnostic.ts'
import { errorText, warningLines } from './verdict/diagnostic.ts'
import type { Reason } from './verdict/reason.ts'
import { sentenceOf } from './verdict/reason.ts'

/** What validating an object needs of the world, and all that it can reach of it. */
export interface Registrar {
  readonly systemNamespace: string
  /** What the cluster holds besides: what the object names may be missing there. */
  objects(): ClusterObjects
  outside(): Outside
  /** What is wrong with a packed TUF repository; undefined: nothing. Never rejects; ends within its own bound. */
  whyNotRepository(root: Extract<TrustRoot, { from: 'repository' }>): Promise<RepositoryProblem | undefined>
  /** The work's result, or `late`. */
  within<T>(work: Promise<T>, deadline: Deadline): Promise<T | 'late'>
}

/** `client`: its metadata is not to be believed; `targets`: they cannot be listed; `content`: what it has is of no use, which was always accepted. */
export type RepositoryProblem = { readonly step: 'client' | 'targets' | 'content'; readonly text: string }

/** The way of a policy or TrustRoot through defaulting (specification 2.1, 2.2): read, written as Go writes it, and what is missing filled in. */
export function setDefaults(review: Review): AdmissionAnswer {
  const refused = (why: string): AdmissionAnswer => denied(review, `mutation failed: ${why}`)
  if (!isWritten(review)) return allowed(review)
  const unhandled = whyUnhandled(review.kind)
  if (unhandled !== undefined) return refused(unhandled)
  if (review.object === null) return refused(NO_OBJECT)
  const read = readResource(review)
  if (!read.ok) return refused(read.text)
  const { written, object } = read.resource
  return patched(review, [...differenceOf(written, object), ...differenceOf(object, withDefaults(read.resource.kind, object))])
}

/** The way of a policy or TrustRoot through validation (specification 2.0, 2.3, 2.6): read, every rule, and what its author should know. */
export async function check(review: Review, snapshot: Snapshot, registrar: Registrar, deadline: Deadline): Promise<AdmissionAnswer> {
  if (!isWritten(review) || review.subResource === 'status' || isEnding(review)) return allowed(review)
  const unhandled = whyUnhandled(review.kind)
  if (unhandled !== undefined) return denied(review, `decoding request failed: ${unhandled}`)
  if (review.object === null) return denied(review, `validation failed: ${NO_OBJECT}`)
  const read = readResource(review)
  if (!read.ok) return denied(review, `decoding request failed: ${read.text}`)
  const { resource } = read
  const { diagnostics, warnings } =
    resource.kind === 'TrustRoot' ? await checkTrustRoot(resource, registrar, deadline) : checkPolicy(resource, snapshot, registrar)
  const errors = errorText(diagnostics)
  // A refused object has errors to be corrected first; the specified warnings come with them all the same.
  if (errors !== '') return denied(review, `validation failed: ${errors}`, withinLimits(warningLines(diagnostics)))
  return allowed(review, withinLimits([...warningLines(diagnostics), ...warnings]))
}

/** The way of policies from one version to another (specification 1.4): nothing that they say is lost. The first that fails ends it. */
export function convert(conversion: Conversion): ConversionAnswer {
  const done: Json[] = []
  for (const object of conversion.objects) {
    const read = routeOf(object, conversion.desired)
    if (!read.ok) return converted(conversion, done, read.text)
    const { route } = read
    const rewriting = rewritten(route.object, route.type, 'lenient')
    if (!rewriting.ok) return converted(conversion, done, `unable to unmarshal input: ${rewriting.text}`)
    done.push(withDefaults('ClusterImagePolicy', { ...rewriting.value, apiVersion: route.apiVersion }))
  }
  return converted(conversion, done)
}

// — the steps

const NO_OBJECT = 'the new object may not be nil'

type Found = { readonly diagnostics: readonly Diagnostic[]; readonly warnings: readonly string[] }

/** Whether something new is written. What is deleted may be anything: nobody is to be kept from deleting what should never have been there. */
function isWritten({ operation }: Review): boolean {
  return operation === 'CREATE' || operation === 'UPDATE'
}

function withDefaults(kind: Resource['kind'], object: JsonObject): JsonObject {
  const spec = isJsonObject(object['spec']) ? object['spec'] : {}
  const missing = kind === 'TrustRoot' ? missingInTrustRoot(spec) : missingInPolicy(readPolicy('', object).spec)
  return { ...object, spec: filledIn(spec, missing) }
}

function checkPolicy(resource: Resource, snapshot: Snapshot, registrar: Registrar): Found {
  const { systemNamespace } = registrar
  const { failOnEmptyAuthorities } = snapshot.settings
  const { spec } = readPolicy(resource.name, resource.object)
  const diagnostics = whyNotPolicy(spec, { systemNamespace, failOnEmptyAuthorities })
  const objects = registrar.objects()
  const policies = new Map([[resource.name, resource.object]])
  const outside = withUnfetched(objects, registrar.outside())
  // Compiled as it will be when it is in force, so what its author is told is what will happen.
  const compiled = compile({ ...objects, policies, policiesIncomplete: undefined }, systemNamespace, snapshot, outside.all)
  const warnings = compiled.policies.flatMap((policy) => [...tellingNow(policy, outside), ...conflictsOf(policy, snapshot.policies)])
  // An authority tells of the first of its TrustRoots that is missing.
  const trustRoots = missingTrustRoots(resource.object, objects).filter((text) => !warnings.some((warning) => warning.endsWith(text)))
  const pullSecrets = doubtfulPullSecrets(spec, objects.secrets, systemNamespace)
  return { diagnostics, warnings: [...warnings, ...trustRoots, ...missingConfigMaps(spec, objects.configMaps), ...pullSecrets] }
}

/** `unfetched`: TrustRoots that are there, and which nobody has had to fetch so far. */
type OutsideNow = { readonly all: Outside; readonly unfetched: ReadonlySet<string> }

function withUnfetched({ trustRoots }: ClusterObjects, outside: Outside): OutsideNow {
  const names = [...trustRoots.keys()].filter((name) => !outside.trustRoots.has(name))
  const missing = names.map((name) => [name, { ok: false, reason: { code: 'trust-root-not-fetched', name } }] as const)
  return { all: { ...outside, trustRoots: new Map([...outside.trustRoots, ...missing]) }, unfetched: new Set(names) }
}

/** The policy's warnings, without those that only say that a key or TrustRoot is fetched when a policy names it, as this one is about to. */
function tellingNow({ warnings, refuses, authorities }: Policy, { all, unfetched }: OutsideNow): readonly string[] {
  const isToCome = (reason: Reason): boolean =>
    (reason.code === 'kms-key-unknown' && !all.kmsKeys.has(reason.uri)) ||
    (reason.code === 'trust-root-not-fetched' && unfetched.has(reason.name)) ||
    (reason.code === 'trust-root-unknown' && unfetched.size > 0)
  const toCome = new Set([
    ...refuses.filter(isToCome).map(sentenceOf),
    ...authorities.flatMap((a) => a.refuses.filter(isToCome).map((r) => `authority ${a.name}: ${sentenceOf(r)}`)),
  ])
  return warnings.filter((warning) => !toCome.has(warning))
}

async function checkTrustRoot({ name, object, spec }: Resource, registrar: Registrar, deadline: Deadline): Promise<Found> {
  const diagnostics = whyNotTrustRoot(spec)
  if (diagnostics.length > 0) return { diagnostics, warnings: [] }
  const read = readTrustRoot(object, name)
  if (!read.ok) return { diagnostics, warnings: [sentenceOf(read.reason)] }
  if (read.value.from !== 'repository') return { diagnostics, warnings: [] }
  const problem = await registrar.within(registrar.whyNotRepository(read.value), deadline)
  if (problem === undefined) return { diagnostics, warnings: [] }
  if (problem !== 'late' && problem.step === 'content')
    return { diagnostics, warnings: [sentenceOf({ code: 'trust-root-unreadable', name, detail: problem.text })] }
  const [step, text] = problem === 'late' ? (['client', 'context deadline exceeded'] as const) : [problem.step, problem.text]
  const message = `invalid value: failed to ${step === 'client' ? 'construct' : 'get targets from'} a TUF client`
  return { diagnostics: [{ level: 'error', message, paths: ['spec.repository.mirrorFS'], details: text, added: [] }], warnings: [] }
}
