import type { Reason } from './reason.ts'

/** What reading foreign bytes answers: a value, or why there is none. Errors of foreign input are values, never exceptions. */
export type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: Reason }
