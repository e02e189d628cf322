import { type BigIntStats, readlinkSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { displayPath, pathFromBytes } from '../../base/paths.ts'
import type { Entry } from '../../model/entry.ts'
import { splitDevice } from './libc.ts'
import { kindOfMode, sameTime, timestampOf } from './stat-entry.ts'
import type { Overwrite } from './target-settings.ts'

/**
 * What becomes of an item that exists: `keep` it as it is, `same` content so that only its metadata may change,
 * `compare` bytes while they are written, or `replace` it.
 */
export type Decision = 'keep' | 'same' | 'compare' | 'replace'

export function decide(
  entry: Entry,
  stat: BigIntStats,
  at: string | Buffer,
  overwrite: Overwrite | undefined,
  exactTimes: boolean,
): Decision {
  if (overwrite === undefined) {
    throw new AppError('restore.exists', `${displayPath(entry.path)} exists already`)
  }
  if (overwrite === 'never') return 'keep'
  if (overwrite === 'if-newer') return isNewer(entry, stat) ? 'replace' : 'keep'
  if (overwrite === 'always' || kindOfMode(Number(stat.mode)) !== entry.kind) return 'replace'
  return compare(entry, stat, at, exactTimes)
}

function isNewer(entry: Entry, stat: BigIntStats): boolean {
  const { s, ns } = timestampOf(stat.mtimeNs)
  return entry.mtime.s > s || (entry.mtime.s === s && entry.mtime.ns > ns)
}

function compare(entry: Entry, stat: BigIntStats, at: string | Buffer, exactTimes: boolean): Decision {
  switch (entry.kind) {
    case 'file': {
      if (Number(stat.size) !== entry.size) return 'replace'
      return sameTime(timestampOf(stat.mtimeNs), entry.mtime, exactTimes) ? 'same' : 'compare'
    }
    case 'symlink':
      return pathFromBytes(readlinkSync(at, { encoding: 'buffer' })) === entry.linkTarget ? 'same' : 'replace'
    case 'chardev':
    case 'blockdev': {
      const { major, minor } = splitDevice(stat.rdev)
      return major === entry.rdev?.major && minor === entry.rdev.minor ? 'same' : 'replace'
    }
    default:
      return 'same'
  }
}
