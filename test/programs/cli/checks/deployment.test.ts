import { deepEqual, equal } from 'node:assert/strict'
import { test } from 'node:test'
import { deploymentIn, isReadOnly, optionOf, secretOf } from '../../../../programs/cli/checks/deployment.ts'
import { ward } from './ward.ts'

const deployment = {
  spec: {
    template: {
      spec: {
        containers: [
          {
            args: ['serve', '--tls-cert=/tls/tls.crt', '--read-only', '--port', '8443', 7],
            volumeMounts: [
              { name: 'home', mountPath: '/home' },
              { name: 'tls', mountPath: '/tls/' },
            ],
          },
        ],
        volumes: [
          { name: 'home', emptyDir: {} },
          { name: 'tls', secret: { secretName: 'webhook-tls' } },
        ],
      },
    },
  },
}

test('an option is given with its value, as the next argument, or without any', () => {
  equal(optionOf(deployment, '--tls-cert'), '/tls/tls.crt')
  equal(optionOf(deployment, '--port'), '8443')
  equal(optionOf(deployment, '--read-only'), '')
  equal(optionOf(deployment, '--tls'), undefined)
  equal(optionOf(undefined, '--port'), undefined)
})

test('what is not given stands in the environment', () => {
  const given = (container: object) => ({ spec: { template: { spec: { containers: [container] } } } })
  const env = [{ name: 'SEALGATE_READ_ONLY', value: 'true' }]
  equal(optionOf(given({ env }), '--read-only', 'SEALGATE_READ_ONLY'), 'true')
  equal(optionOf(given({ env, args: ['--read-only=false'] }), '--read-only', 'SEALGATE_READ_ONLY'), 'false')
  deepEqual(
    [{ env }, { env, args: ['--read-only=false'] }, { args: ['--read-only'] }, {}].map((container) => isReadOnly(given(container))),
    [true, false, true, false],
  )
})

test('a file lies in the Secret that is mounted where it is', () => {
  deepEqual(secretOf(deployment, '/tls/tls.crt'), { name: 'webhook-tls', key: 'tls.crt' })
  equal(secretOf(deployment, '/home/tls.crt'), undefined)
  equal(secretOf(deployment, '/tlsx/tls.crt'), undefined)
})

test('of two controllers ours is meant', async (t) => {
  const { cluster, patient } = await ward(t)
  const put = (name: string, labels: object): void =>
    cluster.store.put({ kind: 'Deployment', metadata: { name, namespace: 'cosign-system' }, spec: { template: { metadata: { labels } } } })
  put('other', { role: 'webhook' })
  put('zealgate', { 'role': 'webhook', 'app.kubernetes.io/name': 'sealgate' })
  const got = patient.reader && (await deploymentIn('cosign-system', patient.reader))
  deepEqual(got?.ok && (got.value?.['metadata'] as { name: string }).name, 'zealgate')
})
