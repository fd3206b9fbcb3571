import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { API_SERVER_ADDRESS } from './cluster.ts'
import { leftOutWithout } from './parts.ts'

/** A network with nothing but loopback, on which the addresses of the Service and of the API server lie. */
const NETWORK = [
  'ip link set lo up',
  'ip -6 addr add fd00:96::50/128 dev lo',
  `ip -6 addr add ${API_SERVER_ADDRESS}/128 dev lo`,
  'ip -6 route add default dev lo',
].join(' && ')

const isOwnNetworkAllowed = spawnSync('unshare', ['--net', 'sh', '-c', NETWORK]).status === 0
const skip =
  leftOutWithout(['kube-apiserver', 'etcd', 'kubectl', 'registry', 'helm']) ||
  (!isOwnNetworkAllowed && 'without a network of its own (unshare and ip, as root): IPv6 alone is not tried')

test('in a cluster that has IPv6 alone the session is the same', { skip }, async () => {
  const session = `exec ${JSON.stringify(process.execPath)} --test --test-reporter=tap e2e/session.test.ts`
  // Inside another run of tests it would report to that instead of running by itself.
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env
  const child = spawn('unshare', ['--net', 'sh', '-c', `${NETWORK} && ${session}`], {
    env: { ...environment, SEALGATE_SESSION_FAMILY: 'IPv6' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  const failed = said.split('\n').filter((line) => /^\s*not ok /.test(line))
  assert.equal(code, 0, failed.length > 0 ? failed.join('\n') : said.slice(-2000))
  assert.ok((said.match(/^\s+ok /gm) ?? []).length > 20, 'the session was really held')
})
