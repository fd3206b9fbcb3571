import { randomBytes } from 'node:crypto'
import type { Put } from '../fakes/registry-content.ts'
import { FakeRegistry } from '../fakes/registry.ts'
import type { FakeRegistryOptions } from '../fakes/registry.ts'
import type { Pushed } from '../fakes/signer.ts'
import { readReview } from '../src/admission/review.ts'
import type { Admission } from '../src/admit.ts'
import { mutate, validate } from '../src/admit.ts'
import type { Snapshot } from '../src/policy/compile.ts'
import { compile } from '../src/policy/compile.ts'
import type { Outside } from '../src/policy/objects.ts'
import { nothingFetched } from '../src/policy/objects.ts'
import type { Cluster, PullSecret } from '../src/world/cluster/cluster.ts'
import { Memory } from '../src/world/memory.ts'
import { NO_PROXY } from '../src/world/network/proxy.ts'
import { CredentialSource } from '../src/world/registry/credentials.ts'
import { NO_CREDENTIALS } from '../src/world/registry/own-credentials.ts'
import { Registry } from '../src/world/registry/registry.ts'
import { WorldAround } from '../src/world/surroundings.ts'

const systemNamespace = 'cosign-system'

export type DeskOptions = {
  readonly policies?: Readonly<Record<string, object>>
  readonly settings?: Readonly<Record<string, string>>
  readonly secrets?: readonly PullSecret[]
  /** Names of the pull secrets of the ServiceAccount `default` in namespace `demo`. */
  readonly accountSecrets?: readonly string[]
  readonly policiesIncomplete?: string
  readonly configMapsUnread?: string
  readonly registry?: FakeRegistryOptions
  /** What asking for any Secret fails with. */
  readonly secretsFail?: string
  /** What was fetched from outside of the cluster. */
  readonly outside?: Partial<Outside>
  /** Now, in ms since 1970; asked anew each time where it goes on. */
  readonly now?: number | (() => number)
}

/** A whole Sealgate with a registry `registry.example` behind a mirror: policies in, reviews in, answers out. */
export class Desk {
  readonly fake: FakeRegistry
  readonly #client: Registry
  readonly #options: DeskOptions
  readonly #around: WorldAround
  #snapshot: Snapshot

  private constructor(fake: FakeRegistry, options: DeskOptions) {
    this.fake = fake
    this.#options = options
    this.#client = new Registry({
      mirrors: [{ host: 'registry.example', url: fake.url, credentials: true }],
      insecureRegistries: [],
      ca: () => [],
      proxy: NO_PROXY,
      userAgent: 'sealgate-test',
      count: () => {},
    })
    const credentials = new CredentialSource({
      cluster: clusterOf(options),
      systemNamespace,
      own: () => NO_CREDENTIALS,
      scopeKey: randomBytes(32),
    })
    const memory = new Memory({ maxPassBytes: 1_000_000, maxContentBytes: 10_000_000 })
    this.#snapshot = this.compiled(options.policies ?? {}, options.settings)
    this.#around = new WorldAround({
      registry: this.#client,
      credentials,
      memory,
      rememberTags: () => this.#snapshot.settings.rememberTags,
      now: typeof options.now === 'function' ? options.now : () => Number(options.now ?? Date.UTC(2026, 0, 1)),
    })
  }

  static async open(options: DeskOptions = {}): Promise<Desk> {
    return new Desk(await FakeRegistry.start(options.registry), options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close()
    await this.fake.close()
  }

  /** Puts other policies in force. */
  use(policies: Readonly<Record<string, object>>, settings: Readonly<Record<string, string>> | undefined = this.#options.settings): void {
    this.#snapshot = this.compiled(policies, settings)
  }

  compiled(policies: Readonly<Record<string, object>>, settings: Readonly<Record<string, string>> = {}): Snapshot {
    const objects = Object.entries(policies).map(([name, spec]) => [name, { metadata: { name }, spec }] as const)
    return compile(
      {
        policies: new Map(objects),
        policiesIncomplete: this.#options.policiesIncomplete,
        configMapsUnread: this.#options.configMapsUnread,
        trustRoots: new Map(),
        secrets: new Map(),
        configMaps: new Map([['config-policy-controller', { data: settings }]]),
      },
      systemNamespace,
      undefined,
      { ...nothingFetched(), ...this.#options.outside },
    )
  }

  /** Stores an image and answers its digest; the tag is `v1`. */
  image(repository: string, content: string = repository, tag = 'v1'): Put {
    const config = this.fake.blob(repository, JSON.stringify({ architecture: 'amd64', os: 'linux', content }))
    return this.fake.manifest(
      repository,
      {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
        layers: [],
      },
      tag,
    )
  }

  push(repository: string, { manifest, blobs, tag }: Pushed): void {
    for (const blob of blobs) this.fake.blob(repository, blob.bytes)
    this.fake.manifest(repository, manifest.bytes, tag, manifest.mediaType)
  }

  async validate(object: object, more: object = {}, budget = 5_000): Promise<Answer> {
    return this.#ask(validate, object, more, budget)
  }

  async mutate(object: object, more: object = {}, budget = 5_000): Promise<Answer> {
    return this.#ask(mutate, object, more, budget)
  }

  async #ask(way: typeof validate<never>, object: object, more: object, budget: number): Promise<Answer> {
    const { apiVersion = 'v1', kind = 'Pod' } = object as { apiVersion?: string; kind?: string }
    const [group, version] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion]
    const request = { uid: 'u', operation: 'CREATE', kind: { group, version, kind }, namespace: 'demo', object, ...more }
    const read = readReview(Buffer.from(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })))
    if (!read.ok) throw new Error(read.text)
    const admission = await (way as typeof validate)(read.review, this.#snapshot, this.#around, { at: performance.now() + budget })
    return answerOf(admission)
  }
}

