/**
 * Keys of objects as entry paths, and back. A key is its path, save for what a path cannot be: `%`, control characters
 * and lone surrogates are percent-encoded, and so are the components `.` and `..`; an empty one is a single `%`.
 * docs/formats/s3db.md
 */
import { AppError } from '../../base/errors.ts'

/** What s3db keeps its description of all resources in. */
export const METADATA_KEY = 's3db.json'
/** The description as it was when the backup began, where it changed before the end. */
export const METADATA_BEFORE = 's3db.json.before'

// oxlint-disable-next-line no-control-regex
const SPECIAL = /[%\x00-\x1f\x7f\ud800-\udfff]/
// oxlint-disable-next-line no-control-regex
const ESCAPED = /[%\x00-\x1f\x7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const DOTS = /(^|\/)\.{0,2}(\/|$)/

export function pathOf(key: string): string {
  if (!SPECIAL.test(key) && !DOTS.test(key)) return key
  return key
    .split('/')
    .map((part) => {
      if (part === '') return '%'
      if (part === '.' || part === '..') return part.replaceAll('.', '%2E')
      return part.replaceAll(ESCAPED, (char) => {
        const code = char.charCodeAt(0)
        return code > 0xff ? `%u${code.toString(16)}` : `%${code.toString(16).toUpperCase().padStart(2, '0')}`
      })
    })
    .join('/')
}

export function keyOf(path: string): string {
  if (!path.includes('%')) return path
  return path
    .split('/')
    .map((part) =>
      part === '%'
        ? ''
        : part.replaceAll(/%(?:u([0-9a-f]{4})|([0-9A-F]{2}))/g, (_, wide?: string, narrow?: string) =>
            String.fromCharCode(Number.parseInt(wide ?? narrow ?? '', 16)),
          ),
    )
    .join('/')
}

/** `resource=users/data/id=1` → `users` */
export function resourceOf(key: string): string | undefined {
  if (!key.startsWith('resource=')) return undefined
  const end = key.indexOf('/')
  return end === -1 ? undefined : key.slice('resource='.length, end)
}

/** `resource=users/partition=byRegion/region=EU/id=1` → `resource=users/data/id=1`; undefined if it is no reference. */
export function recordOfReference(key: string): string | undefined {
  const at = key.indexOf('/partition=')
  const id = key.lastIndexOf('/id=')
  return key.startsWith('resource=') && at !== -1 && id > at && key.indexOf('/') === at
    ? `${key.slice(0, at)}/data${key.slice(id)}`
    : undefined
}

/** What clients cannot keep, and what would leave the folder of a client that writes files. */
export function refuseUnsafe(key: string): void {
  if (key === '' || key.includes('\0') || DOTS.test(key) || key.endsWith('.meta.json'))
    throw new AppError('restore.unsafe', `an s3db database cannot hold the key ${JSON.stringify(key)}`)
}
