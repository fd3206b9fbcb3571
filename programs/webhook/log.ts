import type { DestinationStream } from 'pino'
import { destination, pino, stdSerializers, stdTimeFunctions } from 'pino'
import type { Level, Log } from '../../src/world/log.ts'

const BUFFERED_BYTES = 8 * 1024 // lines are written in blocks of this size, so that a line per request costs no system call
const BUFFERED_MS = 100 // and no line waits longer than this
const FLUSH_MS = 1000 // the end of a process waits no longer for who reads its log

/**
 * A log that writes to standard output (`serve`, as containers want it) or standard error (offline commands, whose output is their answer).
 * `text` is for people on a terminal, `json` one object a line.
 */
export function openLog(how: { readonly level: Level; readonly format: 'json' | 'text'; readonly to: 'stdout' | 'stderr' }): Log {
  const out = destination({ fd: how.to === 'stdout' ? 1 : 2, sync: false, minLength: BUFFERED_BYTES, periodicFlush: BUFFERED_MS })
  const log = logTo(how.format === 'json' ? out : { write: (line) => out.write(textOf(line)) }, how.level)
  return {
    ...log,
    // Not `flushSync`, which tries for ever to write to a reader that is gone.
    flush: () =>
      new Promise((resolve) => {
        setTimeout(resolve, FLUSH_MS).unref()
        out.flush(() => resolve())
      }),
  }
}

/** A log that writes whole lines of JSON to `stream`. */
export function logTo(stream: DestinationStream, level: Level): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.err },
    },
    stream,
  )
  return {
    debug: (message, values) => logger.debug(values ?? {}, message),
    info: (message, values) => logger.info(values ?? {}, message),
    warn: (message, values) => logger.warn(values ?? {}, message),
    error: (message, values) => logger.error(values ?? {}, message),
    setLevel: (to) => void (logger.level = to),
    flush: async () => undefined,
  }
}

/** A line of JSON as a person reads it: `12:00:01.250 warn  policy does not judge  policy=p why="no authorities"`. */
export function textOf(line: string): string {
  const { time, level, msg, error, pem, ...values } = JSON.parse(line) as Record<string, unknown>
  const named = Object.entries(values).map(([name, value]) => `  ${name}=${shown(value)}`)
  const stack = typeof error === 'object' && error !== null ? `\n${indented((error as { stack?: unknown }).stack)}` : ''
  // A certificate is printed to be copied.
  const copied = typeof pem === 'string' ? `\n${safe(pem.trimEnd())}` : ''
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}${named.join('')}${stack}${copied}\n`
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (typeof value === 'string' && /^[\p{L}\p{N}!#$%&*+,./:;<>?@^_`{|}~()[\]-]+$/u.test(value)) return value
  return safe(typeof value === 'string' ? JSON.stringify(text) : text)
}

function indented(stack: unknown): string {
  return safe(String(stack)).replaceAll(/^/gm, '    ')
}

/** Without control characters, which could forge lines or move the cursor of the terminal; line breaks are the caller's. */
function safe(text: string): string {
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029]/g, ' ')
}
