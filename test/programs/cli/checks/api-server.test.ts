import { deepEqual, equal, match } from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { apiServer } from '../../../../programs/cli/checks/api-server.ts'
import { Reader } from '../../../../programs/cli/checks/patient.ts'
import { ApiServer } from '../../../../src/world/cluster/api-server.ts'
import { ward } from './ward.ts'

test('its version is told, and that its clock agrees', async (t) => {
  const findings = await apiServer((await ward(t)).reader)
  match(findings[0]?.what ?? '', /^v1\.34\.2 answers, in \d+ ms$/)
  deepEqual(findings[1], { level: 'ok', what: 'its clock and that of this machine agree' })
})

for (const [seconds, level, what] of [
  [10, 'warning', /^its clock is (9|10|11) s ahead of that of this machine$/],
  [-300, 'wrong', /^its clock is (299|300|301) s behind that of this machine$/],
] as const)
  test(`a clock that is ${seconds} s away is ${level}`, async (t) => {
    const [, clock] = await apiServer(await answering(t, Date.now() + seconds * 1000))
    equal(clock?.level, level)
    match(clock?.what ?? '', what)
  })

test('one that does not answer is not known', async (t) => {
  const one = await ward(t)
  await one.cluster.stop()
  const [finding, ...more] = await apiServer(one.reader)
  deepEqual([finding?.level, more.length], ['unknown', 0])
  match(finding?.what ?? '', /^it cannot be asked: .*ECONNREFUSED/)
})

/** An API server with another clock. */
async function answering(t: TestContext, at: number): Promise<Reader> {
  const server = createServer((_, response) => {
    response.setHeader('Date', new Date(at).toUTCString())
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"gitVersion":"v1.34.2"}')
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const api = new ApiServer({ server: url, proxy: undefined, credentials: async () => ({ tls: {}, headers: {} }) })
  t.after(async () => {
    await api.close()
    server.close().closeAllConnections()
  })
  return new Reader(api)
}
