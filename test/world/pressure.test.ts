import { deepEqual, equal, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { getHeapStatistics } from 'node:v8'
import type { MemoryUse } from '../../src/world/pressure.ts'
import { Pressure, memoryUse } from '../../src/world/pressure.ts'

const MB = 1024 * 1024
const idle: MemoryUse = { rss: 120 * MB, heapTotal: 50 * MB, heapUsed: 30 * MB, external: 10 * MB, limit: 512 * MB, heapLimit: 256 * MB }

function measured() {
  let use = idle
  let now = 0
  let collections = 0
  const pressure = new Pressure(
    () => use,
    () => now,
    () => collections++,
  )
  return {
    pressure,
    collections: () => collections,
    /** What is in use from now on, so many ms later. */
    levelWith(more: Partial<MemoryUse>, after = 1000) {
      use = { ...idle, ...more }
      now += after
      return pressure.level()
    },
  }
}

test('there is none while there is memory', () => equal(measured().pressure.level(), 'none'))

test('what lies outside of the heap counts towards the limit of the container', () => {
  const { levelWith } = measured()
  equal(levelWith({ rss: 430 * MB, external: 320 * MB }), 'high')
  equal(levelWith({ rss: 490 * MB, external: 380 * MB }), 'critical')
  equal(levelWith({}), 'none')
})

test('what the kernel was not given back is no pressure: it is there to be used again', () =>
  equal(measured().levelWith({ rss: 500 * MB }), 'none'))

test('a heap that is nearly full is pressure, however much memory the container has', () => {
  const { levelWith } = measured()
  equal(levelWith({ heapUsed: 200 * MB, heapTotal: 210 * MB }), 'high')
  equal(levelWith({ heapUsed: 230 * MB, heapTotal: 240 * MB }), 'critical')
})

test('it is looked at every 25 ms at most', () => {
  const { levelWith } = measured()
  equal(levelWith({}), 'none')
  equal(levelWith({ heapUsed: 250 * MB }, 10), 'none')
  equal(levelWith({ heapUsed: 250 * MB }, 20), 'critical')
})

test('garbage is collected when there is pressure, once a second at most', () => {
  const { levelWith, collections } = measured()
  levelWith({})
  equal(collections(), 0)
  levelWith({ heapUsed: 250 * MB })
  levelWith({ heapUsed: 250 * MB }, 500)
  equal(collections(), 1)
  levelWith({ heapUsed: 250 * MB }, 600)
  equal(collections(), 2)
})

test('a minute without a pause is lasting, and what went away meanwhile is not', () => {
  const { pressure, levelWith } = measured()
  levelWith({ heapUsed: 250 * MB })
  levelWith({ heapUsed: 250 * MB }, 59_000)
  equal(pressure.isLasting(), false)
  levelWith({ heapUsed: 250 * MB }, 2_000)
  equal(pressure.isLasting(), true)
  levelWith({})
  levelWith({ heapUsed: 250 * MB })
  equal(pressure.isLasting(), false)
})

test('of this process, the limits are those that the kernel and Node set', () => {
  const { rss, heapUsed, limit, heapLimit } = memoryUse()
  ok(rss > heapUsed && limit > rss)
  deepEqual([heapLimit, new Pressure().level()], [getHeapStatistics().heap_size_limit, 'none'])
})
