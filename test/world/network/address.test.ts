import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { describe, test } from 'node:test'
import { AddressRefused, guardedLookup, isRefused, nearness } from '../../../src/world/network/address.ts'

for (const [address, is] of [
  ['169.254.169.254', true],
  ['169.254.0.1', true],
  ['::ffff:169.254.169.254', true],
  ['::ffff:a9fe:a9fe', true],
  ['::169.254.169.254', true],
  ['64:ff9b::169.254.169.254', true],
  ['fe80::1', true],
  ['febf:ffff::1', true],
  ['fe80::1%eth0', true],
  ['fd00:ec2::254', true],
  ['fd00:ec2::23', true],
  ['fd20:ce::254', true],
  ['fd00:c1::a9fe:a9fe', true],
  ['192.0.0.192', true],
  ['::ffff:192.0.0.192', true],
  ['fd00:ec2::24', false],
  ['192.0.0.193', false],
  ['100.100.100.200', true],
  ['::ffff:100.100.100.200', true],
  ['168.63.129.16', true],
  ['169.253.255.255', false],
  ['10.1.2.3', false],
  ['192.168.0.10', false],
  ['127.0.0.1', false],
  ['::1', false],
  ['fd00:ec2::253', false],
  ['100.100.100.201', false],
  ['2001:db8::1', false],
] as const)
  test(`lesson 43: a connection to ${address} is ${is ? 'refused' : 'allowed'}`, () => assert.equal(isRefused(address), is))

for (const [host, is] of [
  ['localhost', 'loopback'],
  ['127.0.0.1', 'loopback'],
  ['127.8.8.8', 'loopback'],
  ['[::1]', 'loopback'],
  ['registry.local', 'private'],
  ['a.localhost', 'private'],
  ['10.0.0.5', 'private'],
  ['172.31.0.1', 'private'],
  ['192.168.1.1', 'private'],
  ['172.32.0.1', 'public'],
  ['local', 'public'],
  ['notlocal', 'public'],
  ['127.0.0.1.example.com', 'public'], // a name anybody may register, however it begins
  ['ghcr.io', 'public'],
] as const)
  test(`${host} is ${is}`, () => assert.equal(nearness(host), is))

const names: Record<string, string[]> = { good: ['10.0.0.1'], bad: ['169.254.169.254'], mixed: ['10.0.0.1', 'fe80::2'], none: [] }
let questions = 0
const lookup = guardedLookup((name, options, callback) => {
  questions++
  assert.equal(options.all, true)
  setImmediate(() =>
    callback(
      null,
      (names[name] ?? []).map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
    ),
  )
})
const resolved = (name: string, all: boolean): Promise<unknown> =>
  new Promise((answer) => lookup(name, { all }, (error, address) => answer(error ?? address)))

test('a name is resolved, as one address or as all of them', async () => {
  assert.equal(await resolved('good', false), '10.0.0.1')
  assert.deepEqual(await resolved('good', true), [{ address: '10.0.0.1', family: 4 }])
})

test('lesson 43: a name of which any address is refused is refused', async () => {
  assert.ok((await resolved('bad', true)) instanceof AddressRefused)
  assert.ok((await resolved('mixed', false)) instanceof AddressRefused)
})

test('a name without an address is not found', async () => {
  assert.equal(((await resolved('none', true)) as NodeJS.ErrnoException).code, 'ENOTFOUND')
})

test('concurrent questions for one name are one question', async () => {
  const before = questions
  await Promise.all([resolved('good', true), resolved('good', true), resolved('good', true)])
  assert.equal(questions - before, 1)
})

describe('lesson 40: whoever writes very many names whose servers never answer', () => {
  /** A resolver that answers for `quick` alone, until it is to be silent about that too. */
  function resolver() {
    const state = { isSilent: false, asked: 0, waiting: [] as (() => void)[] }
    const guarded = guardedLookup((name, _options, callback) => {
      state.asked++
      if (name === 'quick' && !state.isSilent) callback(null, [{ address: '10.0.0.1', family: 4 }])
      else state.waiting.push(() => callback(Object.assign(new Error('late'), { code: 'EAI_AGAIN' }), []))
    })
    const of = (name: string): Promise<unknown> =>
      new Promise((answer) => guarded(name, { all: true }, (error, address) => answer(error ?? address)))
    return { state, of }
  }

  test('has a few of them asked for at a time', async () => {
    const { state, of } = resolver()
    const all = Promise.all(Array.from({ length: 100 }, (_, i) => of(`x${i}.slow`)))
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(state.asked, 3)
    while (state.asked < 100 || state.waiting.length > 0) {
      state.waiting.shift()?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    await all
  })

  test('does not keep others from names that were resolved before; what is refused stays refused', async () => {
    const { state, of } = resolver()
    assert.deepEqual(await of('quick'), [{ address: '10.0.0.1', family: 4 }])
    state.isSilent = true
    const began = performance.now()
    assert.deepEqual(await of('quick'), [{ address: '10.0.0.1', family: 4 }])
    assert.ok(performance.now() - began < 4_000)
    for (const answer of state.waiting) answer()
  })
})
