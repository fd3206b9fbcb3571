import { deepEqual, equal, rejects } from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Observed } from '../../../programs/webhook/observed.ts'
import type { Trace } from '../../../programs/webhook/trace.ts'
import type { Access, Judged, Surroundings } from '../../../src/admit.ts'
import { because } from '../../../src/verdict/decision.ts'
import type { Stage } from '../../../src/world/metrics.ts'
import { uncounted } from '../../../src/world/metrics.ts'

const access: Access = { scope: () => '' }
const asked: string[] = []
const around: Surroundings = {
  access: async () => ({ ok: true, value: access }),
  gather: async () => {
    await setTimeout(20)
    return { state: 'absent' }
  },
  search: async () => [],
  platforms: async () => ({ ok: true, value: [] }),
  resolve: async () => ({ ok: false, reason: { code: 'deadline' }, tried: [] }),
  once: async (key, _ttl, work) => (key === 'remembered' ? { remembered: 'by a key' } : (await work()).decision),
  within: (work) => work,
  remaining: () => 7,
  now: () => 42,
  turn: async () => void asked.push('turn'),
}

function observed(): { readonly around: Observed<Access>; readonly stages: [Stage, number][]; readonly spans: string[] } {
  const stages: [Stage, number][] = []
  const spans: string[] = []
  const trace: Trace = {
    within: (work) => work(),
    stage(stage) {
      spans.push(`begin ${stage}`)
      return () => spans.push(`end ${stage}`)
    },
    end: () => undefined,
  }
  const metrics = { ...uncounted, staged: (stage: Stage, seconds: number) => void stages.push([stage, seconds]) }
  return { around: new Observed(around, metrics, trace), stages, spans }
}

test('each stage is counted with its time, and has a span', async () => {
  const o = observed()
  equal(
    o.around.read(() => 'review'),
    'review',
  )
  await o.around.access({} as never, { of: 'workload' })
  deepEqual(await o.around.gather({} as never, access), { state: 'absent' })
  await o.around.resolve({} as never, access, 1)
  deepEqual(await o.around.search({} as never), [])
  await o.around.platforms({} as never, access)
  deepEqual(
    o.stages.map(([stage]) => stage),
    ['read', 'credentials', 'evidence', 'tag', 'log', 'platforms'],
  )
  const seconds = new Map(o.stages).get('evidence') ?? 0
  equal(seconds > 0.015 && seconds < 5, true, String(seconds))
  deepEqual(o.spans.slice(0, 4), ['begin read', 'end read', 'begin credentials', 'end credentials'])
})

test('what is remembered is no judgement', async () => {
  const o = observed()
  const judged: Judged = { decision: because({ about: 'request' }, { code: 'static-pass' }), goodFor: undefined, note: '' }
  deepEqual(await o.around.once('remembered', 1, async () => judged), { remembered: 'by a key' })
  equal(o.stages.length, 0)
  equal(await o.around.once('new', 1, async () => judged), judged.decision)
  equal(o.stages.map(([stage]) => stage).join(), 'judgement')
})

test('a stage that fails inside is counted all the same, and the failure goes on', async () => {
  const o = observed()
  await rejects(
    o.around.once('new', 1, async (): Promise<Judged> => {
      throw new Error('a bug')
    }),
    /a bug/,
  )
  equal(o.stages.length, 1)
  deepEqual(o.spans, ['begin judgement', 'end judgement'])
})

test('the clock, the deadline and turns are those of the surroundings', async () => {
  const o = observed()
  deepEqual([o.around.now(), o.around.remaining({ at: 0 }), await o.around.within(Promise.resolve(1), { at: 0 })], [42, 7, 1])
  await o.around.turn(1)
  deepEqual(asked, ['turn'])
})
