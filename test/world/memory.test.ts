import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Decision } from '../../src/verdict/decision.ts'
import { because } from '../../src/verdict/decision.ts'
import { Memory } from '../../src/world/memory.ts'
import type { PressureLevel } from '../../src/world/pressure.ts'

const question = { about: 'check', check: 'it holds' } as const
const pass = because(question, { code: 'static-pass' })
const fail = because(question, { code: 'static-fail', message: '' })
const unknown = because(question, { code: 'deadline' })
const judged = (decision: Decision, goodFor?: number, note = '') => ({ decision, goodFor, note })
const MINUTE = 60_000
const DIGEST = `sha256:${'a'.repeat(64)}` as const

function memory(maxPassBytes = 1_000_000) {
  return new Memory({ maxPassBytes, maxContentBytes: 10_000 })
}

/** Asks twice, and tells how often the work was done. */
async function times(decision: Decision, ttl: number, m = memory()): Promise<number> {
  let done = 0
  for (let i = 0; i < 2; i++) await m.judged('key', ttl, async () => judged((done++, decision)))
  return done
}

test('a pass is remembered', async () => assert.equal(await times(pass, MINUTE), 1))
test('a fail is not remembered', async () => assert.equal(await times(fail, MINUTE), 2))
test('lesson 47: what could not be found out is never remembered', async () => assert.equal(await times(unknown, MINUTE), 2))
test('with remember-passes: 0 nothing is remembered', async () => assert.equal(await times(pass, 0), 2))

test('lesson 47: another key is another question', async () => {
  const m = memory()
  await m.judged('a', MINUTE, async () => judged(pass))
  assert.deepEqual(await m.judged('b', MINUTE, async () => judged(fail)), fail)
  assert.deepEqual(await m.judged('a', MINUTE, async () => judged(fail)), { remembered: '' })
})

test('a pass is forgotten after its time', async () => {
  const m = memory()
  await m.judged('key', 5, async () => judged(pass))
  await setTimeout(20)
  assert.deepEqual(await m.judged('key', 5, async () => judged(fail)), fail)
})

test('lesson 47: when passes are to be remembered for a shorter time, those that were remembered for a longer one do not count', async () => {
  const m = memory()
  await m.judged('key', 60 * MINUTE, async () => judged(pass))
  assert.deepEqual(await m.judged('key', MINUTE, async () => judged(fail)), fail)
  m.keepTag('tag', DIGEST, 60 * MINUTE)
  assert.equal(m.tag('tag', 60 * MINUTE), DIGEST)
  assert.equal(m.tag('tag', MINUTE), undefined)
})

test('a pass is never remembered past what it rests on', async () => {
  const m = memory()
  await m.judged('ending', MINUTE, async () => judged(pass, 5))
  await m.judged('ended', MINUTE, async () => judged(pass, -1))
  assert.deepEqual(await m.judged('ended', MINUTE, async () => judged(fail)), fail)
  await setTimeout(20)
  assert.deepEqual(await m.judged('ending', MINUTE, async () => judged(fail)), fail)
})

test('the same question asked at the same time is asked once, and all get the answer', async () => {
  const m = memory()
  let done = 0
  const slowly = async () => {
    done++
    await setTimeout(5)
    return judged(fail)
  }
  const answers = await Promise.all(Array.from({ length: 50 }, () => m.judged('key', MINUTE, slowly)))
  assert.equal(done, 1)
  assert.ok(answers.every((a) => a === fail))
})

test('work that throws is not remembered, and the next one tries again', async () => {
  const m = memory()
  await assert.rejects(
    m.judged('key', MINUTE, () => Promise.reject(new Error('bug'))),
    /bug/,
  )
  assert.deepEqual(await m.judged('key', MINUTE, async () => judged(pass)), pass)
})

test('memory is bounded by bytes: the oldest pass goes first', async () => {
  const m = memory(1500)
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) await m.judged(key, MINUTE, async () => judged(pass))
  assert.deepEqual(await m.judged('g', MINUTE, async () => judged(fail)), { remembered: '' })
  assert.deepEqual(await m.judged('a', MINUTE, async () => judged(fail)), fail)
})

test('content is kept by digest and scope within its bytes', () => {
  const m = memory()
  m.keepContent('sha256:aa scope', Buffer.alloc(100))
  assert.equal(m.content('sha256:aa scope')?.length, 100)
  assert.equal(m.content('sha256:aa other'), undefined)
  m.keepContent('sha256:bb scope', Buffer.alloc(20_000))
  assert.equal(m.content('sha256:bb scope'), undefined, 'one that alone exceeds the bound is not kept')
})

test('a tag is kept only when a time is given', () => {
  const m = memory()
  m.keepTag('a', 'sha256:aa', 0)
  m.keepTag('b', 'sha256:bb', MINUTE)
  assert.deepEqual([m.tag('a', MINUTE), m.tag('b', MINUTE)], [undefined, 'sha256:bb'])
})

test('under pressure what could be fetched again is given up, and what passed is kept', async () => {
  let level: PressureLevel = 'none'
  const m = new Memory({ maxPassBytes: 1_000_000, maxContentBytes: 10_000, pressure: () => level })
  await m.judged('key', MINUTE, async () => judged(pass))
  m.keepContent('content', Buffer.from('x'))
  assert.equal(m.pressure(), 'none')
  assert.ok(m.content('content'))
  level = 'high'
  assert.equal(m.pressure(), 'high')
  assert.equal(m.content('content'), undefined)
  assert.deepEqual(await m.judged('key', MINUTE, async () => judged(fail)), { remembered: '' })
})

test('content comes back as it was, small or large, whatever becomes of the bytes that it came in', () => {
  for (const length of [256, 8 * 1024]) {
    const m = memory()
    const answer = Buffer.from(Array.from({ length: length + 10 }, (_, i) => i % 256))
    m.keepContent('content', answer.subarray(10))
    const kept = m.content('content')
    assert.ok(kept instanceof Uint8Array)
    assert.deepEqual(Buffer.from(kept), answer.subarray(10))
  }
  const m = memory()
  const answer = Buffer.from('small')
  m.keepContent('content', answer)
  answer.fill(0)
  assert.equal(Buffer.from(m.content('content') ?? []).toString(), 'small')
})

test('what it holds is told: passes and content in bytes, tags by number', async () => {
  const m = memory()
  assert.deepEqual(m.held(), { passes: 0, content: 0, tags: 0 })
  await m.judged('key', MINUTE, async () => judged(pass))
  m.keepContent('content', Buffer.alloc(1000))
  m.keepTag('tag', `sha256:${'a'.repeat(64)}`, MINUTE)
  const { passes, content, tags } = m.held()
  assert.ok(passes > 3 && content > 1000 && tags === 1)
})
