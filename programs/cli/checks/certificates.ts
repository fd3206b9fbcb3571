import { X509Certificate } from 'node:crypto'
import { SECRET, servingIn } from '../../controller/serving-secret.ts'
import type { Settings } from '../options.ts'
import { deploymentIn, optionOf, secretOf } from './deployment.ts'
import type { Finding } from './finding.ts'
import { note, ok, warning, wrong } from './finding.ts'
import type { Reader } from './patient.ts'
import { ofCluster, textAt, unread } from './patient.ts'

const DAY = 24 * 60 * 60 * 1000 // ms

/** The certificate that the webhook serves with, as its Secret holds it, or whichever it is given as a file. */
export const certificates = ofCluster('the serving certificate', async (reader, { settings, now }) => {
  const { systemNamespace, serviceName } = settings
  const deployment = await deploymentIn(systemNamespace, reader)
  const file = deployment.ok ? optionOf(deployment.value, '--tls-cert') : undefined
  if (deployment.ok && file !== undefined) return inFile(file, secretOf(deployment.value, file), reader, settings, now)
  const got = await reader.one(`/api/v1/namespaces/${systemNamespace}/secrets/${SECRET}`)
  if (!got.ok) return [unread(`the Secret ${SECRET}`, got)]
  const make = 'a running controller makes one: look at its log, and at «rights» below; with --tls-cert this Secret is not used'
  if (!got.value)
    return [
      wrong(`there is no Secret ${SECRET} in ${systemNamespace}`, `kubectl create secret generic ${SECRET} -n ${systemNamespace}; ${make}`),
    ]
  const serving = servingIn(got.value, serviceName, now)
  if (!serving)
    return [wrong(`the Secret ${SECRET} holds no certificate that API servers believe for ${serviceName}.${systemNamespace}.svc`, make)]
  const ends = new X509Certificate(serving.certificate).validToDate
  const left = ends.getTime() - now.getTime()
  const who = serving.isGiven ? 'whoever writes the Secret (cert-manager)' : 'the controller'
  return [
    left < DAY
      ? warning(`it ends at ${ends.toISOString()}`, `${who} should have renewed it by now: look at its log`)
      : ok(`it is good until ${ends.toISOString()}, and ${who} renews it`),
    ...(serving.authorities.length > 1 ? [note(`${serving.authorities.length} CAs are trusted: one is being exchanged for another`)] : []),
  ]
})

/** One that somebody else writes into a file, as cert-manager does by a Secret that is mounted. */
async function inFile(
  file: string,
  secret: ReturnType<typeof secretOf>,
  reader: Reader,
  { systemNamespace, serviceName }: Pick<Settings, 'systemNamespace' | 'serviceName'>,
  now: Date,
): Promise<readonly Finding[]> {
  if (!secret) return [note(`it comes from ${file}: «reachability» says whether API servers believe it`)]
  const got = await reader.one(`/api/v1/namespaces/${systemNamespace}/secrets/${secret.name}`)
  const shown = `the Secret ${secret.name}, where ${file} comes from`
  if (!got.ok) return [unread(shown, got)]
  const mend = `see who writes it: kubectl describe certificate -n ${systemNamespace}, and the log of cert-manager`
  if (!got.value) return [wrong(`${shown}, is missing, so no replica starts`, mend)]
  const certificate = certificateOf(textAt(got.value, 'data', secret.key))
  if (!certificate) return [wrong(`${shown}, has no certificate as ${secret.key}`, mend)]
  const host = `${serviceName}.${systemNamespace}.svc`
  if (certificate.checkHost(host) === undefined) return [wrong(`${shown}, is not for ${host}, so API servers do not believe it`, mend)]
  const ends = certificate.validToDate
  return [
    ends.getTime() - now.getTime() < DAY
      ? warning(`it ends at ${ends.toISOString()}`, `whoever writes it should have renewed it by now: ${mend}`)
      : ok(`it is good until ${ends.toISOString()}, and whoever writes the Secret ${secret.name} (cert-manager) renews it`),
  ]
}

function certificateOf(base64: string): X509Certificate | undefined {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'))
  } catch {
    return undefined
  }
}
