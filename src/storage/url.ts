import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { AppError } from '../base/errors.ts'
import { parseDuration, parseSize } from '../base/units.ts'
import type { S3StorageSettings, StorageSettings } from '../model/settings.ts'
import { homeFolder } from '../base/user.ts'

type Reader = (text: string, key: string) => unknown

const text: Reader = (value) => value

const flag: Reader = (value, key) => {
  if (value === 'true' || value === '1' || value === '') return true
  if (value === 'false' || value === '0') return false
  throw invalid(`${key} is ${JSON.stringify(value)}`, `Write ${key}=true or ${key}=false.`)
}

const count: Reader = (value, key) => {
  if (/^[1-9]\d*$/.test(value)) return Number(value)
  throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is a number above 0.`)
}

/** What may follow the `?` of an S3 URL. Keys of access are not among them: a URL is shown and logged. */
const S3_QUERY: Record<string, Reader> = {
  region: text,
  endpoint: (value, key) => {
    if (URL.canParse(value) && /^https?:/.test(value)) return value
    throw invalid(`${key} is ${JSON.stringify(value)}`, 'An endpoint is an address such as http://127.0.0.1:9000.')
  },
  forcePathStyle: flag,
  storageClass: text,
  serverSideEncryption: (value, key) => {
    if (value === 'AES256' || value === 'aws:kms') return value
    throw invalid(`${key} is ${JSON.stringify(value)}`, `${key} is AES256 or aws:kms.`)
  },
  kmsKeyId: text,
  uploadPartSize: (value) => parseSize(value),
  uploadConcurrency: count,
  checksums: flag,
  connectTimeout: (value) => parseDuration(value),
  idleTimeout: (value) => parseDuration(value),
}

/** Settings have milliseconds in the name, URLs a unit in the value. */
const RENAMED: Record<string, string> = { connectTimeout: 'connectTimeoutMs', idleTimeout: 'idleTimeoutMs' }

/**
 * A storage in one line: a plain path, `file:/path`, `memory:name`, or
 * `s3://bucket/prefix?region=eu-central-1&endpoint=http://127.0.0.1:9000`.
 */
export function parseStorageUrl(address: string): StorageSettings {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase()
  if (address === '') throw invalid('the address is empty', 'Name a folder, or a URL such as s3://bucket/prefix.')
  if (scheme === undefined) return { type: 'file', path: expanded(address) }
  if (scheme === 'file') return { type: 'file', path: filePath(address) }
  if (scheme === 'memory') return { type: 'memory', name: address.slice('memory:'.length) }
  if (scheme === 's3') return s3Settings(address)
  throw invalid(
    `${scheme}: is no known storage`,
    `Known are: file, s3, memory${nearest(scheme, ['file', 's3', 'memory'])}.`,
  )
}

/** `file:./x` is relative, `file:/x` and `file:///x` are absolute; only the last form has percent escapes. */
function filePath(address: string): string {
  if (!address.startsWith('file://')) return expanded(address.slice('file:'.length))
  try {
    return fileURLToPath(address)
  } catch (error) {
    throw new AppError('storage.invalid', `cannot use ${address} as a storage: it names another host`, { cause: error })
  }
}

const expanded = (path: string): string =>
  path === '~' || path.startsWith('~/') ? join(homeFolder(), path.slice(1)) : path

function s3Settings(address: string): S3StorageSettings {
  const match = /^s3:\/\/([^/?#@]+)(?:\/([^?]*))?(?:\?(.*))?$/is.exec(address)
  if (!match) {
    const secret = address.includes('@')
    throw invalid(
      secret ? 'it has an @ before the bucket' : 'it names no bucket',
      secret
        ? 'Give keys by accessKeyId and secretAccessKey or the environment, not in the URL.'
        : 'Write s3://bucket/prefix.',
    )
  }
  const [, bucket = '', path = '', query = ''] = match
  const settings: Record<string, unknown> = { type: 's3', bucket }
  const prefix = decoded(path)
  if (prefix !== '') settings['prefix'] = prefix
  for (const [key, value] of new URLSearchParams(query)) {
    const read = S3_QUERY[key]
    if (read === undefined)
      throw invalid(
        `${key} is no setting of s3`,
        `Known are: ${Object.keys(S3_QUERY).join(', ')}${nearest(key, Object.keys(S3_QUERY))}.`,
      )
    settings[RENAMED[key] ?? key] = read(value, key)
  }
  return settings as unknown as S3StorageSettings
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalid('its path has a broken percent escape', 'Write a percent sign as %25.')
  }
}

function nearest(wrong: string, known: string[]): string {
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

function invalid(problem: string, hint: string): AppError {
  return new AppError('storage.invalid', `cannot read the address of the storage: ${problem}`, { hint })
}
