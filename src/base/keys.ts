import { AppError } from './errors.ts'

/** Object stores end at 1,024 bytes of UTF-8; the same bound everywhere keeps vaults movable. */
const MAX_KEY_BYTES = 1024
// oxlint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/
const CONTROL = /[\u0000-\u001f\u007f]/

/**
 * Keys are relative `/`-separated names that mean the same in a folder and in a bucket: no empty, `.` or `..` part,
 * no control character (XML listings cannot carry them), well-formed Unicode.
 */
export function checkKey(key: string): void {
  const problem = problemOf(key)
  if (problem !== undefined) throw invalid(key, problem)
}

/** A prefix is the beginning of a key: it may be empty and may end anywhere. */
export function checkPrefix(prefix: string): void {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const problem = folder === '' ? undefined : problemOf(folder.slice(0, -1))
  if (problem !== undefined || CONTROL.test(prefix)) throw invalid(prefix, problem ?? 'it has control characters')
}

/** The order of lists: by the bytes of the keys' UTF-8, which differs from string order beyond U+FFFF. */
export function compareKeys(a: string, b: string): number {
  if (ASCII.test(a) && ASCII.test(b)) return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}

function problemOf(key: string): string | undefined {
  if (key === '') return 'it is empty'
  if (CONTROL.test(key)) return 'it has control characters'
  if (!key.isWellFormed()) return 'it is not well-formed Unicode'
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`
  const parts = key.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..')) return 'it has an empty, "." or ".." part'
  return undefined
}

function invalid(key: string, problem: string): AppError {
  return new AppError('storage.invalid', `cannot use ${JSON.stringify(key.slice(0, 200))} as a key: ${problem}`, {
    hint: 'Keys are relative names with / between the parts.',
  })
}
