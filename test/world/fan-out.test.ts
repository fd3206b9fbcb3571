import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { fanOut } from '../../src/world/fan-out.ts'

const numbers = Array.from({ length: 100 }, (_, i) => i)

test('answers stand in the order of the items, whatever order they came in', async () => {
  const answers = await fanOut(numbers, async (i) => {
    await setTimeout(i % 3)
    return i * 2
  })
  deepEqual(
    answers,
    numbers.map((i) => i * 2),
  )
})

test('at most 16 are under way, and as many as that', async () => {
  let underWay = 0
  let most = 0
  await fanOut(numbers, async () => {
    most = Math.max(most, ++underWay)
    await setImmediate()
    underWay--
  })
  equal(most, 16)
})

test('others have their turn between items that nothing has to be waited for', async () => {
  let turns = 0
  let isDone = false
  const others = (async () => {
    for (; !isDone; turns++) await setImmediate()
  })()
  await fanOut(numbers, async () => {
    const end = performance.now() + 1
    while (performance.now() < end);
  })
  isDone = true
  await others
  equal(turns > 3, true)
})

test('of nothing comes nothing', async () => deepEqual(await fanOut([], async () => 1), []))
