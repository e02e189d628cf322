import { redact } from '../base/redact.ts'
import { isSecret } from '../model/secret.ts'
import { isTree, showPath, type KeyPath, type Tree } from './key-path.ts'
import { showOrigin } from './layers.ts'
import type { LoadedConfig } from './load.ts'
import { configSchema } from './schema.ts'

export interface ShownValue {
  key: string
  /** Secrets as the reference that they come from, or as `[hidden]`. */
  value: unknown
  /** `holdfast.yaml:3`, `env HOLDFAST_LOG__LEVEL`, `default`, … */
  origin: string
}

/** Every setting in force, defaults included, with where it came from. */
export function shownValues(loaded: LoadedConfig): ShownValue[] {
  const values: ShownValue[] = []
  const visit = (value: unknown, path: KeyPath): void => {
    if (isTree(value) && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) visit(item, [...path, key])
    } else if (value !== undefined) {
      const key = showPath(path)
      const origin = originOf(loaded, key)
      values.push({ key, value, origin })
    }
  }
  visit(shownTree(loaded), [])
  return values
}

/** The normal form with its secrets masked. */
export function shownTree(loaded: LoadedConfig): Tree {
  const { dataDir } = loaded.settings.server
  const tree = Object.keys(loaded.normal).length > 0 ? loaded.normal : (configSchema.parse({}) as Tree)
  const shown = mask(tree) as Tree
  const server = { ...(shown['server'] as Tree), dataDir }
  const log = { ...(shown['log'] as Tree), file: loaded.settings.log.file }
  return { ...shown, server, log }
}

/** For people: YAML, or with origins one line for each value. */
export async function showConfig(loaded: LoadedConfig, options: { origin?: boolean } = {}): Promise<string> {
  if (options.origin !== true) return (await import('yaml')).stringify(shownTree(loaded), { lineWidth: 0 })
  const lines = shownValues(loaded).map(
    ({ key, value, origin }) => [`${key} = ${JSON.stringify(value)}`, origin] as const,
  )
  const width = Math.min(72, Math.max(...lines.map(([line]) => line.length)))
  return lines.map(([line, origin]) => `${line.padEnd(width)}  # ${origin}\n`).join('')
}

/** A secret's own key, or the key of the form in which it was given. */
function originOf(loaded: LoadedConfig, key: string): string {
  const forms = [key, `${key}File`, `${key}Command`, `${key}Command[0]`]
  const origin = forms.map((form) => loaded.origins.get(form)).find((one) => one !== undefined)
  return showOrigin(origin ?? { kind: 'default' })
}

function mask(value: unknown): unknown {
  if (isSecret(value)) return /\$\{|enc:/.test(value.origin) ? value.origin : '[hidden]'
  if (typeof value === 'string') return redact(value)
  if (Array.isArray(value)) return value.map(mask)
  if (!isTree(value)) return value
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([key, item]) => [key, mask(item)]))
}
