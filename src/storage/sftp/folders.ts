import { posix } from 'node:path'
import type { Stats } from 'ssh2'
import { walkFolders, type Found, type Named } from '../folder-walk.ts'
import { isMissing, statusOf } from './errors.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'

const FORMAT = 0o170000
const FOLDER = 0o040000
const LINK = 0o120000
const FILE = 0o100000

export const isFile = ({ mode }: { mode: number }): boolean => (mode & FORMAT) === FILE

/** Version 3 of the protocol tells times in whole seconds and no inode: `put` sees to it that this changes. */
export const etagOf = ({ mtime, size }: { mtime: number; size: number }): string =>
  `${mtime.toString(36)}-${size.toString(36)}`

export async function statOf(session: Session, path: string, signal?: AbortSignal): Promise<Stats | undefined> {
  try {
    return await session.ask<Stats>((sftp, done) => sftp.stat(path, done), signal)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Makes the folder and those above it. */
export async function makeFolders(session: Session, path: string, mode: number | undefined): Promise<void> {
  const make = async (): Promise<void> => {
    await session.ask<void>((sftp, done) => sftp.mkdir(path, { mode: mode ?? 0o700 }, done))
    // Past the umask of the server.
    if (mode !== undefined) await session.ask<void>((sftp, done) => sftp.chmod(path, mode, done))
  }
  try {
    await make()
  } catch (error) {
    const above = posix.dirname(path)
    // Whether it is there already, servers answer with a mere failure.
    if (!isMissing(error)) {
      const found = await statOf(session, path)
      if (found?.isDirectory()) return
      throw error
    }
    if (above === path || above === '.') throw error
    await makeFolders(session, above, mode)
    await make().catch(async (again: unknown) => {
      if (!(await statOf(session, path))?.isDirectory()) throw again
    })
  }
}

/** Removes the folders above a removed file that are empty; those directly below the root stay. */
export async function removeEmpty(session: Session, root: string, key: string): Promise<void> {
  for (let folder = posix.dirname(key); folder.includes('/'); folder = posix.dirname(folder)) {
    try {
      await session.ask<void>((sftp, done) => sftp.rmdir(posix.join(root, folder), done))
    } catch (error) {
      // Not empty, or filled again just now.
      if (statusOf(error) !== undefined) return
      throw error
    }
  }
}

/** Every file below `root` whose key starts with `prefix` and whose name is wanted, in byte order of the keys. */
export function walk(
  pool: Pool,
  place: { root: string; tried: string; signal: AbortSignal | undefined },
  prefix: string,
  wanted: (name: string) => boolean,
): AsyncGenerator<Found> {
  const folderOf = (folder: string): Promise<Named[]> =>
    pool.persist(place.tried, place.signal, (session) => namesIn(session, posix.join(place.root, folder)))
  return walkFolders(folderOf, prefix, wanted, place.signal)
}

async function namesIn(session: Session, path: string): Promise<Named[]> {
  let entries: { filename: string; attrs: Pick<Stats, 'mode' | 'size' | 'mtime'> }[]
  try {
    entries = await session.ask((sftp, done) => sftp.readdir(path, done))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
  const names: Named[] = []
  for (const { filename, attrs } of entries) {
    if (filename === '.' || filename === '..') continue
    let stats = attrs
    // Links count as what they lead to: a user may keep `data` on another disk.
    if ((stats.mode & FORMAT) === LINK) stats = (await statOf(session, posix.join(path, filename))) ?? stats
    const folder = (stats.mode & FORMAT) === FOLDER
    if (!folder && !isFile(stats)) continue
    const { size, mtime } = stats
    names.push({
      name: folder ? `${filename}/` : filename,
      size,
      modified: new Date(mtime * 1000),
      etag: etagOf(stats),
    })
  }
  return names
}
