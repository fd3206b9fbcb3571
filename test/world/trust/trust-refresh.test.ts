import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Sigstore } from '../../../fakes/sigstore/sigstore.ts'
import type { TrustMaterial } from '../../../src/trust/material.ts'
import { readTrustedRoot } from '../../../src/trust/trusted-root.ts'
import type { Level, Log, Values } from '../../../src/world/log.ts'
import { Slots } from '../../../src/world/slots.ts'
import type { RefreshOptions } from '../../../src/world/trust/trust-refresh.ts'
import { ExpiryWatch, isPast, TrustRefresh } from '../../../src/world/trust/trust-refresh.ts'
import type { Metadata, Refreshed } from '../../../src/world/trust/tuf.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NOW = Date.parse('2026-06-01T00:00:00Z')

const [one, two] = await Promise.all(
  ['one.example', 'two.example'].map(async (name) => {
    const read = readTrustedRoot(JSON.stringify((await Sigstore.create({ name })).trustedRoot()), 'ours')
    assert.ok(read.ok)
    return read.value
  }),
)
assert.ok(one && two)

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: NOW }))
const refreshes: TrustRefresh[] = []
afterEach(async () => {
  await Promise.all(refreshes.splice(0).map((refresh) => refresh.close()))
  mock.timers.reset()
})

function keeping(): Log & { readonly lines: { readonly level: Level; readonly text: string; readonly values: Values }[] } {
  const lines: { level: Level; text: string; values: Values }[] = []
  const at = (level: Level) => (text: string, values?: Values) => void lines.push({ level, text, values: values ?? {} })
  const nothing = (): void => undefined
  return { lines, debug: nothing, info: at('info'), warn: at('warn'), error: at('error'), setLevel: nothing, flush: async () => undefined }
}

const METADATA: Metadata = new Map([['root.json', Buffer.from('a root')]])
const good = (material: TrustMaterial, lasts: number | undefined): Refreshed => ({
  ok: true,
  material: { ...material, until: lasts === undefined ? undefined : Date.now() + lasts },
  metadata: METADATA,
})
const bad = (why = 'the mirror is down'): Refreshed => ({ ok: false, why })

/** A refresh of what answers as told, in that order, the last answer again and again. */
function refreshing(answers: readonly (() => Refreshed | Promise<Refreshed>)[], more: Partial<RefreshOptions> = {}) {
  const log = keeping()
  const asked: { readonly at: number; readonly known: Metadata | undefined; readonly signal: AbortSignal }[] = []
  let changes = 0
  const refresh = new TrustRefresh({
    fetch: async (known, signal) => {
      const answer = answers[Math.min(asked.length, answers.length - 1)]
      asked.push({ at: Date.now() - NOW, known, signal })
      return answer ? answer() : bad()
    },
    resync: DAY,
    slots: new Slots(4, 100),
    log,
    about: { trustRoot: 'ours' },
    isFixed: false,
    atLeast: undefined,
    changed: () => void changes++,
    ...more,
  })
  refreshes.push(refresh)
  return { refresh, log, asked, changes: () => changes, said: () => log.lines.map(({ level, text }) => `${level} ${text}`) }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn()
}

async function after(ms: number): Promise<void> {
  await settled()
  mock.timers.tick(ms)
  await settled()
}

const within = (value: number | undefined, from: number, to: number): void =>
  assert.ok(value !== undefined && value >= from && value <= to, `${value} is not within ${from} and ${to}`)

test('what is trusted is fetched at once, and again after the period', async () => {
  const { refresh, asked, said } = refreshing([() => good(one, 30 * DAY)])
  assert.deepEqual({ ...refresh.state }, { material: undefined, since: undefined, refreshed: undefined, next: undefined, error: undefined })
  refresh.start()
  await settled()
  const { material, since, refreshed, next, error } = refresh.state
  assert.deepEqual([material?.hash, since, refreshed, error], [one.hash, NOW, NOW, undefined])
  within(next && next - NOW, 0.8 * DAY, DAY)
  assert.equal(asked.length, 1)
  await after(0.8 * DAY - 1)
  assert.equal(asked.length, 1)
  await after(0.2 * DAY + 1)
  assert.equal(asked.length, 2)
  assert.deepEqual(said(), ['info a trust root was fetched'])
})

