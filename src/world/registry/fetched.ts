import type { Reason } from '../../verdict/reason.ts'

/** What one request to a registry gave. `absent` is a 404 that the registry meant; `tried` names the credentials used, in order, never their content. */
export type Fetched<T> =
  | { readonly state: 'found'; readonly value: T; readonly tried: readonly string[] }
  | { readonly state: 'absent'; readonly reason: Reason; readonly tried: readonly string[] }
  | { readonly state: 'failed'; readonly reason: Reason; readonly tried: readonly string[] }

/** Credentials for one registry host, in the order they are tried; the last one is anonymous. `source` may be shown to people, the rest never. */
export type Credential = { readonly kind: 'anonymous'; readonly source: 'anonymous' } | GivenCredential | AskedCredential

/** What can be sent as it is. */
export type GivenCredential =
  | { readonly kind: 'basic'; readonly source: string; readonly username: string; readonly password: string }
  | { readonly kind: 'identity-token'; readonly source: string; readonly username: string; readonly token: string }
  | { readonly kind: 'registry-token'; readonly source: string; readonly token: string }

/**
 * What somebody else has to be asked for, a cloud or a program, once a registry wants to know who this is. `identity` stands for what is got
 * where credentials are compared: whose it is, not what.
 */
export type AskedCredential = {
  readonly kind: 'asked'
  readonly source: string
  readonly identity: string
  readonly get: (signal: AbortSignal) => Promise<Got>
  /** A registry did not take what was got. */
  readonly refused: () => void
}

/** `none`: there is nothing for this process; `unknown`: that could not be found out. `why` may be shown to people. */
export type Got =
  | { readonly state: 'found'; readonly credential: GivenCredential }
  | { readonly state: 'none' | 'unknown'; readonly why: string }

/**
 * The credentials that apply to a workload (or to `signaturePullSecrets`).
 * `scope` is a keyed hash of the ordered credentials for that place: what is remembered under it is only given to who has the same.
 */
export interface Keychain {
  credentialsFor(registry: string, repository: string): readonly Credential[]
  scope(registry: string, repository: string): string
}