export type Answer = {
  readonly allowed: boolean
  readonly message: string
  readonly warnings: readonly string[]
  readonly patch: readonly { path: string; value: string }[]
  readonly codes: readonly string[]
  readonly admission: Admission
}

function answerOf(admission: Admission): Answer {
  const { response } = admission.answer
  const patch =
    response.patch === undefined ? [] : (JSON.parse(Buffer.from(response.patch, 'base64').toString()) as { path: string; value: string }[])
  return {
    allowed: response.allowed,
    message: response.status?.message ?? '',
    warnings: response.warnings ?? [],
    patch,
    codes: admission.codes,
    admission,
  }
}

function clusterOf({ secrets = [], accountSecrets = [], secretsFail }: DeskOptions): Cluster {
  return {
    objects: () => ({
      policies: new Map(),
      policiesIncomplete: undefined,
      secrets: new Map(),
      configMaps: new Map(),
      trustRoots: new Map(),
    }),
    onChange: () => {},
    waitingFor: () => [],
    pullSecretsOf: () => ({ state: 'found', value: accountSecrets }),
    pullSecret: async (namespace, name) => {
      if (secretsFail !== undefined) return { state: 'failed', text: secretsFail }
      const secret = secrets.find((s) => s.namespace === namespace && s.name === name)
      return secret ? { state: 'found', value: secret } : { state: 'absent' }
    },
    lastContactAge: () => 0,
    close: async () => {},
  }
}

/** A Pod with these images, in order. */
export function pod(...images: readonly string[]): {
  readonly metadata: object
  readonly spec: { readonly containers: readonly object[] }
} {
  return { metadata: { name: 'app', namespace: 'demo' }, spec: { containers: images.map((image, i) => ({ name: `c${i}`, image })) } }
}

/** A Deployment whose template has these images. */
export function deployment(...images: readonly string[]): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'app', namespace: 'demo' },
    spec: { replicas: 1, template: { metadata: {}, spec: pod(...images).spec } },
  }
}

/** A policy about `registry.example/**` with these authorities. */
export function about(...authorities: readonly object[]): { readonly images: readonly object[]; readonly authorities: readonly object[] } {
  return { images: [{ glob: 'registry.example/**' }], authorities }
}

export function dockerConfig(namespace: string, name: string, username: string, password: string, host = 'registry.example'): PullSecret {
  const auth = Buffer.from(`${username}:${password}`).toString('base64')
  const text = JSON.stringify({ auths: { [host]: { auth } } })
  return { namespace, name, type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': Buffer.from(text).toString('base64') } }
}
