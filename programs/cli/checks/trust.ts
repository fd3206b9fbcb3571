import { trustNamed } from '../../../src/policy/trust-root-ref.ts'
import { publicRootExpires } from '../../../src/trust/public-root.ts'
import { sentenceOf } from '../../../src/verdict/reason.ts'
import { fetchInstance, nameOfInstance } from '../../../src/world/trust/trust-source.ts'
import { sigstoreInstance } from '../../webhook/outside.ts'
import type { Finding } from './finding.ts'
import { note, ok, warning, wrong } from './finding.ts'
import type { Check, Patient } from './patient.ts'

const DAY = 24 * 60 * 60 * 1000 // ms
const SOON = 7 * DAY
const BUDGET = 20_000 // ms

/** What is trusted: the Sigstore instance that is meant where no TrustRoot is named, fetched now, and every TrustRoot. */
export const trust: Check = {
  name: 'trust roots and TUF',
  run: async (patient) => {
    const roots = [...patient.objects.objects().trustRoots.keys()].toSorted().flatMap((name) => trustRoot(name, patient))
    return [...(await instance(patient)), ...roots]
  },
}

async function instance({ objects, settings, registry, now }: Patient): Promise<readonly Finding[]> {
  if (!trustNamed(objects.objects().policies).sigstore) return []
  const embedded = `what is embedded of the public Sigstore instance is in force until ${new Date(publicRootExpires).toISOString()}`
  const asked = await sigstoreInstance(settings)
  if (!asked)
    return publicRootExpires - now.getTime() > SOON
      ? [note(`TUF is switched off: ${embedded}`)]
      : [warning(`TUF is switched off, and ${embedded}`, 'update Sealgate, or leave out --disable-tuf')]
  const name = nameOfInstance(asked)
  const fetched = await fetchInstance(
    asked,
    { transport: registry.transport, mirrors: settings.mirrors },
    undefined,
    AbortSignal.timeout(BUDGET),
  )
  if (fetched.ok) return [ok(`${name} is up to date${until(fetched.material.until)}`)]
  const mend =
    'let the controller reach the TUF repository, mirror it and name the mirror with --tuf-mirror, or take what it needs along in a TrustRoot'
  return asked.isPublic && publicRootExpires > now.getTime()
    ? [warning(`${name} could not be fetched: ${fetched.why}; ${embedded}`, mend)]
    : [wrong(`${name} could not be fetched, and nothing else is trusted where no TrustRoot is named: ${fetched.why}`, mend)]
}

function trustRoot(name: string, { outside, objects, now }: Patient): readonly Finding[] {
  const read = outside.trustRoots.get(name)
  // Only what a policy names is fetched.
  if (!read) return trustNamed(objects.objects().policies).trustRoots.has(name) ? [] : [note(`TrustRoot ${name}: no policy names it`)]
  if (!read.ok)
    return [wrong(`TrustRoot ${name}: ${sentenceOf(read.reason)}`, 'correct the TrustRoot, or let the controller reach its repository')]
  const { until: ends } = read.value
  return ends !== undefined && ends - now.getTime() < DAY
    ? [warning(`TrustRoot ${name} ends soon${until(ends)}`, 'its repository has to be signed anew')]
    : [ok(`TrustRoot ${name}${until(ends)}`)]
}

function until(ends: number | undefined): string {
  return ends === undefined ? '' : `, until ${new Date(ends).toISOString()}`
}
