import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Reconciler, type Worked } from '../../../src/world/cluster/reconcile.ts'
import { silent } from '../../../src/world/log.ts'

const done: Worked = { state: 'done' }
const quick = { firstPause: 10, longestPause: 40 }

test('a key that is asked for many times while it waits is worked on once, and once more when it is asked for meanwhile', async () => {
  const worked: string[] = []
  const reconciler = new Reconciler(
    'policy',
    async (key) => {
      worked.push(key)
      await wait(20)
      return done
    },
    silent,
  )
  for (let i = 0; i < 5; i++) reconciler.ask('a')
  reconciler.ask('b')
  await wait(10)
  for (let i = 0; i < 5; i++) reconciler.ask('a')
  await wait(100)
  assert.deepEqual(worked, ['a', 'b', 'a'])
  await reconciler.close()
})

test('of thousands of keys a few are worked on at a time, and every one is', async () => {
  let now = 0
  let most = 0
  const worked = new Set<string>()
  const reconciler = new Reconciler(
    'policy',
    async (key) => {
      most = Math.max(most, ++now)
      await Promise.resolve()
      now--
      worked.add(key)
      return done
    },
    silent,
  )
  for (let i = 0; i < 2_000; i++) reconciler.ask(`${i}`)
  while (worked.size < 2_000) await wait(5)
  assert.equal(most, 4)
  await reconciler.close()
})

test('what fails is tried again until it succeeds, and each reason is logged once', async () => {
  const answers: Worked[] = [
    { state: 'failed', text: 'away' },
    { state: 'failed', text: 'away' },
    { state: 'failed', text: 'forbidden' },
    done,
  ]
  const lines: string[] = []
  const say = (text: string, values?: object): unknown => lines.push(`${text} ${JSON.stringify(values)}`)
  const log = { ...silent, info: say as never, warn: say as never }
  let calls = 0
  const reconciler = new Reconciler('policy', async () => answers[calls++] ?? done, log, quick)
  reconciler.ask('p')
  while (calls < 4) await wait(5)
  await wait(5)
  assert.deepEqual(lines, [
    'could not be written; it is tried again {"policy":"p","why":"away"}',
    'could not be written; it is tried again {"policy":"p","why":"forbidden"}',
    'what failed before has succeeded {"policy":"p"}',
  ])
  assert.equal(reconciler.why('p'), undefined)
  await reconciler.close()
})

test('what failed keeps its pause, however often it is asked for', async () => {
  let calls = 0
  const reconciler = new Reconciler('policy', async () => ({ state: 'failed', text: `${calls++}` }), silent, { firstPause: 200 })
  reconciler.ask('p')
  for (let i = 0; i < 10; i++) {
    await wait(5)
    reconciler.ask('p')
  }
  assert.equal(calls, 1)
  await reconciler.close()
})

test('the API server is waited for as long as it asks', async () => {
  const times: number[] = []
  const reconciler = new Reconciler(
    'policy',
    async () => (times.push(performance.now()) === 1 ? { state: 'failed', text: 'busy', retryAfter: 200 } : done),
    silent,
    quick,
  )
  reconciler.ask('p')
  while (times.length < 2) await wait(5)
  assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 199)
  await reconciler.close()
})

test('an exception is a failure of one key; others go on', async () => {
  const worked: string[] = []
  const reconciler = new Reconciler(
    'policy',
    async (key) => {
      worked.push(key)
      if (key === 'bad') throw new Error('a bug')
      return done
    },
    silent,
    { firstPause: 10_000 },
  )
  reconciler.ask('bad')
  reconciler.ask('good')
  await wait(20)
  assert.deepEqual(worked, ['bad', 'good'])
  assert.match(reconciler.why('bad') ?? '', /internal error/)
  await reconciler.close()
})

test('what asks for it is looked at again later, though nothing changed; nothing is begun after the end', async () => {
  let calls = 0
  const reconciler = new Reconciler('certificate', async () => ({ state: 'done', again: ++calls < 3 ? 10 : undefined }), silent)
  reconciler.ask('c')
  await wait(150)
  assert.equal(calls, 3)
  await reconciler.close()
  reconciler.ask('c')
  await wait(20)
  assert.equal(calls, 3)
})
