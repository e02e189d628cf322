/** Folders that the API may show, back up and restore to: no path, and no link, leads out of them. */
import { realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { AppError, errno } from '../base/errors.ts'

/** The path as it is reached without links; rejects what lies outside. What is not there yet is judged by where it would be. */
export function insideRoots(roots: readonly string[], path: string): string {
  const real = realOf(resolve(path))
  if (roots.some((root) => isBelow(real, realOf(resolve(root))))) return real
  throw new AppError('auth.denied', `${path} lies outside the folders that this server works with`, {
    hint: `They are ${roots.join(', ')}: see server.roots.`,
  })
}

export const isBelow = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)

function realOf(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (errno(error) !== 'ENOENT' && errno(error) !== 'ENOTDIR')
      throw new AppError('auth.denied', `${path} cannot be looked at`, { cause: error })
    const above = dirname(path)
    return above === path ? path : resolve(realOf(above), path.slice(above.length).replace(/^\//, ''))
  }
}
