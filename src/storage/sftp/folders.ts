import { posix } from 'node:path'
import type { Stats } from 'ssh2'
import { compareKeys } from '../../base/keys.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { isMissing, statusOf } from './errors.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'

export interface FoundFile {
  /** Relative to the root. */
  key: string
  stats: Pick<Stats, 'mode' | 'size' | 'mtime'>
}

/** Folders are asked for so far ahead of the one that is listed. */
const AHEAD = 8
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

interface Named {
  name: string
  stats: FoundFile['stats']
}

/** Every file below `root` whose key starts with `prefix` and whose name is wanted, in byte order of the keys. */
export async function* walk(
  pool: Pool,
  place: { root: string; tried: string; signal: AbortSignal | undefined },
  prefix: string,
  wanted: (name: string) => boolean,
): AsyncGenerator<FoundFile> {
  const namesOf = (folder: string): Promise<Named[]> => {
    const names = pool.persist(place.tried, place.signal, (session) => namesIn(session, place.root, folder, prefix))
    // Asked for ahead: nobody may listen yet.
    names.catch(() => undefined)
    return names
  }

  async function* walkFolder(folder: string, asked: Promise<Named[]>): AsyncGenerator<FoundFile> {
    const names = await asked
    const folders = names.filter(({ name }) => name.endsWith('/')).map(({ name }) => folder + name)
    const ahead = new Map<string, Promise<Named[]>>()
    let next = 0
    for (const { name, stats } of names) {
      throwIfAborted(place.signal)
      const key = folder + name
      if (!name.endsWith('/')) {
        if (wanted(name) && isFile(stats)) yield { key, stats }
        continue
      }
      for (; next < folders.length && ahead.size < AHEAD; next += 1) {
        const below = folders[next] ?? ''
        ahead.set(below, namesOf(below))
      }
      const listing = ahead.get(key) ?? namesOf(key)
      ahead.delete(key)
      yield* walkFolder(key, listing)
    }
  }
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  yield* walkFolder(folder, namesOf(folder))
}

/** Names in a folder that can lead to the prefix; folders end in `/`, which also sorts them as their keys sort. */
async function namesIn(session: Session, root: string, folder: string, prefix: string): Promise<Named[]> {
  const path = posix.join(root, folder)
  let entries: { filename: string; attrs: FoundFile['stats'] }[]
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
    const name = (stats.mode & FORMAT) === FOLDER ? `${filename}/` : filename
    const key = folder + name
    if (key.startsWith(prefix) || prefix.startsWith(key)) names.push({ name, stats })
  }
  return names.sort((a, b) => compareKeys(a.name, b.name))
}
