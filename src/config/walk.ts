import type * as z from 'zod'
import { isTree, type KeyPath } from './key-path.ts'
import { traits, type Traits } from './schema/fields.ts'

/** What may stand at a place: unions give several. All functions here look through optional, default and the like. */
export type Schemas = readonly z.core.$ZodType[]

interface Def {
  type: string
  innerType?: z.core.$ZodType
  options?: readonly z.core.$ZodType[]
  element?: z.core.$ZodType
  shape?: Record<string, z.core.$ZodType>
  keyType?: z.core.$ZodType
  valueType?: z.core.$ZodType
  values?: readonly unknown[]
  entries?: Record<string, unknown>
}

const defOf = (schema: z.core.$ZodType): Def => schema._zod.def

/** The schemas without wrappers and unions. Where the value says its type, only the option of that type. */
export function alternatives(schemas: Schemas, value?: unknown): z.core.$ZodType[] {
  return schemas.flatMap((schema) => {
    const def = defOf(schema)
    if (def.innerType !== undefined) return alternatives([def.innerType], value)
    if (def.options === undefined) return [schema]
    const options = alternatives(def.options, value)
    const chosen =
      isTree(value) && typeof value['type'] === 'string' ? options.filter((one) => hasType(one, value)) : []
    return chosen.length > 0 ? chosen : options
  })
}

function hasType(schema: z.core.$ZodType, value: Record<string, unknown>): boolean {
  const type = defOf(schema).shape?.['type']
  if (type === undefined) return false
  const { values, entries } = defOf(type)
  return (values ?? Object.values(entries ?? {})).includes(value['type'])
}

/** What may stand below: under a key of an object or record, or at an index of a list. */
export function childSchemas(schemas: Schemas, key: string | number, value?: unknown): z.core.$ZodType[] {
  return alternatives(schemas, value).flatMap((schema) => {
    const { element, shape, valueType } = defOf(schema)
    if (typeof key === 'number') return element === undefined ? [] : [element]
    if (valueType !== undefined) return [valueType]
    const child = shape !== undefined && Object.hasOwn(shape, key) ? shape[key] : undefined
    return child === undefined ? [] : [child]
  })
}

export function schemasAt(root: z.core.$ZodType, path: KeyPath, tree?: unknown): z.core.$ZodType[] {
  let schemas: z.core.$ZodType[] = [root]
  let value = tree
  for (const part of path) {
    schemas = childSchemas(schemas, part, value)
    value = isTree(value) || Array.isArray(value) ? (value as Record<string | number, unknown>)[part] : undefined
  }
  return schemas
}

/** The keys that an object here may have, in the order of the schema; records have none of their own. */
export function knownKeys(schemas: Schemas, value?: unknown): string[] {
  return [...new Set(alternatives(schemas, value).flatMap((schema) => Object.keys(defOf(schema).shape ?? {})))]
}

export const isRecord = (schemas: Schemas): boolean =>
  alternatives(schemas).some((schema) => defOf(schema).type === 'record')

export function hasTrait(schemas: Schemas, trait: keyof Traits): boolean {
  return schemas.some((schema) => {
    if (traits.get(schema)?.[trait] === true) return true
    const { innerType, options } = defOf(schema)
    return hasTrait([...(innerType === undefined ? [] : [innerType]), ...(options ?? [])], trait)
  })
}

/** Every name of a secret field anywhere, such as `password`; its forms are `passwordFile` and `passwordCommand`. */
export function secretNames(schemas: Schemas, found = new Set<string>(), seen = new Set<object>()): Set<string> {
  for (const schema of alternatives(schemas)) {
    if (seen.has(schema)) continue
    seen.add(schema)
    const { element, shape, valueType } = defOf(schema)
    for (const [key, child] of Object.entries(shape ?? {})) {
      if (hasTrait([child], 'secret')) found.add(key)
      secretNames([child], found, seen)
    }
    secretNames(
      [element, valueType].filter((one) => one !== undefined),
      found,
      seen,
    )
  }
  return found
}

/** A copy with each text replaced; texts that no key of the schema takes stay. `undefined` leaves a key out. */
export function mapTexts(
  value: unknown,
  schemas: Schemas,
  path: KeyPath,
  map: (text: string, schemas: Schemas, path: KeyPath) => unknown,
): unknown {
  if (schemas.length === 0) return value
  if (typeof value === 'string') return map(value, schemas, path)
  if (Array.isArray(value)) {
    return value.map((item, index) => mapTexts(item, childSchemas(schemas, index, value), [...path, index], map))
  }
  if (!isTree(value)) return value
  const entries = Object.entries(value).map(
    ([key, item]) => [key, mapTexts(item, childSchemas(schemas, key, value), [...path, key], map)] as const,
  )
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
}

/** The value that a text from the environment or a reference stands for. Lists are written with commas, or as JSON. */
export function valueOfText(schemas: Schemas, text: string): unknown {
  const defs = alternatives(schemas).map(defOf)
  const takes = (...types: string[]): boolean => defs.some((def) => types.includes(def.type))
  if (/^\s*[[{]/.test(text) && takes('array', 'object', 'record')) {
    try {
      return JSON.parse(text)
    } catch {
      return text
    }
  }
  if (takes('number') && /^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (takes('literal') && defs.some((def) => def.values?.includes(Number(text)))) return Number(text)
  if (takes('boolean') && /^(true|yes|on|1)$/i.test(text)) return true
  if (takes('boolean') && /^(false|no|off|0)$/i.test(text)) return false
  if (takes('array') && !takes('string', 'enum', 'custom')) {
    return text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  }
  return text
}
