import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { context, trace } from '@opentelemetry/api'
import { registerOpenTelemetry } from '../../../fakes/open-telemetry.ts'
import { openTracing } from '../../../programs/webhook/trace.ts'

test('without an SDK there is no tracing', async () => equal(await openTracing(), undefined))

test('an admission is a span within the trace of its caller, and each stage one within it', async (t) => {
  const { ended, unregister } = registerOpenTelemetry()
  t.after(unregister)
  const tracing = await openTracing()
  const admission = tracing!.begin('/validations', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` })
  const active = admission.within(() => trace.getSpanContext(context.active())?.spanId)
  admission.stage('evidence')()
  admission.end({ 'sealgate.allowed': false }, false)
  admission.end({ 'sealgate.allowed': true }, true)
  const [stage, whole, ...more] = ended
  deepEqual(more, [])
  deepEqual([stage?.name, stage?.parentSpanId, stage?.traceId], ['evidence', whole?.spanId, 'a'.repeat(32)])
  equal(active, whole?.spanId)
  deepEqual(whole, {
    name: 'admission /validations',
    traceId: 'a'.repeat(32),
    spanId: whole?.spanId,
    parentSpanId: 'b'.repeat(16),
    attributes: { 'url.path': '/validations', 'sealgate.allowed': false },
    failed: false,
  })
})