test('each refresh begins with what the last one brought', async () => {
  const { refresh, asked } = refreshing([() => good(one, 30 * DAY)])
  refresh.start()
  await after(DAY)
  assert.deepEqual(
    asked.map(({ known }) => known),
    [undefined, METADATA],
  )
})

test('what expires sooner than the period is fetched again before it does', async () => {
  const { refresh, asked } = refreshing([() => good(one, 2 * HOUR)])
  refresh.start()
  await settled()
  within(refresh.state.next && refresh.state.next - NOW, 0.8 * HOUR, HOUR)
  await after(HOUR)
  assert.equal(asked.length, 2)
})

test('a mirror that has nothing newer is asked more and more often as the end comes near, but not all the time', async () => {
  const end = NOW + 4 * HOUR
  const { refresh, asked } = refreshing([() => good({ ...one, until: end }, end - Date.now())])
  refresh.start()
  for (let at = 0; at < 4 * HOUR; at += 10_000) await after(10_000)
  const pauses = asked.slice(1).map(({ at }, i) => at - (asked[i]?.at ?? 0))
  assert.ok(pauses.length > 8 && pauses.length < 30, `${pauses.length}`)
  within(pauses[0], 1.5 * HOUR, 2.1 * HOUR)
  assert.ok(
    pauses.every((pause) => pause >= 4_000),
    pauses.join(' '),
  )
})

test('without a period it is fetched again only so that it does not expire', async () => {
  const { refresh } = refreshing([() => good(one, 10 * DAY)], { resync: 0 })
  refresh.start()
  await settled()
  within(refresh.state.next && refresh.state.next - NOW, 4 * DAY, 5 * DAY)
})

test('a period of years is no timer that ends at once', async () => {
  const { refresh, asked } = refreshing([() => good(one, undefined)], { resync: 3_650 * DAY })
  refresh.start()
  await after(DAY)
  assert.equal(asked.length, 1)
})

test('what was fetched stays in force while refreshes fail, which are tried after longer and longer pauses, and it is said once', async () => {
  const { refresh, asked, said } = refreshing([() => good(one, 30 * DAY), bad])
  refresh.start()
  await after(DAY)
  assert.equal(asked.length, 2)
  for (let at = 0; at < 2 * HOUR; at += 1_000) await after(1_000)
  const { material, since, refreshed, error } = refresh.state
  assert.deepEqual([material?.hash, since, refreshed, error?.text], [one.hash, NOW, NOW, 'the mirror is down'])
  const pauses = asked.slice(2).map(({ at }, i) => at - (asked[i + 1]?.at ?? 0))
  for (const [i, pause] of pauses.entries()) {
    const usual = Math.min(5_000 * 2 ** i, 15 * MINUTE)
    within(pause, usual / 2 - 1_000, usual + 1_000)
  }
  assert.ok(pauses.length > 8)
  assert.deepEqual(said(), ['info a trust root was fetched', 'warn a trust root cannot be refreshed; what was in force stays in force'])
})

test('another reason is said too, and that it is refreshed again', async () => {
  const answers = [() => good(one, 30 * DAY), bad, () => bad('the name is not known'), () => good(one, 30 * DAY)]
  const { refresh, log, said } = refreshing(answers)
  refresh.start()
  await after(DAY)
  await after(MINUTE)
  await after(MINUTE)
  assert.deepEqual(said().slice(1), [
    'warn a trust root cannot be refreshed; what was in force stays in force',
    'warn a trust root cannot be refreshed; what was in force stays in force',
    'info a trust root is refreshed again',
  ])
  assert.deepEqual(
    log.lines.map(({ values }) => values['why']),
    [undefined, 'the mirror is down', 'the name is not known', undefined],
  )
  assert.equal(refresh.state.error, undefined)
})

