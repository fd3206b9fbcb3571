import { isMap, isScalar, parseDocument, type Pair, type YAMLMap } from 'yaml'
import { table } from './reference.ts'

/**
 * What derives from the chart's values.yaml: the page of values, and the schema with which helm refuses a value that does not exist. A
 * value is what a comment `# -- …` describes; what is above values is only a group.
 */
export type ChartValue = { readonly path: string; readonly meaning: string; readonly value: unknown }

/** Every value of the chart, in its order. Throws where one is not described. */
export function chartValues(valuesYaml: string): readonly ChartValue[] {
  const document = parseDocument(valuesYaml)
  if (document.errors[0]) throw document.errors[0]
  if (!isMap(document.contents)) throw new Error('values.yaml holds no map')
  return valuesIn(document.contents, '')
}

function valuesIn(map: YAMLMap, prefix: string): ChartValue[] {
  return map.items.flatMap((pair, at) => {
    const path = `${prefix}${String(keyOf(pair))}`
    // The parser gives a comment above the first entry to the map.
    const comment = commentAbove(pair) ?? (at === 0 ? map.commentBefore : undefined) ?? ''
    const meaning = /^ ?-- (.*)$/m.exec(comment)?.[1]
    if (meaning !== undefined) {
      const value: unknown =
        isMap(pair.value) || !isScalar(pair.value) ? (pair.value as { toJSON?: () => unknown })?.toJSON?.() : pair.value.value
      return [{ path, meaning, value }]
    }
    if (!isMap(pair.value) || pair.value.items.length === 0) throw new Error(`values.yaml: ${path} has no comment «# -- …»`)
    return valuesIn(pair.value as YAMLMap, `${path}.`)
  })
}

function keyOf(pair: Pair): unknown {
  return isScalar(pair.key) ? pair.key.value : pair.key
}

function commentAbove(pair: Pair): string | undefined {
  return isScalar(pair.key) ? (pair.key.commentBefore ?? undefined) : undefined
}

/** Values that are one of a few words, which the API server would refuse only after half of a release is there. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'loglevel': ['debug', 'info', 'warn', 'error'],
  'crds.conversion': ['None', 'Webhook'],
  'webhook.failurePolicy': ['Fail', 'Ignore'],
  'webhook.image.pullPolicy': ['Always', 'IfNotPresent', 'Never'],
}

type Schema = { type?: unknown; description?: string; properties?: Record<string, Schema>; [keyword: string]: unknown }

/** deploy/chart/values.schema.json. */
export function chartSchema(valuesYaml: string): string {
  // `global` is what helm gives every chart that is part of another.
  const schema: Schema = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
    properties: { global: { type: 'object' } },
  }
  for (const { path, meaning, value } of chartValues(valuesYaml)) {
    const names = path.split('.')
    let group = schema
    for (const name of names.slice(0, -1)) {
      group.properties ??= {}
      group = group.properties[name] ??= { type: 'object', additionalProperties: false }
    }
    group.properties ??= {}
    const words = WORDS[path]
    group.properties[names.at(-1) ?? ''] = { description: meaning, ...(words === undefined ? { type: typeOf(value) } : { enum: words }) }
  }
  return `${JSON.stringify(schema, undefined, 2)}\n`
}

/** Numbers may be given as «25%» where Kubernetes takes both. */
function typeOf(value: unknown): string | readonly string[] {
  if (value === null) return ['integer', 'string', 'null']
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' ? ['integer', 'string'] : typeof value
}

/** docs/reference/chart.md. */
export function chartPage(valuesYaml: string): string {
  const shown = (value: unknown): string => (value === '' ? '' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``)
  return `# Values of the chart

What \`helm install sealgate deploy/chart\` takes with \`--set\` and \`--values\`. Names and meanings are those of the policy-controller chart of
Sigstore where the same thing exists. A value that is not listed here is an error. [Operate](../operate.md) says how to install.

${table(
  ['value', 'default', 'meaning'],
  chartValues(valuesYaml).map(({ path, meaning, value }) => [`\`${path}\``, shown(value), meaning]),
)}
This page is made from \`deploy/chart/values.yaml\` by \`npm run generate\`.
`
}
