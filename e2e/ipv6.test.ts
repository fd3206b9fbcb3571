import assert from 'node:assert/strict'
import { test } from 'node:test'
import { API_SERVER_ADDRESS } from './cluster.ts'
import { WITHOUT_OWN_NETWORK, heldIn, isOwnNetworkAllowed } from './network.ts'
import { leftOutWithout } from './parts.ts'

/** A network with nothing but loopback, on which the addresses of the Service and of the API server lie. */
const NETWORK = [
  'ip link set lo up',
  'ip -6 addr add fd00:96::50/128 dev lo',
  `ip -6 addr add ${API_SERVER_ADDRESS}/128 dev lo`,
  'ip -6 route add default dev lo',
].join(' && ')

const skip =
  leftOutWithout(['kube-apiserver', 'etcd', 'kubectl', 'registry', 'helm']) ||
  (!isOwnNetworkAllowed(NETWORK) && `${WITHOUT_OWN_NETWORK}: IPv6 alone is not tried`)

test('in a cluster that has IPv6 alone the session is the same', { skip }, async () => {
  const { code, said } = await heldIn(NETWORK, 'e2e/session.test.ts', { SEALGATE_SESSION_FAMILY: 'IPv6' })
  const failed = said.split('\n').filter((line) => /^\s*not ok /.test(line))
  assert.equal(code, 0, failed.length > 0 ? failed.join('\n') : said.slice(-2000))
  assert.ok((said.match(/^\s+ok /gm) ?? []).length > 20, 'the session was really held')
})
