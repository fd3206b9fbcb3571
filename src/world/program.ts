import { spawn } from 'node:child_process'

const MAX_COMPLAINT = 500 // characters of standard error that are kept

export type Program = {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** What it gets on standard input. */
  readonly input?: string
  /** After so many it is killed. */
  readonly ms: number
  /** Of its answer; more, and it is killed. */
  readonly maxBytes: number
}

/** How a program ended. `killed`: it took too long, or said too much. */
export type Ended =
  | { readonly how: 'ended'; readonly code: number; readonly answer: string; readonly complaint: string }
  | { readonly how: 'killed' }
  | { readonly how: 'not-run'; readonly why: string }

/** Runs a program that answers on its standard output, without a shell. Never rejects, and answers in time whatever the program starts itself. */
export function run({ command, args, env, input, ms, maxBytes }: Program): Promise<Ended> {
  return new Promise((answer) => {
    const child = spawn(command, [...args], { env, stdio: ['pipe', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    let complaint = ''
    let bytes = 0
    const end = (ended: Ended): void => {
      clearTimeout(timer)
      answer(ended)
    }
    const kill = (): void => {
      child.kill('SIGKILL')
      // What it started may hold the other ends open.
      for (const stream of [child.stdout, child.stderr, child.stdin]) stream.destroy()
      end({ how: 'killed' })
    }
    const timer = setTimeout(kill, ms)
    child.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > maxBytes) kill()
      else out.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < MAX_COMPLAINT) complaint += chunk.toString('utf8')
    })
    child.on('error', (error) => end({ how: 'not-run', why: error.message }))
    child.on('close', (code) =>
      end(code === null ? { how: 'killed' } : { how: 'ended', code, answer: Buffer.concat(out).toString('utf8'), complaint }),
    )
    // A program that reads nothing closes its input, which is no failure.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
  })
}
