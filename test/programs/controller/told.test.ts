import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { tellOf } from '../../../programs/controller/told.ts'
import { publicRoot } from '../../../src/trust/public-root.ts'
import type { KmsKeyStatus } from '../../../src/world/cloud/kms-keys.ts'
import type { TrustStatus } from '../../../src/world/trust/trust-roots.ts'

const root = publicRoot()
const fetched: TrustStatus = { generation: 1, read: { ok: true, value: root }, since: 10, refreshed: 20, next: 30, error: undefined }
const about = (status: TrustStatus) => tellOf(new Map([['r', status]])).trustRoot('r')

test('a trust root that was fetched says how much is trusted, since when and until when', () => {
  const told = about({ ...fetched, error: { text: 'the mirror is away', at: 25 } })
  deepEqual(told?.steps, { keys: 'done', inForce: 'done' })
  deepEqual(
    { ...told?.facts, keys: (told?.facts.keys ?? 0) > 3 },
    {
      keys: true,
      hash: root.hash,
      readAt: 20,
      nextRefresh: 30,
      lastError: 'the mirror is away',
      lastErrorAt: 25,
      expires: root.until,
    },
  )
})

test('a trust root that is not fetched yet waits, one that is wrong or cannot be fetched says why', () => {
  const without = { ...fetched, refreshed: undefined, since: undefined }
  deepEqual(about({ ...without, read: { ok: false, reason: { code: 'trust-root-not-fetched', name: 'r' } } })?.steps.keys, 'pending')
  deepEqual(
    about({ ...without, read: { ok: false, reason: { code: 'trust-root-unreadable', name: 'r', detail: 'no keys' } } })?.steps.keys,
    {
      failed: 'the trust root `r` cannot be read: no keys',
    },
  )
  equal(tellOf(new Map()).trustRoot('r'), undefined)
})

const VAULT = 'hashivault://cosign'
const AZURE = 'azurekms://vault/cosign'
const policy = (...uris: string[]) => ({ spec: { authorities: uris.map((kms) => ({ key: { kms } })) } })
const key = (uri: string, more: Partial<KmsKeyStatus> = {}): KmsKeyStatus => ({
  uri,
  read: { ok: true, value: 'pem' },
  readAt: 10,
  error: undefined,
  next: 100,
  ...more,
})
const keys = (...statuses: KmsKeyStatus[]) => tellOf(new Map(), new Map(statuses.map((s) => [s.uri, s])))

test('a policy with keys of services says when the oldest was read, when the first is read again, and what went wrong', () => {
  const tell = keys(key(VAULT), key(AZURE, { readAt: 5, next: 200, error: { since: 7, why: 'the vault is away' } }))
  deepEqual(tell.policy(policy(VAULT, AZURE)), {
    isPending: false,
    facts: { readAt: 5, nextRefresh: 100, lastError: 'azurekms://vault/cosign: the vault is away', lastErrorAt: 7 },
  })
  deepEqual(tell.policy(policy(VAULT)), { isPending: false, facts: { readAt: 10, nextRefresh: 100 } })
})

test('a policy waits for a key that was never read, and has nothing to tell without such keys', () => {
  deepEqual(keys(key(VAULT, { read: undefined, readAt: undefined, next: undefined })).policy(policy(VAULT)), { isPending: true, facts: {} })
  equal(keys(key(VAULT)).policy(policy()), undefined)
  equal(keys(key(VAULT)).policy({ spec: 'nonsense' }), undefined)
})
