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
  readonly status?: { readonly message: string }
  readonly warnings?: readonly string[]
  readonly patch?: string
}
type Operation = { readonly path: string; readonly value: string }

/** What an API server does with a new Pod: asks the mutating webhook, applies its patch, asks the validating webhook. */
export class ApiServer {
  readonly #url: string
  readonly #agent: Agent

  constructor(url: string, ca: string) {
    this.#url = url
    this.#agent = new Agent({ connect: { ca } })
  }

  /** The lines that `kubectl run NAME --image=IMAGE --dry-run=server` prints. */
  async run(name: string, image: string): Promise<readonly string[]> {
    const asked = podOf(name, image)
    const mutated = await this.#ask('/mutations', asked, name)
    const { allowed, status, warnings = [] } = await this.#ask('/validations', patched(asked, mutated.patch), name)
    const said = warnings.map((warning) => `Warning: ${warning}`)
    if (allowed) return [...said, `pod/${name} created (server dry run)`]
    return [
      ...said,
      ...`Error from server (BadRequest): admission webhook "policy.sigstore.dev" denied the request: ${status?.message}`.split('\n'),
    ]
  }

  close(): Promise<void> {
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
