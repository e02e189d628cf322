import { AppError } from '../../base/errors.ts'
import { displayPath, isUnder } from '../../base/paths.ts'

/**
 * Where an entry goes, relative to the root: '' is the root itself, undefined what `strip` leaves out. Rejects every
 * path that a source of ours cannot have made.
 */
export function targetPath(path: string, strip: string): string | undefined {
  checkPath(path)
  if (strip === '') return path
  if (path === strip) return ''
  return isUnder(path, strip) ? path.slice(strip.length + 1) : undefined
}

export function checkPath(path: string): void {
  // The one test that an ordinary path takes.
  if (!/(?:^|\/)(?:\.{0,2})(?:\/|$)|\0/.test(path)) return
  throw unsafe(`an entry has the path ${JSON.stringify(displayPath(path))}`)
}

/** An archive that tries to write elsewhere: the restore ends at once. */
export const unsafe = (message: string, hint?: string): AppError =>
  new AppError('restore.unsafe', message, hint === undefined ? {} : { hint })

export const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))
export const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
