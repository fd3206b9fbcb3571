import { DEFAULT_ISSUER, DEFAULT_SUBJECT } from '../fakes/sigstore/authority.ts'
import type { Request } from './load.ts'

/** What there is in a registry, by where: `ours` and `theirs` are keys, the images of `keyless` are signed by an identity. */
export type Shop = { readonly host: string; readonly ours: string; readonly theirs: string }

/** What a cluster holds when it changes over: policies of each kind. */
export function policiesOf({ host, ours, theirs }: Shop): readonly object[] {
  const named = (name: string, spec: object, version = 'v1beta1'): object => ({
    apiVersion: `policy.sigstore.dev/${version}`,
    kind: 'ClusterImagePolicy',
    metadata: { name },
    spec,
  })
  const images = (folder: string): object => ({ images: [{ glob: `${host}/${folder}/**` }] })
  const identity = (subject: string): object => ({
    keyless: { url: 'https://fulcio.example', trustRootRef: 'sigstore', identities: [{ issuer: DEFAULT_ISSUER, subject }] },
    ctlog: { url: 'https://rekor.example', trustRootRef: 'sigstore' },
  })
  return [
    named('key-data', { ...images('keyed'), authorities: [{ key: { data: ours } }] }),
    named(
      'key-either',
      { ...images('either'), authorities: [{ name: 'first', key: { data: theirs } }, { key: { data: ours } }] },
      'v1alpha1',
    ),
    named('key-secret', { ...images('secret'), authorities: [{ key: { secretRef: { name: 'ours' } } }] }),
    named('both-1', { ...images('both'), authorities: [{ key: { data: ours } }] }),
    named('both-2', { ...images('both'), authorities: [{ key: { data: theirs } }] }),
    named('static-pass', { ...images('open'), authorities: [{ static: { action: 'pass' } }] }, 'v1alpha1'),
    named('static-fail', { ...images('closed'), authorities: [{ static: { action: 'fail', message: 'not here' } }] }),
    named('warned', { ...images('warned'), mode: 'warn', authorities: [{ key: { data: ours } }] }),
    named('tap-jobs', {
      ...images('jobs'),
      match: [{ group: 'batch', version: 'v1', resource: 'cronjobs', selector: { matchLabels: { app: 'tap' } } }],
      authorities: [{ key: { data: ours } }],
    }),
    named('identity', { ...images('keyless'), authorities: [identity(DEFAULT_SUBJECT)] }),
    named('other-identity', { ...images('keyless-other'), authorities: [identity('someone@example.com')] }),
    // Both of these are answered otherwise, on purpose.
    named('stamped', { ...images('stamped'), authorities: [{ key: { data: ours }, rfc3161timestamp: { trustRootRef: 'sigstore' } }] }),
    named('bundled', { ...images('bundled'), authorities: [{ key: { data: ours } }] }),
    // What follows is edited, deleted and told another key once Sealgate has taken over.
    named('edited', { ...images('edited'), authorities: [{ key: { data: theirs } }] }),
    named('kept', { ...images('dropped'), authorities: [{ static: { action: 'pass' } }] }),
    named('dropped', { ...images('dropped'), authorities: [{ static: { action: 'fail' } }] }),
    named('turned', { ...images('turned'), authorities: [{ key: { secretRef: { name: 'turning' } } }] }),
  ]
}

/** A policy that is made once Sealgate has taken over. */
export function madeOf(host: string, key: string): object {
  return {
    apiVersion: 'policy.sigstore.dev/v1beta1',
    kind: 'ClusterImagePolicy',
    metadata: { name: 'made' },
    spec: { images: [{ glob: `${host}/made/**` }], authorities: [{ key: { data: key } }] },
  }
}

export const IMAGES = [
  'keyed',
  'either',
  'secret',
  'both',
  'open',
  'closed',
  'warned',
  'jobs',
  'edited',
  'dropped',
  'turned',
  'made',
  'nowhere',
  'stamped',
  'bundled',
] as const
export type Digests = Readonly<Record<'signed' | 'signedByThem' | 'unsigned' | 'bundled', string>>

