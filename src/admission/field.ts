import { isJsonObject } from '../image/json.ts'
import type { Json, JsonObject } from '../image/json.ts'

const NONE: JsonObject = Object.freeze({})

/**
 * Reads fields of foreign JSON as Go decodes into a struct: absent and null are the type's zero value, any other type is a problem and
 * never coerced. `problem` is the first one found, in the words of Go's encoding/json that users know; whoever reads must look at it.
 * `field` is Go's name of the place, innermost struct first: `PodSpec.spec.containers`.
 */
export class Fields {
  problem: string | undefined

  object(value: Json | undefined, field: string, type: string): JsonObject {
    if (isJsonObject(value)) return value
    if (value !== undefined && value !== null) this.#wrong(value, field, type)
    return NONE
  }

  list(value: Json | undefined, field: string, type: string): readonly Json[] {
    if (Array.isArray(value)) return value as readonly Json[]
    if (value !== undefined && value !== null) this.#wrong(value, field, type)
    return []
  }

  text(value: Json | undefined, field: string): string {
    if (typeof value === 'string') return value
    if (value !== undefined && value !== null) this.#wrong(value, field, 'string')
    return ''
  }

  #wrong(value: Json, field: string, type: string): void {
    const into = field === '' ? 'Go value' : `Go struct field ${field}`
    this.problem ??= `json: cannot unmarshal ${goKind(value)} into ${into} of type ${type}`
  }
}

/** A JSON value's type as Go names it. */
export function goKind(value: Json): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}
