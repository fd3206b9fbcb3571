import { inspect } from 'node:util'

export type Level = 'debug' | 'info' | 'warn' | 'error'

/** Named values of a line. Whoever may hold a secret holds it as a `Secret`; an `error` is logged with its stack. */
export type Values = Readonly<Record<string, unknown>>

/** Constant messages and named values: `log.info('policy compiled', { policy })`. Costs microseconds; a level that is off costs nothing. */
export interface Log {
  debug(message: string, values?: Values): void
  info(message: string, values?: Values): void
  warn(message: string, values?: Values): void
  error(message: string, values?: Values): void
  setLevel(level: Level): void
  /** Writes what is still buffered, before the process ends. Never rejects, and waits for no reader that does not read. */
  flush(): Promise<void>
}

const nothing = (): void => undefined

/** A log that keeps nothing. */
export const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, setLevel: nothing, flush: async () => undefined }

/** A secret that can be handed about: whatever prints, logs or serialises it shows `[redacted]`. */
export class Secret {
  readonly #value: string
  constructor(value: string) {
    this.#value = value
  }
  /** The secret itself; only where it is used. */
  reveal(): string {
    return this.#value
  }
  toString(): string {
    return '[redacted]'
  }
  toJSON(): string {
    return '[redacted]'
  }
  [inspect.custom](): string {
    return '[redacted]'
  }
}
