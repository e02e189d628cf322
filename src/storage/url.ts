import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { AppError } from '../base/errors.ts'
import { homeFolder } from '../base/user.ts'
import type { StorageSettings } from '../model/settings.ts'
import { invalid, nearest } from './url-parts.ts'
import { REMOTE } from './url-remote.ts'

/**
 * A storage in one line: a plain path, `file:/path`, `memory:name`,
 * `s3://bucket/prefix?region=eu-central-1&endpoint=http://127.0.0.1:9000`, or another of url-remote.ts.
 */
export function parseStorageUrl(address: string): StorageSettings {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase()
  if (address === '') throw invalid('the address is empty', 'Name a folder, or a URL such as s3://bucket/prefix.')
  if (scheme === undefined) return { type: 'file', path: expanded(address) }
  if (scheme === 'file') return { type: 'file', path: filePath(address) }
  if (scheme === 'memory') return { type: 'memory', name: address.slice('memory:'.length) }
  const remote = REMOTE[scheme]
  if (remote !== undefined) return remote(address)
  const known = ['file', ...Object.keys(REMOTE), 'memory']
  throw invalid(`${scheme}: is no known storage`, `Known are: ${known.join(', ')}${nearest(scheme, known)}.`)
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
