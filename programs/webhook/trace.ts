import type { IncomingHttpHeaders } from 'node:http'
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import type { Stage } from '../../src/world/metrics.ts'

/** Spans of requests, made where an SDK of OpenTelemetry was preloaded. */
export interface Tracing {
  /** The span of one admission, within the trace that the request's `traceparent` names, where the SDK reads such. */
  begin(path: string, headers: IncomingHttpHeaders): Trace
}

/** One admission's span. */
export interface Trace {
  /** Runs what the SDK's own instrumentation is to see within the span: the requests to registries, say. */
  within<T>(work: () => T): T
  /** Begins the span of a stage; what it answers ends it. */
  stage(stage: Stage): () => void
  /** The first call counts. */
  end(attributes: Attributes, failed: boolean): void
}

// Where the API keeps what an SDK registers (`@opentelemetry/api`, «internal/global-utils»), for all copies of it in a process.
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/**
 * Undefined where no SDK was preloaded (`NODE_OPTIONS=--import …`): then nothing is made, and a request costs what it did. One that
 * registers later is not seen.
 */
export async function openTracing(): Promise<Tracing | undefined> {
  const registered: unknown = (globalThis as { [REGISTERED]?: unknown })[REGISTERED]
  if (typeof registered !== 'object' || registered === null || !('trace' in registered)) return undefined
  const api = await import('@opentelemetry/api')
  return new OpenTelemetry(api, api.trace.getTracer('sealgate'))
}

type Api = typeof import('@opentelemetry/api')

class OpenTelemetry implements Tracing {
  readonly #api: Api
  readonly #tracer: Tracer

  constructor(api: Api, tracer: Tracer) {
    this.#api = api
    this.#tracer = tracer
  }

  begin(path: string, headers: IncomingHttpHeaders): Trace {
    const { context, propagation, trace, SpanKind } = this.#api
    const caller = propagation.extract(context.active(), headers)
    const span = this.#tracer.startSpan(`admission ${path}`, { kind: SpanKind.SERVER, attributes: { 'url.path': path } }, caller)
    return new AdmissionTrace(this.#api, this.#tracer, span, trace.setSpan(caller, span))
  }
}

class AdmissionTrace implements Trace {
  readonly #api: Api
  readonly #tracer: Tracer
  readonly #span: Span
  readonly #context: Context

  constructor(api: Api, tracer: Tracer, span: Span, context: Context) {
    this.#api = api
    this.#tracer = tracer
    this.#span = span
    this.#context = context
  }

  within<T>(work: () => T): T {
    return this.#api.context.with(this.#context, work)
  }

  stage(stage: Stage): () => void {
    const span = this.#tracer.startSpan(stage, {}, this.#context)
    return () => span.end()
  }

  end(attributes: Attributes, failed: boolean): void {
    if (!this.#span.isRecording()) return
    this.#span.setAttributes(attributes)
    if (failed) this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR })
    this.#span.end()
  }
}
