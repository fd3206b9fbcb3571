import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { KmsKey } from '../../../src/policy/kms.ts'
import type { ClusterObjects } from '../../../src/policy/objects.ts'
import type { Obtained } from '../../../src/world/cloud/cloud.ts'
import type { KmsKeysOptions } from '../../../src/world/cloud/kms-keys.ts'
import { fetchKmsKeys, KmsKeys } from '../../../src/world/cloud/kms-keys.ts'
import type { Values } from '../../../src/world/log.ts'
import { silent } from '../../../src/world/log.ts'

const A = 'hashivault://a'
const B = 'hashivault://b'

/** A cluster whose policies are what a test says. */
class Policies {
  #objects: ClusterObjects = {
    policies: new Map(),
    policiesIncomplete: undefined,
    secrets: new Map(),
    configMaps: new Map(),
    trustRoots: new Map(),
  } as unknown as ClusterObjects
  readonly #listeners: (() => void)[] = []

  objects(): ClusterObjects {
    return this.#objects
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  set(policies: Readonly<Record<string, object>>, policiesIncomplete?: string): void {
    this.#objects = { ...this.#objects, policies: new Map(Object.entries(policies)), policiesIncomplete }
    for (const listener of this.#listeners) listener()
  }

  /** Something that is no policy. */
  touch(): void {
    this.#objects = { ...this.#objects, secrets: new Map() }
    for (const listener of this.#listeners) listener()
  }
}

function policy(
  uris: readonly string[],
  more: { readonly uid?: string; readonly refresh?: string; readonly mode?: string; readonly status?: object } = {},
): object {
  const { uid = 'uid', refresh, mode = 'enforce', status } = more
  return {
    metadata: {
      uid,
      resourceVersion: String(Math.random()),
      annotations: refresh === undefined ? {} : { 'policy.sigstore.dev/refresh': refresh },
    },
    spec: { images: [{ glob: '**' }], mode, authorities: uris.map((kms) => ({ key: { kms } })) },
    status,
  }
}

const found = (value: string): Obtained<string> => ({ state: 'found', value })
const unknown = (why: string): Obtained<string> => ({ state: 'unknown', why })

/** A key management service whose answers are what a test says, and what follows it. */
class Service {
  readonly asked: string[] = []
  readonly counted: string[] = []
  readonly logged: string[] = []
  readonly policies = new Policies()
  answers = new Map<string, Obtained<string>>()
  /** While there is one, answers wait for it. */
  gate: Promise<void> | undefined
  changes = 0
  keys: KmsKeys | undefined

  readonly read = async (key: KmsKey): Promise<Obtained<string>> => {
    const name = key.service === 'vault' ? key.key : ''
    this.asked.push(name)
    const answer = this.answers.get(name) ?? unknown('down')
    await this.gate
    return answer
  }

  follow(options: Partial<KmsKeysOptions> = {}): KmsKeys {
    const note = (message: string, values?: Values): void =>
      void this.logged.push(`${message} ${typeof values?.['why'] === 'string' ? values['why'] : ''}`.trim())
    this.keys = new KmsKeys({
      cluster: this.policies,
      read: this.read,
      resync: 3_600_000,
      log: { ...silent, info: note, warn: note },
      metrics: {
        kmsRead: (service, outcome) => void this.counted.push(`${service} ${outcome}`),
        kmsKeys: (...counts) => void this.counted.push(counts.join(' ')),
      },
      firstPause: 3_600_000,
      ...options,
    })
    this.keys.onChange(() => this.changes++)
    return this.keys
  }

  known(uri: string): string {
    const read = this.keys?.known().kmsKeys.get(uri)
    return read === undefined ? 'nothing' : read.ok ? read.value : read.reason.code
  }
}

let service = new Service()
afterEach(() => {
  service.keys?.close()
  service = new Service()
})

/** What is under way without a clock ends. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((next) => setImmediate(next))
}

/** Until `claim` holds; a test that waits in vain ends by its assertion. */
async function until(claim: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !claim(); i++) await sleep(5)
}

test('a key is read when the policy arrives, once however many policies name it, and given to whoever compiles them', async () => {
  service.answers.set('a', found('KEY A')).set('b', found('KEY B'))
  service.follow()
  service.policies.set({ one: policy([A, B]), two: policy([A]) })
  assert.equal(service.known(A), 'nothing')
  await settled()
  assert.deepEqual(service.asked, ['a', 'b'])
  assert.deepEqual([service.known(A), service.known(B)], ['KEY A', 'KEY B'])
  assert.equal(service.changes, 2)
})

test('what changes beside the policy, or only in its status, reads nothing', async () => {
  service.answers.set('a', found('KEY'))
  service.follow()
  service.policies.set({ one: policy([A]) })
  await settled()
  service.policies.touch()
  service.policies.set({ one: policy([A], { status: { observedGeneration: 1 } }) })
  await settled()
  assert.deepEqual(service.asked, ['a'])
})

for (const [what, after] of [
  ['its annotation changes', policy([A], { refresh: 'now' })],
  ['it is edited', policy([A], { mode: 'warn' })],
  ['it is deleted and created again between two looks', policy([A], { uid: 'another' })],
] as const)
  test(`a key is read again when a policy names it and ${what}`, async () => {
    service.answers.set('a', found('OLD'))
    service.follow()
    service.policies.set({ one: policy([A]) })
    await settled()
    service.answers.set('a', found('NEW'))
    service.policies.set({ one: after })
    assert.equal(service.known(A), 'OLD') // what was in force stays until something else is known
    await settled()
    assert.deepEqual([service.asked.length, service.known(A)], [2, 'NEW'])
  })

test('a key is forgotten with the last policy that names it, and read anew when one comes back', async () => {
  service.answers.set('a', found('KEY'))
  service.follow()
  service.policies.set({ one: policy([A]), two: policy([A]) })
  await settled()
  service.policies.set({ two: policy([A]) })
  await settled()
  assert.equal(service.known(A), 'KEY')
  service.policies.set({})
  assert.equal(service.known(A), 'nothing')
  service.answers.clear()
  service.policies.set({ one: policy([A]) })
  await settled()
  assert.equal(service.known(A), 'kms-key-unknown')
})

test('a list of policies that is not complete takes no key away', async () => {
  service.answers.set('a', found('KEY'))
  service.follow()
  service.policies.set({ one: policy([A]) })
  await settled()
  service.policies.set({}, 'the API server does not answer')
  assert.equal(service.known(A), 'KEY')
})

test('a key that could never be read is unknown, which refuses, and says why', async () => {
  service.answers.set('a', { state: 'none', why: 'VAULT_ADDR is not set' })
  const keys = service.follow()
  service.policies.set({ one: policy([A]) })
  await settled()
  assert.deepEqual(keys.known().kmsKeys.get(A), {
    ok: false,
    reason: { code: 'kms-key-unknown', uri: A, why: 'VAULT_ADDR is not set' },
  })
})

test('while a service cannot be asked the last good key stays, and its status says since when and why', async () => {
  service.answers.set('a', found('KEY'))
  const keys = service.follow()
  service.policies.set({ one: policy([A]) })
  await settled()
  const before = Date.now()
  service.answers.set('a', unknown('connection refused'))
  service.policies.set({ one: policy([A], { refresh: '1' }) })
  await settled()
  const { read, readAt = 0, error, next = 0 } = keys.statuses().get(A) ?? {}
  assert.deepEqual(read, { ok: true, value: 'KEY' })
  assert.ok(readAt <= before)
  assert.equal(error?.why, 'connection refused')
  assert.ok(error.since >= before && next > before)
  service.policies.set({ one: policy([A], { refresh: '2' }) })
  await settled()
  assert.equal(keys.statuses().get(A)?.error?.since, error.since)
  assert.equal(service.changes, 1)
  assert.deepEqual(service.counted.at(-1), '0 1 0')
  service.answers.set('a', found('KEY'))
  service.policies.set({ one: policy([A], { refresh: '3' }) })
  await settled()
  assert.equal(keys.statuses().get(A)?.error, undefined)
  assert.deepEqual(service.logged, [
    'a key of a key management service was read',
    'a key of a key management service could not be read again; the last good one stays in force connection refused',
    'a key of a key management service was read',
  ])
})

test('a key that the service says is gone stops counting at once, and silence does not bring it back', async () => {
  service.answers.set('a', found('KEY'))
  service.follow()
  service.policies.set({ one: policy([A]) })
  await settled()
  service.answers.set('a', { state: 'wrong', why: 'there is no such key' })
  service.policies.set({ one: policy([A], { refresh: '1' }) })
  await settled()
  assert.equal(service.known(A), 'kms-key-wrong')
  service.answers.set('a', unknown('down'))
  service.policies.set({ one: policy([A], { refresh: '2' }) })
  await settled()
  assert.equal(service.known(A), 'kms-key-wrong')
})

test('a reference that is none is not asked for', async () => {
  service.follow()
  service.policies.set({ one: policy(['awskms:///alias/x', 'gcpkms://x']) })
  await settled()
  assert.deepEqual([service.asked, service.known('awskms:///alias/x'), service.known('gcpkms://x')], [[], 'kms-key-wrong', 'kms-key-wrong'])
})

test('a change while a key is being read has it read once more', async () => {
  service.answers.set('a', found('OLD'))
  service.follow()
  let open = (): void => {}
  service.gate = new Promise((opened) => (open = opened))
  service.policies.set({ one: policy([A]) })
  await settled()
  service.answers.set('a', found('NEW'))
  service.policies.set({ one: policy([A], { refresh: '1' }) })
  service.policies.set({ one: policy([A], { refresh: '2' }) })
  open()
  service.gate = undefined
  await settled()
  assert.deepEqual([service.asked.length, service.known(A)], [2, 'NEW'])
})

test('a few keys are read at a time', async () => {
  service.follow()
  let open = (): void => {}
  service.gate = new Promise((opened) => (open = opened))
  service.policies.set({ one: policy(Array.from({ length: 20 }, (_, i) => `hashivault://k${i}`)) })
  await settled()
  assert.equal(service.asked.length, 4)
  open()
  await settled()
  assert.equal(service.asked.length, 20)
})

test('every key is read again after the resync period', async () => {
  service.answers.set('a', found('OLD'))
  const keys = service.follow({ resync: 40 })
  service.policies.set({ one: policy([A]) })
  await settled()
  const { next = 0, readAt = 0 } = keys.statuses().get(A) ?? {}
  assert.ok(next - readAt <= 41 && next - readAt >= 34, `${next - readAt}`)
  service.answers.set('a', found('NEW'))
  await until(() => service.known(A) === 'NEW')
  assert.equal(service.known(A), 'NEW')
})

test('what could not be read is asked for again, less and less often', async () => {
  service.follow({ firstPause: 10, longestPause: 40 })
  service.policies.set({ one: policy([A]) })
  await until(() => service.asked.length >= 4)
  assert.ok(service.asked.length >= 4)
  service.answers.set('a', found('KEY'))
  await until(() => service.known(A) === 'KEY')
  const { length } = service.asked
  await sleep(100)
  assert.equal(service.asked.length, length)
})

test('a replica waits for the first read, not for a second one', async () => {
  service.answers.set('a', unknown('down'))
  const keys = service.follow()
  service.policies.set({ one: policy([A]) })
  assert.deepEqual(keys.waitingFor(), [`the public key of ${A}`])
  await settled()
  assert.deepEqual(keys.waitingFor(), [])
})

test('what is closed reads nothing more', async () => {
  const keys = service.follow({ firstPause: 5 })
  service.policies.set({ one: policy([A]) })
  await settled()
  keys.close()
  const { length } = service.asked
  service.policies.set({ one: policy([A, B]) })
  await sleep(30)
  assert.equal(service.asked.length, length)
})

test('reads are counted by service and outcome', async () => {
  service.answers.set('a', found('KEY')).set('b', { state: 'none', why: '' })
  service.follow()
  service.policies.set({ one: policy([A, B]) })
  await settled()
  assert.deepEqual(service.counted, ['0 0 0', '0 0 2', 'vault found', '1 0 1', 'vault none', '1 0 1'])
})

test('a command that ends with its answer reads each key once', async () => {
  service.answers.set('a', found('KEY')).set('b', { state: 'wrong', why: 'gone' })
  service.policies.set({ one: policy([A, B]), two: policy([A, 'hashivault://c']), three: policy(['x']) })
  const { kmsKeys } = await fetchKmsKeys(service.policies.objects(), service.read, AbortSignal.timeout(1_000))
  assert.deepEqual(service.asked.toSorted(), ['a', 'b', 'c'])
  assert.deepEqual(
    [...kmsKeys].map(([uri, read]) => `${uri} ${read.ok ? read.value : read.reason.code}`),
    [`${A} KEY`, `${B} kms-key-wrong`, 'hashivault://c kms-key-unknown', 'x kms-key-wrong'],
  )
})
