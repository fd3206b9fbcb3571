import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Turns } from '../../src/world/turns.ts'

test('who had the fewest turns goes first, equals in the order in which they came', async () => {
  const turns = new Turns()
  const order: string[] = []
  const takes = (name: string, taken: number) => turns.take(taken).then(() => order.push(name))
  await Promise.all([takes('a', 7), takes('b', 1), takes('c', 7), takes('d', 0), takes('e', 1)])
  assert.deepEqual(order, ['d', 'b', 'e', 'a', 'c'])
})

test('between two turns everybody else has one, however many want them', async () => {
  const turns = new Turns()
  let given = 0
  const all = Promise.all(Array.from({ length: 100 }, (_, i) => turns.take(i).then(() => given++)))
  for (let round = 1; round <= 20; round++) {
    await setImmediate()
    assert.ok(given <= round + 1, `${given} turns in ${round} rounds`)
  }
  await all
})

test('a request of a few turns is through while one of very many goes on', async () => {
  const turns = new Turns()
  let many = 0
  const long = Array.from({ length: 50 }, async () => {
    for (let i = 0; i < 50; i++) await turns.take(++many)
  })
  await turns.take(500)
  const before = many
  for (let i = 1; i <= 3; i++) await turns.take(i)
  assert.ok(many - before <= 10, `${many - before} turns of the other came before`)
  await Promise.all(long)
})
