import { isObject } from '../../../src/policy/shape.ts'
import type { ApiObject } from '../../../src/world/cluster/change.ts'
import type { Configuration } from '../../controller/configuration.ts'
import { collectionOf, configurationAfter, configurations } from '../../controller/configuration.ts'
import { SECRET, servingIn } from '../../controller/serving-secret.ts'
import { deploymentIn, isReadOnly } from './deployment.ts'
import type { Finding } from './finding.ts'
import { note, ok, warning, wrong } from './finding.ts'
import type { Patient, Reader } from './patient.ts'
import { at, listAt, ofCluster, textAt, unread } from './patient.ts'
import { isBeforeChange } from './service.ts'

const INSTALL = 'apply what is in deploy/, or upgrade the chart'
const KEEP = 'a running controller brings it up to date within seconds: look at its log, and at «rights» below'
const RULES = 'its rules'
const SHORT = 5 // s; a cold verification at a slow registry takes as long

/** The webhook configurations: there, leading to the Service, with the rules and the CA that they need. */
export const webhooks = ofCluster('webhook configurations', async (reader, patient) => {
  const [authorities, isToCome] = await Promise.all([authoritiesOf(patient), areRulesToCome(reader, patient)])
  const found = await Promise.all(
    configurationsOf(patient).map(async (configuration) => {
      const got = await reader.one(`${collectionOf(configuration)}/${configuration.name}`)
      const shown = `${configuration.kind} ${configuration.name}`
      if (!got.ok) return [unread(shown, got)]
      // The definitions themselves are a check of their own.
      if (!got.value) return configuration.kind === 'CustomResourceDefinition' ? [] : [wrong(`${shown} is missing`, INSTALL)]
      return about(configuration, got.value, shown, authorities, isToCome, patient)
    }),
  )
  return found.flat()
})

/** Whether nobody has to have written the rules yet: before a change-over, and in the midst of one. */
async function areRulesToCome(reader: Reader, { settings }: Patient): Promise<boolean> {
  const [isBefore, deployment] = await Promise.all([isBeforeChange(reader, settings), deploymentIn(settings.systemNamespace, reader)])
  return isBefore || (deployment.ok && isReadOnly(deployment.value))
}

export function configurationsOf({ settings }: Patient): readonly Configuration[] {
  const { webhookName, mutatingWebhookName, validatingWebhookName } = settings
  return configurations({ workloads: webhookName, defaulting: mutatingWebhookName, validating: validatingWebhookName })
}

async function authoritiesOf({ reader, settings, now }: Patient): Promise<readonly string[]> {
  const secret = await reader?.one(`/api/v1/namespaces/${settings.systemNamespace}/secrets/${SECRET}`)
  return secret?.ok ? (servingIn(secret.value, settings.serviceName, now)?.authorities ?? []) : []
}

function about(
  configuration: Configuration,
  object: ApiObject,
  shown: string,
  authorities: readonly string[],
  isToCome: boolean,
  { settings }: Patient,
): readonly Finding[] {
  const isDefinition = configuration.kind === 'CustomResourceDefinition'
  const webhook = isDefinition
    ? at(object, 'spec', 'conversion', 'webhook')
    : listAt(object, 'webhooks').find((w) => w['name'] === configuration.name)
  if (!isObject(webhook)) return isDefinition ? [] : [wrong(`${shown} has no webhook ${configuration.name}`, INSTALL)]
  const findings = [...leads(webhook, shown, settings), ...(isDefinition ? [] : strictness(webhook, shown))]
  const after = configurationAfter(configuration, object, { authorities, owner: undefined })
  const different = after ? differing(object, after, configuration) : []
  if (isToCome && different.join('') === RULES)
    findings.push(note(`${shown} has other rules: Sealgate brings them up to date once it writes`))
  else if (after) findings.push(wrong(`${shown} is not as it has to be: ${different.join(', ')}`, KEEP))
  return findings.length > 0 ? findings : [ok(shown)]
}

function leads(webhook: ApiObject, shown: string, { serviceName, systemNamespace }: Patient['settings']): Finding[] {
  const url = textAt(webhook, 'clientConfig', 'url')
  if (url !== '') return [note(`${shown} leads to ${url}, and not to a Service`)]
  const service = `${textAt(webhook, 'clientConfig', 'service', 'namespace')}/${textAt(webhook, 'clientConfig', 'service', 'name')}`
  const wanted = `${systemNamespace}/${serviceName}`
  return service === wanted
    ? []
    : [
        wrong(
          `${shown} leads to the Service ${service}, not to ${wanted}`,
          `correct clientConfig.service, or run doctor with --system-namespace and --service-name of that one`,
        ),
      ]
}

function strictness(webhook: ApiObject, shown: string): Finding[] {
  const found: Finding[] = []
  if (webhook['failurePolicy'] === 'Ignore')
    found.push(
      warning(`${shown} has failurePolicy Ignore: while no replica answers, everything is admitted unseen`, 'set failurePolicy: Fail'),
    )
  const timeout = webhook['timeoutSeconds']
  if (typeof timeout === 'number' && timeout < SHORT)
    found.push(warning(`${shown} gives up after ${timeout} s, which a registry far away may take`, 'set timeoutSeconds: 10 or more'))
  const selector = webhook['objectSelector']
  if (isObject(selector) && Object.keys(selector).length > 0)
    found.push(
      warning(
        `${shown} has an objectSelector: whoever may label an object takes it out of sight`,
        'remove objectSelector, and choose by namespace',
      ),
    )
  return found
}

/** Which parts a controller would write anew. */
function differing(before: ApiObject, after: ApiObject, { kind, name }: Configuration): string[] {
  const clientOf = (object: ApiObject): unknown =>
    kind === 'CustomResourceDefinition'
      ? at(object, 'spec', 'conversion', 'webhook')
      : listAt(object, 'webhooks').find((w) => w['name'] === name)
  const parts: readonly (readonly [string, readonly string[]])[] = [
    [RULES, ['rules']],
    ['its path', ['clientConfig', 'service', 'path']],
    ['the CA that it trusts', ['clientConfig', 'caBundle']],
    ['its reinvocation policy', ['reinvocationPolicy']],
    ['its selector, which must leave out namespaces labelled webhooks.knative.dev/exclude', ['namespaceSelector']],
  ]
  return parts
    .filter(([, path]) => JSON.stringify(at(clientOf(before), ...path)) !== JSON.stringify(at(clientOf(after), ...path)))
    .map(([what]) => what)
}
