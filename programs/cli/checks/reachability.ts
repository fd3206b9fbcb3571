import type { Finding } from './finding.ts'
import { note, ok, unknown, warning, wrong } from './finding.ts'
import { optedIn } from './namespaces.ts'
import type { Got, Reader } from './patient.ts'
import { nameOf, ofCluster } from './patient.ts'

// No registry has this name (RFC 2606), so nothing is fetched for it.
const IMAGE = `sealgate-doctor.invalid/harmless@sha256:${'0'.repeat(64)}`
const NAME = 'sealgate-doctor'

/**
 * Whether the API server reaches the webhook: it is given a harmless policy and a harmless Pod as a dry run, so that nothing is kept and
 * nothing runs. Whatever the webhook answers, it was reached.
 */
export const reachability = ofCluster('the API server reaches the webhook', async (reader, patient) => {
  const policies = tried('with policies', await reader.ask('/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies?dryRun=All', policy()))
  const namespaces = await optedIn(reader, patient)
  if (!namespaces.ok) return [policies, unknown('with workloads: the opted-in namespaces are not known', 'see «namespaces» below')]
  const [namespace] = namespaces.value
  if (!namespace) return [policies, note('with workloads: no namespace is opted in, so none is sent')]
  return [policies, tried(`with workloads (tried in ${nameOf(namespace)})`, await tryPod(reader, nameOf(namespace)))]
})

function tryPod(reader: Reader, namespace: string): Promise<Got<object>> {
  return reader.ask(`/api/v1/namespaces/${namespace}/pods?dryRun=All`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, namespace },
    spec: {
      containers: [
        {
          name: 'harmless',
          image: IMAGE,
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
        },
      ],
      // So that it is let in where only restricted Pods are, and asks nothing of a quota.
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
      automountServiceAccountToken: false,
    },
  })
}

function policy(): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name: NAME },
    spec: { images: [{ glob: 'sealgate-doctor.invalid/**' }], authorities: [{ name: 'nobody', static: { action: 'fail' } }] },
  }
}

const MEND: readonly (readonly [RegExp, string])[] = [
  [
    /x509|certificate|tls:/,
    'the CA that the webhook configuration names is not that of the serving certificate: see «webhook configurations» and «the serving certificate» above',
  ],
  [
    /no endpoints available|service "[^"]*" not found/,
    'no replica is ready, or there is no Service: see «the Service and its replicas» above',
  ],
  [/connection refused/, 'the Service leads to a port on which nobody listens: its targetPort must be 8443, or what --port says'],
  [
    /context deadline exceeded|i\/o timeout|Client\.Timeout|handshake timeout/,
    'a firewall drops what comes from the API server (private clusters of GKE and EKS need a rule for port 8443 from the control plane to the nodes; with a network of its own the Pod may need hostNetwork), or the webhook takes longer than timeoutSeconds',
  ],
]

function tried(what: string, got: Got<unknown>): Finding {
  if (got.ok) return ok(what)
  const { status, text } = got
  if (/failed calling webhook|failed to call webhook|conversion webhook for/.test(text)) {
    const known = MEND.find(([pattern]) => pattern.test(text))
    return wrong(`${what}: ${text}`, known?.[1] ?? 'look at the log of the controller and of the API server')
  }
  if (/denied the request/.test(text)) return ok(`${what}: it refuses what it is to refuse`)
  if (status === 404) return warning(`${what}: ${text}`, 'see «CustomResourceDefinitions» above')
  if (status === 403)
    return unknown(`${what}: it could not be tried: ${text}`, 'use a kubeconfig of somebody who may create it; a dry run keeps nothing')
  // Refused by something else on the way, as a quota, before the webhook was asked or after.
  return unknown(`${what}: it could not be tried: ${text}`, 'try it by hand: kubectl create --dry-run=server')
}
