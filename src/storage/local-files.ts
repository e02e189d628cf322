/** Folders and atomic files of the local driver: every step that a crash must not tear. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { AppError, errno } from '../base/errors.ts'
import { cannotSyncFolder } from '../base/folders.ts'

export interface Modes {
  file: number | undefined
  directory: number | undefined
}

export const DEFAULT_FILE_MODE = 0o600
export const DEFAULT_DIRECTORY_MODE = 0o700

/** Each is lost only if somebody removes an empty folder within the moment between making it and using it. */
const MOST_TRIES = 100
const TEMPORARY = /^\..*\.tmp-\d+-[0-9a-f]{12}$/
/** File systems end names at 255 bytes. */
const MAX_NAME_BYTES = 255
/** What a file system answers that has no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'])

/** Temporary files are ours by their name; lists do not show them and keys may not look like them. */
export const isTemporary = (name: string): boolean => TEMPORARY.test(name)

/** `.<name>.tmp-<pid>-<random>` in the same folder, so that the rename stays within one file system. */
export function temporaryFor(path: string): string {
  const tail = `.tmp-${process.pid}-${randomBytes(6).toString('hex')}`
  let name = basename(path)
  while (Buffer.byteLength(name) > MAX_NAME_BYTES - tail.length - 1) name = name.slice(0, -8)
  return join(dirname(path), `.${name}${tail}`)
}

/** Opens a new temporary file, making folders as needed, again if a concurrent remove took an empty one away. */
export async function createTemporary(path: string, made: MadeFolders, modes: Modes): Promise<[FileHandle, string]> {
  const toSync = new Set<string>()
  for (let attempt = 1; ; attempt += 1) {
    const temporary = temporaryFor(path)
    try {
      const file = await open(temporary, 'wx', modes.file ?? DEFAULT_FILE_MODE)
      // Only now, as nobody takes them away any more: the shorter the way from a folder to the file in it, the better.
      try {
        for (const folder of toSync) await syncFolder(folder)
      } catch (error) {
        await file.close()
        await unlink(temporary)
        throw error
      }
      return [file, temporary]
    } catch (error) {
      if (errno(error) !== 'ENOENT' || attempt >= MOST_TRIES) throw error
      await made
        .make(dirname(path), (folder) => toSync.add(folder))
        .catch((cause: unknown) => {
          // One above was taken away just now: it is made again too.
          if (errno(cause) !== 'ENOENT') throw cause
        })
    }
  }
}

/** Puts the finished temporary file in its place. Gives false if hard links are missing, so that `ifAbsent` only looked. */
export async function moveIntoPlace(temporary: string, path: string, ifAbsent: boolean): Promise<boolean> {
  let atomic = true
  if (ifAbsent) {
    atomic = await linkNew(temporary, path)
    if (!atomic && (await exists(path))) throw new AppError('storage.exists', `${path} exists`)
  }
  if (ifAbsent && atomic) await unlink(temporary)
  else await rename(temporary, path)
  await syncFolder(dirname(path))
  return atomic
}

async function linkNew(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    const code = errno(error) ?? ''
    if (code === 'EEXIST') throw new AppError('storage.exists', `${path} exists`, { cause: error })
    if (NO_LINKS.has(code)) return false
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errno(error) === 'ENOENT') return false
    throw error
  }
}

export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (!cannotSyncFolder(error)) throw error
  }
}

export interface MadeFolders {
  /** Makes the folder and its parents; tells which folders have to be flushed so that these last. */
  make(path: string, onChanged: (folder: string) => void): Promise<void>
  /** Removes the folders above a removed file that are empty, never the root. */
  removeEmpty(path: string): Promise<void>
}

/**
 * Keeps track of the folders made here: a folder directly below the root is only removed by who made it, since another
 * program's layout may rest on it (`locks/` of a repository).
 */
export function madeFolders(root: string, modes: Modes): MadeFolders {
  const made = new Set<string>()

  async function makeOne(path: string, onChanged: (folder: string) => void): Promise<void> {
    try {
      await mkdir(path, { mode: modes.directory ?? DEFAULT_DIRECTORY_MODE })
    } catch (error) {
      if (errno(error) === 'EEXIST') return
      throw error
    }
    if (dirname(path) === root) made.add(path)
    if (modes.directory !== undefined) await setMode(path, modes.directory)
    onChanged(dirname(path))
  }

  async function make(path: string, onChanged: (folder: string) => void): Promise<void> {
    try {
      await makeOne(path, onChanged)
    } catch (error) {
      if (errno(error) !== 'ENOENT' || dirname(path) === path) throw error
      await make(dirname(path), onChanged)
      await makeOne(path, onChanged)
    }
  }

  return {
    make,
    async removeEmpty(path) {
      for (let folder = path; folder !== root && folder.startsWith(root); folder = dirname(folder)) {
        const top = !relative(root, folder).includes(sep)
        if (top && !made.has(folder)) return
        try {
          await rmdir(folder)
        } catch {
          // Not empty, just filled by another writer, or not ours to remove: it stays.
          return
        }
      }
    },
  }
}

/** Past the umask. */
export async function setMode(path: string, mode: number): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.chmod(mode)
  } finally {
    await file.close()
  }
}
