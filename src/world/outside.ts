import type { Outside } from '../policy/objects.ts'
import { nothingFetched } from '../policy/objects.ts'

/** Something that is fetched again and again: what is known of it now, the same object until that changes, and word of changes. */
export interface Fetching<T> {
  known(): T
  onChange(listener: () => void): void
}

/**
 * All that policies refer to outside of the cluster's objects, put together from parts that are fetched by themselves: trust roots, keys of
 * key management services. What no part fetches is as it is embedded.
 */
export function together(...parts: readonly Fetching<Partial<Outside>>[]): Fetching<Outside> {
  let known: Outside | undefined
  const listeners: (() => void)[] = []
  for (const part of parts) {
    part.onChange(() => {
      known = undefined
      for (const listener of listeners) listener()
    })
  }
  return {
    known: () => (known ??= Object.assign(nothingFetched(), ...parts.map((part) => part.known())) as Outside),
    onChange: (listener) => void listeners.push(listener),
  }
}
