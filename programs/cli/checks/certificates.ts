import { X509Certificate } from 'node:crypto'
import { SECRET, servingIn } from '../../controller/serving-secret.ts'
import { note, ok, warning, wrong } from './finding.ts'
import { ofCluster, unread } from './patient.ts'

const DAY = 24 * 60 * 60 * 1000 // ms

/** The certificate that the webhook serves with, as its Secret holds it. */
export const certificates = ofCluster('the serving certificate', async (reader, { settings, now }) => {
  const { systemNamespace, serviceName } = settings
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
