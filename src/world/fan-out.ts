import { setImmediate } from 'node:timers/promises'

const AT_ONCE = 16 // as many as there are connections to one registry: more would only wait there, before everybody else's
const SLICE = 3 // ms after which others have their turn, where nothing has to be waited for

/**
 * Does `work` for each item, a few at a time, and answers in the order of the items. However many there are, others have their turn between
 * them, and their requests to a registry do not wait behind all of these. `work` never rejects.
 */
export async function fanOut<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<readonly Result[]> {
  const results: Result[] = Array.from({ length: items.length })
  const left = items.entries()
  let turn = performance.now()
  const worker = async (): Promise<void> => {
    for (const [i, item] of left) {
      results[i] = await work(item)
      if (performance.now() - turn < SLICE) continue
      await setImmediate()
      turn = performance.now()
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return results
}
