import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import { type Said, run, temporaryFolder } from './processes.ts'

/** The chart's folder. */
export const CHART = fileURLToPath(new URL('../deploy/chart', import.meta.url))

export type Rendering = {
  /** By default cosign-system. */
  readonly namespace?: string
  readonly values?: object
  readonly options?: readonly string[]
}

/** What `helm template` says of the chart with these values. */
export async function template(helm: string, { namespace = 'cosign-system', values = {}, options = [] }: Rendering = {}): Promise<Said> {
  const folder = temporaryFolder('chart')
  const file = join(folder, 'values.yaml')
  writeFileSync(file, JSON.stringify(values))
  // A folder of its own, so that no plugin and no setting of this machine counts.
  const env = { PATH: process.env['PATH'], HOME: folder }
  return run(helm, ['template', 'sealgate', CHART, `--namespace=${namespace}`, `--values=${file}`, ...options], { env })
}

/** An object as it is applied; of what the kinds have, what the tests look at. */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly data?: Readonly<Record<string, string>>
  readonly rules?: readonly Rule[]
  readonly subjects?: readonly object[]
  readonly webhooks?: readonly WebhookManifest[]
  readonly spec?: Spec
}

export type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}

export type WebhookManifest = {
  readonly name: string
  readonly clientConfig: { readonly service: object; caBundle?: string }
  readonly failurePolicy: string
  readonly timeoutSeconds?: number
  readonly namespaceSelector?: Selector
  readonly rules: readonly { readonly resources: readonly string[] }[]
}

export type Selector = {
  readonly matchExpressions: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[]
}

type Spec = {
  readonly selector?: object
  readonly ports?: readonly { readonly name: string; readonly port: number; readonly nodePort?: number }[]
  readonly replicas?: number
  readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> }; readonly spec: Pod }
  readonly minAvailable?: number | string
  readonly maxUnavailable?: number | string
  readonly minReplicas?: number
  readonly validationActions?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly secretName?: string
  readonly issuerRef?: object
  readonly hard?: object
  readonly scopeSelector?: object
}

export type Pod = {
  readonly serviceAccountName: string
  readonly securityContext?: object
  readonly terminationGracePeriodSeconds: number
  readonly nodeSelector?: object
  readonly tolerations?: readonly object[]
  readonly imagePullSecrets?: readonly object[]
  readonly affinity: object
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string }; readonly configMap?: object }[]
  readonly containers: readonly [
    {
      readonly image: string
      readonly imagePullPolicy: string
      readonly args: readonly string[]
      readonly env: readonly { readonly name: string; readonly value?: string }[]
      readonly ports: readonly object[]
      readonly securityContext: { readonly runAsUser?: number }
      readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
    },
  ]
}

/** The objects of the chart with these values. Throws what helm says when it does not render. */
export async function rendered(helm: string, rendering: Rendering = {}): Promise<readonly Manifest[]> {
  const said = await template(helm, rendering)
  if (said.code !== 0) throw new Error(said.stderr)
  return manifestsIn(said.stdout)
}

/** The objects in a text of YAML documents; throws where it is none, or where a field stands twice. */
export function manifestsIn(text: string): readonly Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0]
    const manifest = document.toJS() as Manifest | null
    return manifest === null ? [] : [manifest]
  })
}

/** A release's own marks, which plain manifests do without. */
const OF_A_RELEASE = /^ +(helm\.sh\/chart|app\.kubernetes\.io\/(managed-by|instance)): /

/**
 * The files of deploy/ that are what the chart renders, by their paths there: the templates' names, their comments kept. Made so that the
 * two ways to install cannot say different things.
 */
export async function plainManifests(helm: string): Promise<Readonly<Record<string, string>>> {
  const said = await template(helm, { values: { namespaceLabelGuard: { enabled: true } } })
  if (said.code !== 0) throw new Error(said.stderr)
  const files: Record<string, string[]> = {}
  for (const document of said.stdout.split(/^---\n/m)) {
    const [, name] = /^# Source: sealgate\/templates\/(.+)$/m.exec(document) ?? []
    if (name === undefined || name === 'crds.yaml') continue
    const lines = document.split('\n').filter((line) => !line.startsWith('# Source: ') && !OF_A_RELEASE.test(line) && line.trim() !== '')
    const path = name === 'guard.yaml' ? 'guard/guard.yaml' : `manifests/${name}`
    if (lines.length > 0) (files[path] ??= []).push(`${lines.join('\n')}\n`)
  }
  return {
    ...Object.fromEntries(
      Object.entries(files).map(([path, documents]) => [
        path,
        `# Made from the chart: node e2e/make-manifests.ts\n${documents.join('---\n')}`,
      ]),
    ),
    'opt-out/namespaces.yaml': await optOutPatch(helm),
  }
}

/** What opting out changes, as a patch for both webhook configurations. */
async function optOutPatch(helm: string): Promise<string> {
  const objects = await rendered(helm, { values: { webhook: { optOut: true } } })
  const value = objects.find(({ kind }) => kind === 'ValidatingWebhookConfiguration')?.webhooks?.[0]?.namespaceSelector
  return `# Made from the chart: node e2e/make-manifests.ts\n${JSON.stringify(
    [{ op: 'replace', path: '/webhooks/0/namespaceSelector', value }],
    undefined,
    2,
  )}\n`
}
