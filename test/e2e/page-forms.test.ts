/** What the page offers is what the configuration takes, and what it names exists. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMMANDS } from '../../src/cli/commands.ts'
import { notifier } from '../../src/config/schema/notify.ts'
import { source } from '../../src/config/schema/sources.ts'
import { storage } from '../../src/config/schema/storage.ts'
import { routes } from '../../src/http/contract/index.ts'
import { type FieldSpec, NOTIFIERS, SOURCES, STORAGES } from '../../ui/src/forms/specs.ts'

const root = join(import.meta.dirname, '../..')

interface JsonSchema {
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  properties?: Record<string, JsonSchema>
  const?: unknown
}

/** The object of one type within unions of them. */
function ofType(schema: JsonSchema, type: string): JsonSchema | undefined {
  if (schema.properties?.['type']?.const === type) return schema
  for (const one of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) {
    const found = ofType(one, type)
    if (found !== undefined) return found
  }
  return undefined
}

function unknownFields(schema: JsonSchema, kinds: Record<string, readonly FieldSpec[]>): string[] {
  return Object.entries(kinds).flatMap(([type, fields]) => {
    const known = ofType(schema, type)
    if (known === undefined) return [`there is no type ${type}`]
    return fields.flatMap(({ path }) => {
      let at: JsonSchema | undefined = known
      for (const key of path.split('.')) at = at?.properties?.[key]
      return at === undefined ? [`${type}: ${path}`] : []
    })
  })
}

test('each field of the forms is one of the configuration', () => {
  const options = { io: 'input', unrepresentable: 'any' } as const
  assert.deepEqual(unknownFields(source.toJSONSchema(options) as JsonSchema, SOURCES), [])
  assert.deepEqual(unknownFields(storage.toJSONSchema(options) as JsonSchema, STORAGES), [])
  assert.deepEqual(unknownFields(notifier.toJSONSchema(options) as JsonSchema, NOTIFIERS), [])
})

test('each command and each call that a page names as its twin exists', () => {
  const known = new Set(COMMANDS.flatMap(({ name, aliases = [] }) => [name, ...aliases]))
  const calls = Object.keys(routes).map((key) => new RegExp(`^${key.replaceAll(/\{\w+\}/g, '[^/]+')}$`))
  let found = 0
  for (const file of globSync('ui/src/**/*.tsx', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, command] of text.matchAll(/[`'">]holdfast ([a-z]+)/g)) {
      found += 1
      assert.ok(known.has(command ?? ''), `${file}: holdfast ${command}`)
    }
    for (const [, call] of text.matchAll(/[`']((?:GET|POST|PUT|PATCH|DELETE) \/api\/[^`'?\s]+)/g)) {
      // `${id}` stands for a part; what decides by itself what follows is left out.
      const path = (call ?? '').replaceAll(/\$\{[\w.]+\}/g, 'x').replace(/\$\{.*$/, '')
      found += 1
      assert.ok(
        calls.some((one) => one.test(path.replaceAll(/\{\w+\}/g, 'x'))),
        `${file}: ${call}`,
      )
    }
  }
  assert.ok(found > 60, `the test found ${found}`)
})
