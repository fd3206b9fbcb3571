import { readFileSync } from 'node:fs'
import { Agent, request } from 'undici'
import type { Cluster } from './cluster.ts'

const AT_ONCE = 3
const PAUSE = 100 // ms between the requests of one that asks

/** A request to create something, and whether it is let in; `isInAnyOrder`: several reasons, which not everybody says in the order of the policy. */
export type Request = {
  readonly name: string
  readonly object: { readonly kind: string }
  readonly verdict: 'admitted' | 'refused'
  readonly isInAnyOrder?: boolean
  /** What Sealgate answers instead, on purpose, and the row of docs/change-over.md that says so. */
  readonly instead?: { readonly verdict: 'admitted' | 'refused'; readonly row: string }
}

/** What the API server said: in the words of the webhook, or that there were none. */
export type Answer = {
  readonly verdict: 'admitted' | 'refused' | 'unanswered'
  readonly lines: readonly string[]
  readonly warnings: readonly string[]
  /** The images of what was let in, as they were resolved. */
  readonly images: readonly string[]
}

const COLLECTIONS: Readonly<Record<string, string>> = {
  Pod: '/api/v1/namespaces/shop/pods',
  Deployment: '/apis/apps/v1/namespaces/shop/deployments',
  CronJob: '/apis/batch/v1/namespaces/shop/cronjobs',
}
const DENIED = 'admission webhook "policy.sigstore.dev" denied the request: '

/** Asks an API server to create workloads without keeping them: every webhook is called. */
export class Questions {
  readonly #server: string
  readonly #token: string
  readonly #agent: Agent

  constructor(cluster: Cluster) {
    const config = JSON.parse(readFileSync(cluster.adminKubeconfig, 'utf8')) as {
      clusters: [{ cluster: { 'server': string; 'certificate-authority': string } }]
      users: [{ user: { token: string } }]
    }
    const { server, 'certificate-authority': ca } = config.clusters[0].cluster
    this.#server = server
    this.#token = config.users[0].user.token
    this.#agent = new Agent({ connect: { ca: readFileSync(ca, 'utf8') } })
  }

  async ask({ object }: Pick<Request, 'object'>): Promise<Answer> {
    try {
      const response = await request(`${this.#server}${COLLECTIONS[object.kind] ?? ''}?dryRun=All`, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: { 'authorization': `Bearer ${this.#token}`, 'content-type': 'application/json' },
        body: JSON.stringify(object),
      })
      const body = (await response.body.json()) as { message?: string }
      const warnings = [response.headers['warning'] ?? []]
        .flat()
        .map((text) => JSON.parse(/"(?:[^"\\]|\\.)*"/.exec(text)?.[0] ?? '""') as string)
      if (response.statusCode === 201) return { verdict: 'admitted', lines: [], warnings, images: imagesIn(body) }
      const message = body.message ?? String(response.statusCode)
      return message.startsWith(DENIED)
        ? { verdict: 'refused', lines: message.slice(DENIED.length).split('\n'), warnings, images: [] }
        : { verdict: 'unanswered', lines: [message], warnings, images: [] }
    } catch (error) {
      return { verdict: 'unanswered', lines: [String(error)], warnings: [], images: [] }
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }
}

/** `at`: when it was answered, in ms since 1970. */
type Told = { readonly at: number; readonly name: string; readonly answer: Answer }

/** Asks again and again until it is stopped, and keeps what was answered otherwise than it should be. */
export class Load {
  readonly wrong: Told[] = []
  readonly unanswered: Told[] = []
  readonly counts = { admitted: 0, refused: 0, unanswered: 0 }
  readonly #asking: Promise<unknown>
  #isOver = false

  constructor(questions: Questions, requests: readonly Request[]) {
    this.#asking = Promise.all(Array.from({ length: AT_ONCE }, (_, i) => this.#go(questions, requests, i)))
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#asking
  }

  async #go(questions: Questions, requests: readonly Request[], from: number): Promise<void> {
    for (let i = from; !this.#isOver; i++) {
      const asked = requests[i % requests.length]
      if (!asked) return
      const answer = await questions.ask(asked)
      this.counts[answer.verdict]++
      const told = { at: Date.now(), name: asked.name, answer }
      if (answer.verdict === 'unanswered') this.unanswered.push(told)
      else if (answer.verdict !== asked.verdict) this.wrong.push(told)
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    }
  }
}

/** Whether `lines` hold each of `some`, in their order. */
export function isInOrder(some: readonly string[], lines: readonly string[]): boolean {
  let from = 0
  return some.every((line) => {
    const at = lines.indexOf(line, from)
    from = at + 1
    return at >= 0
  })
}

function imagesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(imagesIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, field]) => (name === 'image' && typeof field === 'string' ? [field] : imagesIn(field)))
}
