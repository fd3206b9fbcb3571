import type { Json } from '../src/image/json.ts'

/** An object after a patch that fills members in (RFC 6902). */
export function patched(object: Json, patch: string | undefined): Json {
  const copy = structuredClone(object) as Json
  const operations = JSON.parse(Buffer.from(patch ?? 'W10=', 'base64').toString()) as readonly {
    readonly op: string
    readonly path: string
    readonly value?: Json
  }[]
  for (const { op, path, value } of operations) {
    const [last = '', ...above] = path.split('/').slice(1).toReversed()
    const holder = above.reduceRight<Json>((inner, name) => (inner as Record<string, Json>)[name] ?? null, copy) as Record<string, Json>
    if (op === 'remove') delete holder[last]
    else if (value !== undefined) holder[last] = value
  }
  return copy
}
