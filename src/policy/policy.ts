import type { Repository } from '../image/reference.ts'
import type { TrustMaterial } from '../trust/material.ts'
import type { Reason } from '../verdict/reason.ts'
import type { Demand } from './demand.ts'
import type { Glob } from './glob.ts'
import type { Match } from './match.ts'

/** A ClusterImagePolicy, read, defaulted, its keys inlined, everything compiled when it arrived. Nothing here is parsed on the way of a request. */
export type Policy = {
  readonly name: string
  readonly mode: 'enforce' | 'warn'
  /** Whether it stands for the policies that there are not. */
  readonly isFallback?: true
  readonly globs: readonly Glob[]
  readonly match: readonly Match[]
  readonly authorities: readonly Authority[]
  /** Why the whole policy refuses, whatever its authorities say: a key that cannot be had, `spec.policy` that is not carried out. Empty for a sound policy. */
  readonly refuses: readonly Reason[]
  /** What its author should know; shown at `sealgate serve` start and by the validating webhook. */
  readonly warnings: readonly string[]
  /** Content hash over everything that can change an answer, keys included: what is remembered is remembered under it. */
  readonly hash: string
}

export type Authority = {
  readonly name: string
  readonly check: Check
  /** Why this authority refuses before any evidence is looked for: the specified text first, then what explains it. */
  readonly refuses: readonly Reason[]
  /** Where signatures lie when not beside the image. */
  readonly source: Source
  /** When there are any, they are judged instead of signatures, and each is needed. */
  readonly attestations: readonly WantedAttestation[]
  /** `any` unless `signatureFormat` restricts it. */
  readonly format: 'any' | 'annotations' | 'bundle'
  /** What it rests on: none of it counts past its end. */
  readonly trust: readonly TrustMaterial[]
}

export type Check =
  | { readonly by: 'static'; readonly action: 'pass' | 'fail'; readonly message: string }
  /** Any of several keys; a keyless authority has one demand. */
  | { readonly by: 'key' | 'keyless'; readonly demands: readonly Demand[] }
  | { readonly by: 'none' }

/** `written` is the type as the policy names it, `predicateType` the URI that it stands for. */
export type WantedAttestation = { readonly name: string; readonly written: string; readonly predicateType: string }

export type Source = {
  readonly repository: Repository | undefined
  readonly tagPrefix: string
  readonly pullSecrets: readonly string[] | undefined
}
