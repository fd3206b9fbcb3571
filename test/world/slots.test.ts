import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slots } from '../../src/world/slots.ts'

const never = new AbortController().signal

test('so many take a slot at once; others in the order in which they came, as slots are released', async () => {
  const slots = new Slots(2, 10)
  const order: number[] = []
  const takers = [0, 1, 2, 3].map(async (n) => {
    assert.equal(await slots.take(never), 'taken')
    order.push(n)
  })
  await Promise.all(takers.slice(0, 2))
  assert.deepEqual(order, [0, 1])
  slots.release()
  await takers[2]
  assert.deepEqual(order, [0, 1, 2])
  slots.release()
  await takers[3]
})

test('beyond the bound nobody waits', async () => {
  const slots = new Slots(1, 1)
  assert.equal(await slots.take(never), 'taken')
  const waiting = slots.take(never)
  assert.equal(await slots.take(never), 'full')
  slots.release()
  assert.equal(await waiting, 'taken')
})

test('who waits leaves at once when its signal ends, and takes nothing along', async () => {
  const slots = new Slots(1, 10)
  await slots.take(never)
  const impatient = new AbortController()
  const first = slots.take(impatient.signal)
  const second = slots.take(never)
  impatient.abort()
  assert.equal(await first, 'aborted')
  assert.equal(await slots.take(impatient.signal), 'aborted')
  slots.release()
  assert.equal(await second, 'taken')
  slots.release()
  assert.equal(await slots.take(never), 'taken')
})