test('what could never be fetched is tried soon again, and is in force once it could be', async () => {
  const { refresh, said, changes } = refreshing([bad, bad, () => good(one, 30 * DAY)])
  refresh.start()
  await settled()
  assert.deepEqual([refresh.state.material, refresh.state.error?.at], [undefined, NOW])
  within(refresh.state.next && refresh.state.next - NOW, 2_500, 5_000)
  assert.equal(changes(), 1)
  await after(5_000)
  await after(10_000)
  assert.equal(refresh.state.material?.hash, one.hash)
  assert.equal(changes(), 3)
  assert.deepEqual(said(), ['warn a trust root cannot be fetched: who needs it is refused', 'info a trust root was fetched'])
})

test('something else that is trusted is in force since then, and said', async () => {
  const { refresh, said } = refreshing([() => good(one, 30 * DAY), () => good(one, 30 * DAY), () => good(two, 30 * DAY)])
  refresh.start()
  await after(DAY)
  assert.deepEqual([refresh.state.material?.hash, refresh.state.since, refresh.state.refreshed], [one.hash, NOW, NOW + DAY])
  await after(DAY)
  assert.deepEqual([refresh.state.material?.hash, refresh.state.since], [two.hash, NOW + 2 * DAY])
  assert.deepEqual(said(), ['info a trust root was fetched', 'info a trust root says something else now'])
})

test('that what is trusted is about to expire is told in time, and that it has expired', async () => {
  const { refresh, said, changes } = refreshing([() => good(one, 8 * DAY), bad])
  refresh.start()
  for (let at = 0; at < 9 * DAY; at += 5 * MINUTE) await after(5 * MINUTE)
  assert.deepEqual(said(), [
    'info a trust root was fetched',
    'warn a trust root cannot be refreshed; what was in force stays in force',
    'warn what a trust root says is about to expire',
    'error what a trust root says has expired: it is not believed any more',
  ])
  assert.ok(changes() > 4)
  assert.equal(isPast(refresh.state.material?.until, Date.now()), true)
})

test('what is refreshed in time is never about to expire', async () => {
  const { refresh, said } = refreshing([() => good(one, 8 * DAY)])
  refresh.start()
  for (let at = 0; at < 30 * DAY; at += HOUR) await after(HOUR)
  assert.deepEqual(said(), ['info a trust root was fetched'])
})

test('what never changes is not asked for again and again, and its end is told 30 days before', async () => {
  const end = NOW + 60 * DAY
  const { refresh, asked, said } = refreshing([() => good(one, end - Date.now()), () => good(one, end - Date.now())], { isFixed: true })
  refresh.start()
  for (let at = 0; at < 29 * DAY; at += HOUR) await after(HOUR)
  assert.ok(asked.length <= 37, `${asked.length}`)
  assert.deepEqual(said(), ['info a trust root was fetched'])
  for (let at = 0; at < 2 * DAY; at += HOUR) await after(HOUR)
  assert.deepEqual(said().slice(1), ['warn what a trust root says is about to expire'])
})

test('what is wrong and never changes is tried again after the period only', async () => {
  const { refresh, asked } = refreshing([bad], { isFixed: true })
  refresh.start()
  await after(HOUR)
  assert.equal(asked.length, 1)
  await after(DAY)
  assert.equal(asked.length, 2)
})

test('with an end of its own, what was fetched is believed until the later of both, but refreshed before the earlier', async () => {
  const atLeast = NOW + 100 * DAY
  const embedded = { ...two, until: atLeast }
  const log = keeping()
  const known = {
    state: { material: embedded, since: NOW, refreshed: undefined, next: undefined, error: undefined },
    metadata: undefined,
    stale: undefined,
  }
  const asked: number[] = []
  const refresh = new TrustRefresh(
    {
      fetch: async () => (asked.push(Date.now()), asked.length < 3 ? good(one, 7 * DAY) : bad()),
      resync: 0,
      slots: new Slots(4, 100),
      log,
      about: {},
      isFixed: false,
      atLeast,
      changed: () => undefined,
    },
    known,
  )
  refreshes.push(refresh)
  assert.equal(refresh.state.material, embedded)
  refresh.start()
  await settled()
  assert.deepEqual([refresh.state.material?.hash, refresh.state.material?.until], [one.hash, atLeast])
  for (let at = 0; at < 71 * DAY; at += HOUR) await after(HOUR)
  assert.deepEqual([refresh.state.material?.hash, refresh.state.material?.until], [one.hash, atLeast])
  assert.deepEqual(
    log.lines.filter(({ level }) => level !== 'info').map(({ text }) => text),
    ['a trust root cannot be refreshed; what was in force stays in force', 'what a trust root says is about to expire'],
  )
})

