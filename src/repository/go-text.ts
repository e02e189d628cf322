/**
 * Text as Go writes it, byte for byte, for tree ids depend on it: encoding/json with HTML escaping, and strconv.Quote
 * for names. Names are strings as base/paths.ts has them, invalid bytes as U+DC80…U+DCFF. docs/formats/repository.md §7.
 */
import { pathFromBytes } from '../base/paths.ts'
import { isPrintable } from './printable.ts'

/** Printable ASCII that neither form changes. */
const PLAIN = /^[ !#-%'-;=?-[\]-~]*$/
const JSON_SPECIAL = /["\\<>&\u0000-\u001f\u2028\u2029\ud800-\udfff]/u
const SHORT: Record<string, string> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

const hex = (code: number, width: number): string => code.toString(16).padStart(width, '0')

/** A JSON string with its quotes. A byte that is not UTF-8 becomes `\ufffd`. */
export function goJsonString(text: string): string {
  if (PLAIN.test(text) || !JSON_SPECIAL.test(text)) return `"${text}"`
  let out = '"'
  for (const char of text) {
    const code = char.codePointAt(0) as number
    const short = SHORT[char]
    if (short !== undefined) out += short
    else if (code >= 0xd800 && code <= 0xdfff) out += '\\ufffd'
    else if (code < 0x20 || char === '<' || char === '>' || char === '&' || code === 0x2028 || code === 0x2029)
      out += `\\u${hex(code, 4)}`
    else out += char
  }
  return `${out}"`
}

const QUOTED: Record<number, string> = { 7: '\\a', 8: '\\b', 12: '\\f', 10: '\\n', 13: '\\r', 9: '\\t', 11: '\\v' }

/** strconv.Quote without the outer quotes. */
export function goQuote(name: string): string {
  if (PLAIN.test(name)) return name
  let out = ''
  for (const char of name) {
    const code = char.codePointAt(0) as number
    if (char === '"' || char === '\\') out += `\\${char}`
    else if (code >= 0xdc80 && code <= 0xdcff) out += `\\x${hex(code - 0xdc00, 2)}`
    else if (isPrintable(code)) out += char
    else if (QUOTED[code] !== undefined) out += QUOTED[code]
    else if (code < 0x20 || code === 0x7f) out += `\\x${hex(code, 2)}`
    else out += code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`
  }
  return out
}

const ESCAPES = /\\(?:([abfnrtv\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|([^\\"\n]+)/gy
const SINGLE: Record<string, number> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, '\\': 92, '"': 34 }

/** The name that was quoted; undefined for what strconv.Unquote refuses. */
export function goUnquote(quoted: string): string | undefined {
  const text = quoted.isWellFormed() ? quoted : quoted.toWellFormed()
  if (!text.includes('\\') && !text.includes('"') && !text.includes('\n')) return text
  const parts: Buffer[] = []
  let end = 0
  for (const match of text.matchAll(ESCAPES)) {
    const [whole, single, byte, octal, short, long, plain] = match
    end = match.index + whole.length
    if (single !== undefined) parts.push(Buffer.of(SINGLE[single] as number))
    else if (byte !== undefined) parts.push(Buffer.of(Number.parseInt(byte, 16)))
    else if (octal !== undefined) {
      const value = Number.parseInt(octal, 8)
      if (value > 255) return undefined
      parts.push(Buffer.of(value))
    } else if (plain !== undefined) parts.push(Buffer.from(plain))
    else {
      const code = Number.parseInt((short ?? long) as string, 16)
      if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined
      parts.push(Buffer.from(String.fromCodePoint(code)))
    }
  }
  return end === text.length ? pathFromBytes(Buffer.concat(parts)) : undefined
}

/** Any JSON value as Go writes a decoded one: keys sorted, no spaces. */
export function goJson(value: unknown): string {
  if (typeof value === 'string') return goJsonString(value)
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    return `{${entries.map(([name, one]) => `${goJsonString(name)}:${goJson(one)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}
