/** What the addresses of storages are made of: the settings behind the `?`, and how mistakes are told. */
import { AppError } from '../base/errors.ts'
import { parseDuration, parseSize } from '../base/units.ts'

export type Reader = (text: string, key: string) => unknown

export const text: Reader = (value) => value

export const flag: Reader = (value, key) => {
  if (value === 'true' || value === '1' || value === '') return true
  if (value === 'false' || value === '0') return false
  throw invalid(`${key} is ${JSON.stringify(value)}`, `Write ${key}=true or ${key}=false.`)
}

export const count: Reader = (value, key) => {
  if (/^[1-9]\d*$/.test(value)) return Number(value)
  throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is a number above 0.`)
}

export const size: Reader = (value) => parseSize(value)

export const duration: Reader = (value) => parseDuration(value)

export const mode: Reader = (value, key) => {
  if (/^0?[0-7]{3}$/.test(value)) return Number.parseInt(value, 8)
  throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is a mode such as 0640.`)
}

export const moment: Reader = (value, key) => {
  if (/^\d{4}-\d\d-\d\dT/.test(value) && !Number.isNaN(Date.parse(value))) return value
  throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is a time such as 2026-11-20T12:00:00Z.`)
}

export const endpoint: Reader = (value, key) => {
  if (URL.canParse(value) && /^https?:/.test(value)) return value
  throw invalid(`${key} is ${JSON.stringify(value)}`, 'An endpoint is an address such as http://127.0.0.1:9000.')
}

/** Settings have milliseconds in the name, URLs a unit in the value; and of a secret URLs name the file. */
const RENAMED: Record<string, string> = {
  connectTimeout: 'connectTimeoutMs',
  idleTimeout: 'idleTimeoutMs',
  keyFile: 'privateKey',
  credentialsFile: 'credentials',
  passwordFile: 'password',
  tokenFile: 'token',
}

/** The settings behind the `?`. Keys of access are never among them: a URL is shown and logged. */
export function querySettings(type: string, query: string, known: Record<string, Reader>): Record<string, unknown> {
  const settings: Record<string, unknown> = {}
  for (const [key, value] of new URLSearchParams(query)) {
    const read = known[key]
    if (read === undefined)
      throw invalid(
        `${key} is no setting of ${type}`,
        `Known are: ${Object.keys(known).join(', ')}${nearest(key, Object.keys(known))}.`,
      )
    settings[RENAMED[key] ?? key] = read(value, key)
  }
  return settings
}

export function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalid('its path has a broken percent escape', 'Write a percent sign as %25.')
  }
}

export function nearest(wrong: string, known: string[]): string {
  const [best] = known
    .map((name) => ({ name, distance: distance(wrong.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(2, name.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return best === undefined ? '' : `; did you mean ${best.name}?`
}

/** How many letters to change, add or take away. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= b.length; j += 1)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    row = next
  }
  return row[b.length] ?? 0
}

export function invalid(problem: string, hint: string): AppError {
  return new AppError('storage.invalid', `cannot read the address of the storage: ${problem}`, { hint })
}
