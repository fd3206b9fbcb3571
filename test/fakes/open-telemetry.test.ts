import { deepEqual, equal, throws } from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { context, propagation, trace } from '@opentelemetry/api'
import { registerOpenTelemetry } from '../../fakes/open-telemetry.ts'

const { ended, unregister } = registerOpenTelemetry()
after(unregister)

test('spans within one context are of one trace, and contexts follow asynchronous work', async () => {
  const tracer = trace.getTracer('test')
  const outer = tracer.startSpan('outer', { attributes: { a: 1 } })
  await context.with(trace.setSpan(context.active(), outer), async () => {
    await setTimeout(1)
    tracer.startSpan('inner').end()
  })
  outer.setAttributes({ b: 2 }).setStatus({ code: 2 }).end()
  const [inner, all] = ended
  deepEqual([inner?.name, all?.name, all?.failed], ['inner', 'outer', true])
  equal(inner?.traceId, all?.traceId)
  equal(inner?.parentSpanId, all?.spanId)
  deepEqual(all?.attributes, { a: 1, b: 2 })
  throws(() => outer.end(), /ended twice/)
})

test('a traceparent names the trace and the parent', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  const caller = propagation.extract(context.active(), { traceparent })
  trace.getTracer('test').startSpan('called', {}, caller).end()
  deepEqual([ended.at(-1)?.traceId, ended.at(-1)?.parentSpanId], ['a'.repeat(32), 'b'.repeat(16)])
})
