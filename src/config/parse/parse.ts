import { extname } from 'node:path'
import type { Parsed } from './parsed.ts'

export type Format = 'yaml' | 'json' | 'toml'

export function formatOf(file: string): Format {
  const extension = extname(file).toLowerCase()
  return extension === '.json' ? 'json' : extension === '.toml' ? 'toml' : 'yaml'
}

/** Reads a configuration text; faults of syntax are in the result. Only the parser that is needed gets loaded. */
export async function parseText(text: string, format: Format): Promise<Parsed> {
  const body = text.startsWith('\ufeff') ? text.slice(1) : text
  if (format === 'json') return (await import('./json.ts')).parseJson(body)
  if (format === 'toml') return (await import('./toml.ts')).parseToml(body)
  return (await import('./yaml.ts')).parseYaml(body)
}
