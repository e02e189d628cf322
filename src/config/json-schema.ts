import * as z from 'zod'
import { configSchema } from './schema.ts'
import { traits } from './schema/fields.ts'

/** For `config schema` and for editors. Secrets are texts in it, and profiles hold any part of the whole. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    override({ zodSchema, jsonSchema }) {
      if (traits.get(zodSchema)?.secret === true) jsonSchema.type = 'string'
    },
  }) as Record<string, unknown>
  const properties = schema['properties'] as Record<string, unknown>
  const parts = Object.fromEntries(
    Object.entries(properties).filter(([key]) => !key.startsWith('$') && key !== 'profiles'),
  )
  const parents = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] }
  const profile = {
    type: 'object',
    properties: { extends: parents, ...(partial(parts) as object) },
    additionalProperties: false,
  }
  const profiles = { ...(properties['profiles'] as object), additionalProperties: profile }
  return { ...schema, title: 'Holdfast', properties: { ...properties, profiles } }
}

/** Nothing is required in a profile. */
function partial(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(partial)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).filter(([key, value]) => key !== 'required' || !Array.isArray(value))
  return Object.fromEntries(entries.map(([key, value]) => [key, partial(value)]))
}
