import { deepEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { reachability } from '../../../../programs/cli/checks/reachability.ts'
import { changed, sound, ward } from './ward.ts'

const failed = (why: string): string =>
  `Internal error occurred: failed calling webhook "policy.sigstore.dev": failed to call webhook: Post "https://webhook.cosign-system.svc:443/validations?timeout=10s": ${why}`

test('a Pod that is refused has been seen, and nothing of it is kept', async (t) => {
  const one = await ward(t)
  one.cluster.admission = ({ kind }) =>
    kind === 'Pod'
      ? { code: 400, message: 'admission webhook "policy.sigstore.dev" denied the request: validation failed: no matching policies' }
      : undefined
  deepEqual(await one.found(reachability), ['ok: with policies', 'ok: with workloads (tried in shop): it refuses what it is to refuse'])
  equal((await one.reader.all('/api/v1/namespaces/shop/pods')).ok, true)
  const pods = await one.reader.all('/api/v1/namespaces/shop/pods')
  equal(pods.ok && pods.value.length, 0)
})

for (const [why, mend] of [
  ['x509: certificate signed by unknown authority', /is not that of the serving certificate/],
  ['no endpoints available for service "webhook"', /no replica is ready/],
  ['dial tcp 10.0.0.1:8443: connect: connection refused', /targetPort must be 8443/],
  ['context deadline exceeded', /a firewall drops/],
  ['something else', /look at the log/],
] as const)
  test(`«${why}» is told with how to mend it`, async (t) => {
    const one = await ward(t)
    one.cluster.admission = () => ({ code: 500, message: failed(why) })
    const findings = await reachability.run(one.patient)
    deepEqual(
      findings.map(({ level }) => level),
      ['wrong', 'wrong'],
    )
    match(findings[1]?.mend ?? '', mend)
  })

test('what may not be tried is not known', async (t) => {
  const one = await ward(t)
  one.cluster.deny('create', 'pods', 'shop')
  match((await one.found(reachability))[1] ?? '', /^unknown: with workloads \(tried in shop\): it could not be tried: pods is forbidden/)
})

test('something else on the way that refuses the Pod is not the webhook', async (t) => {
  const one = await ward(t)
  one.cluster.admission = ({ kind }) =>
    kind === 'Pod' ? { code: 403, message: 'pods "sealgate-doctor" is forbidden: exceeded quota' } : undefined
  match((await one.found(reachability))[1] ?? '', /^unknown: /)
})

test('without an opted-in namespace no workload is sent', async (t) => {
  const objects = sound()
  objects.set('Namespace shop', changed(objects.get('Namespace shop'), ['metadata', 'labels'], {}))
  deepEqual((await (await ward(t, objects)).found(reachability))[1], 'note: with workloads: no namespace is opted in, so none is sent')
})