/** What is asked for: each both ways, and the neighbours that are refused for another reason. */
export function requestsOf({ host }: Shop, digests: Digests): readonly Request[] {
  const pod = (...images: readonly string[]): Request['object'] => podOf(...images.map((image) => `${host}/${image}`))
  const { signed, signedByThem, unsigned } = digests
  const image = (folder: string, digest: string): string => `${folder}/app@${digest}`
  const row = (name: string, verdict: Request['verdict'], object: Request['object']): Request => ({ name, verdict, object })
  return [
    row('signed by the key', 'admitted', pod(image('keyed', signed))),
    row('not signed', 'refused', pod(image('keyed', unsigned))),
    row('signed by another key', 'refused', pod(image('keyed', signedByThem))),
    row('by tag', 'admitted', pod('keyed/app:signed')),
    row('by tag, not signed', 'refused', pod('keyed/app:unsigned')),
    row('by a tag that is not there', 'refused', pod('keyed/app:nothing')),
    row('signed by the second of two', 'admitted', pod(image('either', signed))),
    { ...row('signed by none of two', 'refused', pod(image('either', unsigned))), isInAnyOrder: true },
    row('signed by the key in a Secret', 'admitted', pod(image('secret', signed))),
    row('not signed by the key in a Secret', 'refused', pod(image('secret', unsigned))),
    row('one policy of two', 'refused', pod(image('both', signed))),
    { ...row('none of two policies', 'refused', pod(image('both', unsigned))), isInAnyOrder: true },
    row('static pass', 'admitted', pod(image('open', unsigned))),
    row('static fail', 'refused', pod(image('closed', unsigned))),
    row('warned of', 'admitted', pod(image('warned', unsigned))),
    row('nothing to warn of', 'admitted', pod(image('warned', signed))),
    row('of no policy', 'refused', pod(image('nowhere', signed))),
    row('several containers, one not signed', 'refused', pod(image('keyed', signed), image('keyed', unsigned), image('open', unsigned))),
    row('several containers', 'admitted', pod(image('keyed', signed), image('secret', signed), image('open', unsigned))),
    row('a Deployment', 'admitted', deploymentOf(`${host}/${image('keyed', signed)}`)),
    row('a Deployment, not signed', 'refused', deploymentOf(`${host}/${image('keyed', unsigned)}`)),
    row('a CronJob that is matched', 'admitted', cronJobOf(`${host}/${image('jobs', signed)}`, { app: 'tap' })),
    row('a CronJob that is matched, not signed', 'refused', cronJobOf(`${host}/${image('jobs', unsigned)}`, { app: 'tap' })),
    row('a CronJob that is not matched', 'refused', cronJobOf(`${host}/${image('jobs', signed)}`, { app: 'other' })),
    row('a Pod where CronJobs are matched', 'refused', pod(image('jobs', signed))),
    row('signed by the identity', 'admitted', pod('keyless/app:signed')),
    row('not signed by an identity', 'refused', pod('keyless/app:unsigned')),
    row('signed by another identity', 'refused', pod('keyless-other/app:signed')),
    {
      ...row('without the timestamp that is asked for', 'admitted', pod(image('stamped', signed))),
      instead: { verdict: 'refused', row: 'Q11' },
    },
    {
      ...row('signed by the key as cosign 3 does', 'refused', pod(image('bundled', digests.bundled))),
      instead: { verdict: 'admitted', row: '`key-cosign-new-bundle-signature`' },
    },
    {
      ...row('a static pass by a tag that is not there', 'refused', pod('open/app:nothing')),
      instead: { verdict: 'admitted', row: '`reference-tag-only`' },
    },
  ]
}

export function podOf(...images: readonly string[]): Request['object'] {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'app-' }, spec: specOf(images) } as Request['object']
}

function deploymentOf(image: string): Request['object'] {
  const labels = { app: 'web' }
  const template = { metadata: { labels }, spec: specOf([image]) }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { generateName: 'web-' },
    spec: { selector: { matchLabels: labels }, template },
  } as Request['object']
}

function cronJobOf(image: string, labels: object): Request['object'] {
  const template = { spec: { ...specOf([image]), restartPolicy: 'Never' } }
  return {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { generateName: 'job-', labels },
    spec: { schedule: '0 0 * * *', jobTemplate: { spec: { template } } },
  } as Request['object']
}

function specOf(images: readonly string[]): { readonly containers: readonly object[] } {
  return { containers: images.map((image, i) => ({ name: `c${i}`, image })) }
}
