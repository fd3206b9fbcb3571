/** An AdmissionReview for a Pod as `kubectl run` makes it, with one container an image: about 2 KB with one. */
export function reviewOf(images: readonly string[], number: number): object {
  const pod = { group: '', version: 'v1', kind: 'Pod' }
  const pods = { group: '', version: 'v1', resource: 'pods' }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
      kind: pod,
      resource: pods,
      requestKind: pod,
      requestResource: pods,
      name: 'app',
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: { username: 'system:serviceaccount:shop:deployer', groups: ['system:serviceaccounts', 'system:authenticated'] },
      object: {
        kind: 'Pod',
        apiVersion: 'v1',
        metadata: {
          name: 'app',
          namespace: 'shop',
          creationTimestamp: null,
          labels: { 'run': 'app', 'app.kubernetes.io/name': 'app', 'app.kubernetes.io/version': '1.0.0' },
          managedFields: [
            { manager: 'kubectl-run', operation: 'Update', apiVersion: 'v1', time: '2026-01-01T00:00:00Z', fieldsType: 'FieldsV1' },
          ],
        },
        spec: {
          volumes: [
            { name: 'kube-api-access-x', projected: { sources: [{ serviceAccountToken: { expirationSeconds: 3607, path: 'token' } }] } },
          ],
          containers: images.map((image, i) => ({
            name: `container-${i}`,
            image,
            resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
            volumeMounts: [{ name: 'kube-api-access-x', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }],
            terminationMessagePath: '/dev/termination-log',
            terminationMessagePolicy: 'File',
            imagePullPolicy: 'IfNotPresent',
          })),
          restartPolicy: 'Always',
          terminationGracePeriodSeconds: 30,
          dnsPolicy: 'ClusterFirst',
          serviceAccountName: 'default',
          securityContext: {},
          schedulerName: 'default-scheduler',
          tolerations: [{ key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }],
          enableServiceLinks: true,
          preemptionPolicy: 'PreemptLowerPriority',
        },
        status: {},
      },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1' },
    },
  }
}
