import { parse, TomlError } from 'smol-toml'
import type { KeyPath } from '../key-path.ts'
import { Positions, type Parsed } from './parsed.ts'

export function parseToml(text: string): Parsed {
  const positions = tomlPositions(text)
  try {
    return { tree: plain(parse(text)), positions, faults: [] }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The first line is the parser's reason; the others quote the text, which may hold secrets.
    const reason = (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '')
    const fault = { line: error.line, column: error.column, key: '', message: `is not valid TOML: ${reason}` }
    return { tree: undefined, positions, faults: [fault] }
  }
}

/** Dates as their text: no setting is one. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

const BARE_OR_QUOTED = String.raw`(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')`
const DOTTED = String.raw`${BARE_OR_QUOTED}(?:\s*\.\s*${BARE_OR_QUOTED})*`
const TABLE = new RegExp(String.raw`^\s*(\[\[?)\s*(${DOTTED})\s*\]`)
const KEY = new RegExp(String.raw`^(\s*)(${DOTTED})\s*=\s*(.*)$`)

/** Line by line: tables, arrays of tables and their keys. What is inside an inline table has the place of its line. */
function tomlPositions(text: string): Positions {
  const positions = new Positions()
  const counts = new Map<string, number>()
  let table: KeyPath = []
  let until: string | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (until !== undefined) {
      if (line.includes(until)) until = undefined
      continue
    }
    const header = TABLE.exec(line)
    if (header !== null) {
      table = indexed(parts(header[2] ?? ''), counts, header[1] === '[[')
      positions.set(table, { line: index + 1, column: line.indexOf('[') + 1 })
      continue
    }
    const key = KEY.exec(line)
    if (key === null) continue
    const inner = [...table, ...parts(key[2] ?? '')]
    positions.set(inner, { line: index + 1, column: (key[1] ?? '').length + 1 })
    until = ['"""', "'''"].find((quote) => (key[3] ?? '').split(quote).length === 2)
  }
  return positions
}

function parts(dotted: string): string[] {
  return [...dotted.matchAll(new RegExp(BARE_OR_QUOTED, 'g'))].map(([part]) =>
    part.startsWith('"') || part.startsWith("'") ? part.slice(1, -1) : part,
  )
}

/** `[jobs.policy]` after `[[jobs]]` belongs to the last job. */
function indexed(names: string[], counts: Map<string, number>, array: boolean): KeyPath {
  const path: (string | number)[] = []
  for (const [at, name] of names.entries()) {
    path.push(name)
    const key = JSON.stringify(path)
    const last = at === names.length - 1
    if (array && last) counts.set(key, (counts.get(key) ?? 0) + 1)
    const count = counts.get(key)
    if (count !== undefined) path.push(count - 1)
  }
  return path
}
