import { type BigIntStats, lstatSync } from 'node:fs'
import { displayPath, pathFromLatin1 } from '../../base/paths.ts'
import { isOpenDatabase } from '../../base/sqlite.ts'
import type { Warning } from '../../model/progress.ts'
import { canCopy, COMPANIONS } from './sqlite-copy.ts'
import { type FileStat, laterOf } from './stat-entry.ts'

/** The SQLite databases of one folder that somebody has open, by their names as `readdir` gave them. */
export interface Databases {
  /** What the walk saw of the database → the same with the times of its newest companion. */
  live: Map<string, (stat: FileStat) => FileStat>
  /** Files whose content is in the copy, and whose bytes would damage it on restore. */
  skip: Set<string>
  notes: Warning[]
}

/**
 * A database in WAL mode changes without a trace on its own file, so its times become those of the newest of its files:
 * an incremental backup would miss it otherwise.
 */
export function databasesIn(prefix: string, at: string | Buffer, names: readonly string[]): Databases | undefined {
  let found: Databases | undefined
  for (const companion of names) {
    if (!companion.endsWith('-wal') && !companion.endsWith('-journal')) continue
    const name = companion.slice(0, companion.lastIndexOf('-'))
    if (found?.live.has(name) === true || !names.includes(name)) continue
    const path = prefix + pathFromLatin1(name)
    const stat = statOf(at, name)
    if (stat?.isFile() !== true || !(isOpenDatabase(stat.dev, stat.ino) || canCopy(path))) continue
    found ??= { live: new Map(), skip: new Set(), notes: [] }
    const beside = COMPANIONS.map((end) => name + end).filter((file) => names.includes(file))
    for (const file of beside) found.skip.add(file)
    const times = beside.filter((file) => !file.endsWith('-shm')).map((file) => statOf(at, file))
    found.live.set(name, (own) => times.reduce<FileStat>(withLaterTimes, own))
    const shown = beside.map((file) => displayPath(pathFromLatin1(file))).join(' and ')
    found.notes.push({
      code: 'note',
      message: `${displayPath(`/${path}`)} is an SQLite database in use: copied whole, without ${shown} beside it`,
      path,
    })
  }
  return found
}

function statOf(folder: string | Buffer, name: string): BigIntStats | undefined {
  const at = Buffer.concat([Buffer.from(folder), Buffer.from(`/${name}`, 'latin1')])
  try {
    return lstatSync(at, { bigint: true })
  } catch {
    return undefined
  }
}

function withLaterTimes(stat: FileStat, other: FileStat | undefined): FileStat {
  if (other === undefined) return stat
  const { mode, dev, ino, nlink, uid, gid, rdev, size, blocks } = stat
  const [mtimeNs, ctimeNs] = [laterOf(stat.mtimeNs, other.mtimeNs), laterOf(stat.ctimeNs, other.ctimeNs)]
  return { mode, dev, ino, nlink, uid, gid, rdev, size, blocks, mtimeNs, ctimeNs }
}
