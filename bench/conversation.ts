import type { ChildProcess } from 'node:child_process'

/** One question to a process of the benchmark, and its answer, as they are sent. */
type Sent = { readonly id: number; readonly question: unknown }
type Answered = { readonly id: number; readonly answer?: unknown; readonly failed?: string }

/** Asks a child process that called `answerParent`. Rejects with the child's error, or when it ends first. */
export function asker<Question, Answer>(child: ChildProcess): (question: Question) => Promise<Answer> {
  let last = 0
  return (question) =>
    new Promise((resolve, reject) => {
      const id = ++last
      const ended = (code: number | null): void => reject(new Error(`a process of the benchmark ended with ${code}`))
      const heard = (message: unknown): void => {
        const answered = message as Answered
        if (answered.id !== id) return
        child.off('message', heard).off('exit', ended)
        if (answered.failed === undefined) resolve(answered.answer as Answer)
        else reject(new Error(answered.failed))
      }
      child.on('message', heard).once('exit', ended)
      child.send({ id, question } satisfies Sent)
    })
}

/** Answers what the parent process asks, until it goes away. */
export function answerParent<Question, Answer>(answer: (question: Question) => Answer | Promise<Answer>): void {
  process.on('message', (message) => {
    const { id, question } = message as Sent
    const say = (answered: Answered): unknown => process.send?.(answered)
    Promise.try(answer, question as Question).then(
      (answer) => say({ id, answer }),
      (error: unknown) => say({ id, failed: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
  })
}
