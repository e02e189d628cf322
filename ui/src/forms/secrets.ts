import { type Definition, HIDDEN, isObject } from './definition.ts'
import { NOTIFIERS, SOURCES, STORAGES } from './specs.ts'

/** What a form takes as a secret, and what else a definition that was written by hand may hold. */
const SECRETS = new Set([
  ...[SOURCES, STORAGES, NOTIFIERS].flatMap((kinds) =>
    Object.values(kinds).flatMap((fields) =>
      fields.flatMap(({ kind, path }) => (kind === 'secret' ? [path.split('.').at(-1) ?? path] : [])),
    ),
  ),
  'key',
  'sessionToken',
  'sasToken',
  'identity',
  'headers',
])

/** Without what was typed as a secret: what a browser keeps of a draft. */
export function withoutSecrets(definition: Definition): Definition {
  return Object.fromEntries(
    Object.entries(definition).flatMap(([key, value]) =>
      SECRETS.has(key) && value !== HIDDEN ? [] : [[key, cleared(value)]],
    ),
  )
}

const cleared = (value: unknown): unknown =>
  isObject(value) ? withoutSecrets(value) : Array.isArray(value) ? value.map(cleared) : value
