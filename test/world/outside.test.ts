import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outside } from '../../src/policy/objects.ts'
import { nothingFetched } from '../../src/policy/objects.ts'
import type { Fetching } from '../../src/world/outside.ts'
import { together } from '../../src/world/outside.ts'

function partOf<T extends Partial<Outside>>(first: T): Fetching<T> & { set(next: T): void } {
  let known = first
  const listeners: (() => void)[] = []
  return {
    known: () => known,
    onChange: (listener) => void listeners.push(listener),
    set(next) {
      known = next
      for (const listener of listeners) listener()
    },
  }
}

const key = { ok: true, value: 'a key' } as const

test('without parts, what is embedded is known', () => {
  assert.deepEqual(together().known(), nothingFetched())
})

test('each part brings what it fetches, and the others stay as they are', () => {
  const keys = partOf({ kmsKeys: new Map([['awskms:///alias/a', key]]) })
  const roots = partOf({
    trustRoots: new Map([['ours', { ok: false, reason: { code: 'trust-root-not-fetched', name: 'ours' } } as const]]),
  })
  const known = together(keys, roots).known()
  assert.deepEqual(known, { ...nothingFetched(), ...keys.known(), ...roots.known() })
})

test('a change of any part is told, and known from then on; until then it is the same object', () => {
  const keys = partOf({ kmsKeys: new Map([['a', key]]) })
  const roots = partOf<Partial<Outside>>({})
  const outside = together(keys, roots)
  let told = 0
  outside.onChange(() => told++)
  const before = outside.known()
  assert.equal(outside.known(), before)
  keys.set({ kmsKeys: new Map() })
  assert.equal(told, 1)
  assert.deepEqual([outside.known().kmsKeys.size, before.kmsKeys.size], [0, 1])
  roots.set({ trustRoots: new Map([['ours', { ok: false, reason: { code: 'trust-root-not-fetched', name: 'ours' } }]]) })
  assert.deepEqual([told, outside.known().trustRoots.size], [2, 1])
})
