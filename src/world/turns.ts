/**
 * Turns for work that takes the processor: one in each round of the event loop, so that however many want one, everybody's requests and answers
 * come between any two. Who had the fewest goes first, else in the order in which they came: whoever makes a request take a thousand turns
 * makes that request wait, and not one that takes a single turn.
 */
export class Turns {
  /** Waiting, by how many turns they had: each list in its order. Empty lists are taken out. */
  readonly #waiting = new Map<number, (() => void)[]>()
  #isUnderWay = false

  take(taken: number): Promise<void> {
    return new Promise((turn) => {
      const same = this.#waiting.get(taken)
      if (same) same.push(turn)
      else this.#waiting.set(taken, [turn])
      if (this.#isUnderWay) return
      this.#isUnderWay = true
      setImmediate(this.#next)
    })
  }

  readonly #next = (): void => {
    const fewest = Math.min(...this.#waiting.keys())
    const first = this.#waiting.get(fewest)
    const turn = first?.shift()
    if (first?.length === 0) this.#waiting.delete(fewest)
    this.#isUnderWay = this.#waiting.size > 0
    if (this.#isUnderWay) setImmediate(this.#next)
    turn?.()
  }
}
