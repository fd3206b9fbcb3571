/**
 * So many may do something at a time; others wait in the order in which they came, and beyond a number of those nobody even waits. Who waits
 * leaves at once when its signal ends, unlike in the queue of an HTTP client, where it would stand behind what goes on.
 */
export class Slots {
  #free: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()

  constructor(slots: number, maxWaiting: number) {
    this.#free = slots
    this.#maxWaiting = maxWaiting
  }

  /** `taken` has to be followed by one `release`. */
  take(signal: AbortSignal): Promise<'taken' | 'full' | 'aborted'> {
    if (signal.aborted) return Promise.resolve('aborted')
    if (this.#free > 0) {
      this.#free--
      return Promise.resolve('taken')
    }
    if (this.#waiting.size >= this.#maxWaiting) return Promise.resolve('full')
    return new Promise((answer) => {
      const next = (): void => {
        signal.removeEventListener('abort', leave)
        answer('taken')
      }
      const leave = (): void => {
        this.#waiting.delete(next)
        answer('aborted')
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.add(next)
    })
  }

  release(): void {
    const [next] = this.#waiting
    if (next) {
      this.#waiting.delete(next)
      next()
    } else this.#free++
  }
}
