import { Agent, request } from 'undici'

/** One image of the first container, as a Pod that `kubectl run NAME --image=IMAGE` makes. */
export function podOf(name: string, image: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'demo', labels: { run: name } },
    spec: { containers: [{ name, image }] },
  }
}

export function reviewOf(object: object, name: string): object {
  const kind = { group: '', version: 'v1', kind: 'Pod' }
  const resource = { group: '', version: 'v1', resource: 'pods' }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: `demo-${name}`,
      kind,
      resource,
      operation: 'CREATE',
      namespace: 'demo',
      name,
      userInfo: { username: 'demo' },
      dryRun: true,
      object,
    },
  }
}

type Response = {
  readonly allowed: boolean
  readonly status?: { readonly message: string; readonly reason: string }
  readonly warnings?: readonly string[]
  readonly patch?: string
}
type Operation = { readonly path: string; readonly value: string }

/** What an API server does with a new Pod: asks the mutating webhook, applies its patch, asks the validating webhook. */
export class ApiServer {
  readonly #url: string
  readonly #agent: Agent

  /** `ca` is PEM. Without it, the certificate was given for other names than this machine's, and there is nothing to compare it with. */
  constructor(url: string, ca: string | undefined) {
    this.#url = url
    this.#agent = new Agent({ connect: ca === undefined ? { rejectUnauthorized: false } : { ca } })
  }

  /** The lines that `kubectl run NAME --image=IMAGE --dry-run=server` prints. */
  async run(name: string, image: string): Promise<readonly string[]> {
    const pod = podOf(name, image)
    const mutated = await this.#ask('/mutations', pod, name)
    const validated = mutated.allowed ? await this.#ask('/validations', patched(pod, mutated.patch), name) : undefined
    const last = validated ?? mutated
    return [
      ...[mutated, validated].flatMap((response) => response?.warnings ?? []).map((warning) => `Warning: ${warning}`),
      ...(last.allowed ? `pod/${name} created (server dry run)` : refusal(last)).split('\n'),
    ]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#agent.close()
  }

  async #ask(path: string, object: object, name: string): Promise<Response> {
    const { statusCode, body } = await request(`${this.#url}${path}?timeout=10s`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(reviewOf(object, name)),
      dispatcher: this.#agent,
    })
    const text = await body.text()
    if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}: ${text.trim()}`)
    return (JSON.parse(text) as { response: Response }).response
  }
}

function refusal({ status }: Response): string {
  return `Error from server (${status?.reason}): admission webhook "policy.sigstore.dev" denied the request: ${status?.message}`
}

/** Applies the operations that a mutation of an image makes: all of them replace. */
function patched(object: object, patch: string | undefined): object {
  const copy = structuredClone(object) as Record<string, unknown>
  const operations = patch === undefined ? [] : (JSON.parse(Buffer.from(patch, 'base64').toString()) as Operation[])
  for (const { path, value } of operations) {
    const steps = path.split('/').slice(1)
    const last = steps.pop() ?? ''
    const holder = steps.reduce<unknown>((inner, step) => (inner as Record<string, unknown>)[step], copy) as Record<string, unknown>
    holder[last] = value
  }
  return copy
}
