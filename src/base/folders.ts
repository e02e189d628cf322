import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { errno } from './errors.ts'

/**
 * Makes a folder and those above it. Node's own recursive mkdir never returns where a file system answers ENOENT to a
 * name whose parent exists, as /proc does.
 */
export function makeFolders(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    const code = errno(error)
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path || statSync(parent, { throwIfNoEntry: false }) !== undefined) throw error
    makeFolders(parent, mode)
    mkdirSync(path, { mode })
  }
}

/** What file systems answer that cannot flush a folder, or where it is gone by now. */
const NO_FOLDER_SYNC = new Set(['ENOENT', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR', 'EBADF'])
export const cannotSyncFolder = (error: unknown): boolean => NO_FOLDER_SYNC.has(errno(error) ?? '')

/** What was made in the folder, or moved there, stays through a loss of power. */
export function syncFolder(path: string): void {
  try {
    const folder = openSync(path, 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  } catch (error) {
    if (!cannotSyncFolder(error)) throw error
  }
}
