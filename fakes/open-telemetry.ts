import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import type { Attributes, Context, Span, SpanContext, SpanStatus } from '@opentelemetry/api'
import { ROOT_CONTEXT, context, propagation, trace } from '@opentelemetry/api'

/** A span that was ended, as an exporter gets it. */
export type EndedSpan = {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly attributes: Attributes
  readonly failed: boolean
}

/**
 * An SDK of OpenTelemetry that keeps its spans in memory: a tracer, contexts that follow asynchronous work, and the `traceparent` of W3C Trace
 * Context. `unregister` takes it out again.
 */
export function registerOpenTelemetry(): { readonly ended: readonly EndedSpan[]; unregister(): void } {
  const ended: EndedSpan[] = []
  const storage = new AsyncLocalStorage<Context>()
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, work, self, ...given) => storage.run(active, () => work.apply(self, given)),
    bind: (active, target) =>
      (typeof target === 'function' ? (...given: unknown[]) => storage.run(active, target as never, ...given) : target) as never,
    enable: () => undefined as never,
    disable: () => undefined as never,
  })
  propagation.setGlobalPropagator({
    inject: () => undefined,
    extract(into, carrier, getter) {
      const given = getter.get(carrier, 'traceparent')
      const [, traceId, spanId, flags] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(String(given)) ?? []
      if (!traceId || !spanId || !flags) return into
      return trace.setSpanContext(into, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true })
    },
    fields: () => ['traceparent'],
  })
  const startSpan = (name: string, options: { readonly attributes?: Attributes } = {}, within = context.active()): Span => {
    const parent = trace.getSpanContext(within)
    const own = { traceId: parent?.traceId ?? randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), traceFlags: 1 }
    return new KeptSpan(name, own, parent?.spanId, { ...options.attributes }, ended)
  }
  trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan, startActiveSpan: () => undefined as never }) })
  return {
    ended,
    unregister() {
      trace.disable()
      propagation.disable()
      context.disable()
    },
  }
}

class KeptSpan implements Span {
  readonly #name: string
  readonly #context: SpanContext
  readonly #parent: string | undefined
  readonly #attributes: Attributes
  readonly #ended: EndedSpan[]
  #failed = false
  #isRecording = true

  constructor(name: string, own: SpanContext, parent: string | undefined, attributes: Attributes, ended: EndedSpan[]) {
    this.#name = name
    this.#context = own
    this.#parent = parent
    this.#attributes = attributes
    this.#ended = ended
  }

  spanContext(): SpanContext {
    return this.#context
  }

  setAttribute(key: string, value: Attributes[string]): this {
    return this.setAttributes({ [key]: value })
  }

  setAttributes(attributes: Attributes): this {
    Object.assign(this.#attributes, attributes)
    return this
  }

  setStatus({ code }: SpanStatus): this {
    this.#failed = code === 2
    return this
  }

  isRecording(): boolean {
    return this.#isRecording
  }

  end(): void {
    if (!this.#isRecording) throw new Error(`the span ${this.#name} was ended twice`)
    this.#isRecording = false
    const { traceId, spanId } = this.#context
    this.#ended.push({ name: this.#name, traceId, spanId, parentSpanId: this.#parent, attributes: this.#attributes, failed: this.#failed })
  }

  addEvent(): this {
    return this
  }
  addLink(): this {
    return this
  }
  addLinks(): this {
    return this
  }
  updateName(): this {
    return this
  }
  recordException(): void {
    this.#failed = true
  }
}
