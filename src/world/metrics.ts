import type { Tally } from '../verdict/tally.ts'
import type { PressureLevel } from './pressure.ts'

/** What a registry's host is to us; transparency logs and TUF repositories are counted beside them. Never its name: names come from whoever creates a Pod, and a label for each would fill the memory. */
export type HostClass = 'mirror' | 'public' | 'private' | 'loopback' | 'log' | 'tuf' | 'cloud'
export type RegistryOutcome = 'found' | 'absent' | 'refused' | 'limited' | 'failed' | 'timeout'
/**
 * Parts of the way of a request that take time. `read`: its bytes into a review; `credentials`: pull secrets and ServiceAccount of the workload;
 * `tag`: what a tag means now; `evidence`: what lies in one place of a registry; `log`: a search in a
 * transparency log; `platforms`: the parts of a multi-arch image; `judgement`: one policy about one image, its evidence included.
 */
export type Stage = 'read' | 'credentials' | 'tag' | 'evidence' | 'log' | 'platforms' | 'judgement'
/** What a memory holds, in bytes; tags are few and small, so they are counted. */
export type Held = { readonly passes: number; readonly content: number; readonly tags: number }
export type KmsOutcome = 'found' | 'wrong' | 'none' | 'unknown'
export type InternalError = 'answer' | 'unhandled-rejection' | 'uncaught-exception' | 'compile'

/** One thing that is trusted: the Sigstore instance that is meant where no TrustRoot is named, or a TrustRoot by name. Times are in ms since 1970. */
export type TrustShown = {
  readonly of: 'sigstore' | 'trust-root'
  readonly name: string
  /** `stale`: in force, though its last refresh failed. `broken`: who needs it is refused. */
  readonly state: 'in-force' | 'stale' | 'broken'
  /** When it is not believed any more unless it is refreshed; undefined: never. */
  readonly ends: number | undefined
  /** When it was fetched last; undefined: never, or nothing has to be fetched. */
  readonly refreshed: number | undefined
}

/** What is counted. Every label has a bounded set of values, and every call costs about a microsecond. */
export interface Metrics {
  /** A request that the webhook answered. `kind` and `operation` may come from outside: what is not handled is `other`. */
  requested(path: string, operation: string, kind: string, allowed: boolean, seconds: number): void
  /** Asked at each scrape: requests that are being answered. */
  watchUnderWay(requests: () => number): void
  /** A request refused before it was read, by its HTTP status. */
  turnedAway(status: number): void
  /** One answer of one policy about one image. Names of policies are those of the cluster's operator, and a bounded number of them are told apart. */
  decided(tally: Tally): void
  /** How long a part of the way took. What was remembered is no judgement, and no evidence. */
  staged(stage: Stage, seconds: number): void
  registryAsked(outcome: RegistryOutcome, host: HostClass): void
  /** Whether something was still remembered; `what` is one of a few fixed names. */
  remembered(what: 'pass' | 'content' | 'tag', hit: boolean): void
  /** Work that goes on though its request had to be answered; `cameToAnEnd` follows each. */
  wentOn(): void
  cameToAnEnd(): void
  failedInside(where: InternalError): void
  /** Those in force; so many of them refuse because of themselves. `ends`: when what they trust does, in ms since 1970; undefined: it does not. */
  policies(inForce: readonly { readonly name: string; readonly ends: number | undefined }[], broken: number): void
  withoutPoliciesKeyless(inForce: boolean): void
  /** How it stands with everything that is trusted; what is not among it is gone. */
  trust(shown: readonly TrustShown[]): void
  /** Asked at each scrape. */
  watchMemory(held: () => Held): void
  /** A key of a key management service that was asked for, and what came of it: `none` where this process has no identity there. */
  kmsRead(service: 'aws' | 'google' | 'azure' | 'vault', outcome: KmsOutcome): void
  /** Keys of key management services that policies name; `stale` ones are in force, though they could not be read again. */
  kmsKeys(inForce: number, stale: number, broken: number): void
  /** Asked at each scrape: how near the process is to the memory that it may have, in bytes. */
  watchPressure(pressure: { level(): PressureLevel; readonly limit: number }): void
  /** Asked at each scrape: milliseconds since the API server was last heard of. */
  watchContact(age: () => number): void
  /** Seconds since 1970 at which the serving certificate ends. */
  certificateEnds(at: number): void
  /** Whether this replica is the one that writes. */
  leads(held: boolean): void
  /** The text of `/metrics`. */
  text(): Promise<string>
  readonly contentType: string
}

const nothing = (): void => undefined

/** Counts nothing: for commands that end with their answer. */
export const uncounted: Metrics = {
  requested: nothing,
  watchUnderWay: nothing,
  turnedAway: nothing,
  decided: nothing,
  staged: nothing,
  registryAsked: nothing,
  remembered: nothing,
  wentOn: nothing,
  cameToAnEnd: nothing,
  failedInside: nothing,
  policies: nothing,
  withoutPoliciesKeyless: nothing,
  trust: nothing,
  watchMemory: nothing,
  kmsRead: nothing,
  kmsKeys: nothing,
  watchPressure: nothing,
  watchContact: nothing,
  certificateEnds: nothing,
  leads: nothing,
  text: async () => '',
  contentType: 'text/plain',
}