test('where nothing is fetched, what is embedded ends and says so before', async () => {
  const { refresh, log } = refreshing([], { fetch: undefined, atLeast: NOW + 40 * DAY })
  const known = { ...refresh.known, state: { ...refresh.state, material: { ...one, until: NOW + 40 * DAY }, since: NOW } }
  const embedded = new TrustRefresh(
    {
      fetch: undefined,
      resync: DAY,
      slots: new Slots(1, 1),
      log,
      about: {},
      isFixed: false,
      atLeast: NOW + 40 * DAY,
      changed: () => undefined,
    },
    known,
  )
  refreshes.push(embedded)
  embedded.start()
  await after(9 * DAY)
  assert.equal(log.lines.length, 0)
  await after(2 * DAY)
  await after(30 * DAY)
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ['warn', 'error'],
  )
})

test('an exception of what fetches is a failure that is logged and tried again', async () => {
  const { refresh, said } = refreshing([() => Promise.reject(new Error('a bug')), () => good(one, DAY)])
  refresh.start()
  await settled()
  assert.equal(refresh.state.error?.text, 'an internal error; the log has the stack')
  await after(5_000)
  assert.equal(refresh.state.material?.hash, one.hash)
  assert.ok(said().includes('error fetching a trust root failed in a way that nothing expected'))
})

test('what is fetched when it is closed is given up, and nothing comes after it', async () => {
  let done: (refreshed: Refreshed) => void = () => undefined
  const { refresh, asked, changes } = refreshing([() => new Promise<Refreshed>((resolve) => (done = resolve))])
  refresh.start()
  await settled()
  const closing = refresh.close()
  assert.equal(asked[0]?.signal.aborted, true)
  done(good(one, DAY))
  await closing
  await after(10 * DAY)
  assert.deepEqual([asked.length, changes(), refresh.state.material], [1, 0, undefined])
})

test('no more are fetched at a time than there are slots', async () => {
  const slots = new Slots(1, 10)
  let done: (refreshed: Refreshed) => void = () => undefined
  const first = refreshing([() => new Promise<Refreshed>((resolve) => (done = resolve))], { slots })
  const second = refreshing([() => good(two, DAY)], { slots })
  first.refresh.start()
  second.refresh.start()
  await settled()
  assert.equal(second.asked.length, 0)
  done(good(one, DAY))
  await settled()
  assert.deepEqual([first.refresh.state.material?.hash, second.refresh.state.material?.hash], [one.hash, two.hash])
})

test('an end that is put off is not told', async () => {
  const log = keeping()
  const watch = new ExpiryWatch(log, {}, () => undefined)
  watch.watch(NOW + 10 * DAY, DAY)
  await after(8 * DAY)
  watch.watch(NOW + 20 * DAY, DAY)
  await after(10 * DAY)
  assert.equal(log.lines.length, 0)
  await after(1.5 * DAY)
  assert.equal(log.lines.length, 1)
  watch.watch(undefined, undefined)
  await after(30 * DAY)
  assert.equal(log.lines.length, 1)
  watch.close()
})

test('an end that is past when it is first heard of is told at once, and one in years is waited for', async () => {
  const log = keeping()
  let changes = 0
  const watch = new ExpiryWatch(log, {}, () => void changes++)
  watch.watch(NOW - 1, DAY)
  assert.deepEqual([log.lines.map(({ level }) => level), changes], [['error'], 1])
  watch.watch(NOW + 1_000 * DAY, DAY)
  for (let i = 0; i < 998; i++) await after(DAY)
  assert.equal(log.lines.length, 1)
  await after(DAY)
  assert.equal(log.lines.length, 2)
  watch.close()
})
