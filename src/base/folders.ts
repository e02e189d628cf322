import { mkdirSync, statSync } from 'node:fs'
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
