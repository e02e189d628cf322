/** Folders that the API may show and restore to: no path, and no link, leads out of them. */
import { realpathSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { AppError, errno } from '../base/errors.ts'

/** The path as it is reached without links; rejects what lies outside. What is not there yet is judged by where it would be. */
export function insideRoots({ roots, dataDir }: { roots: readonly string[]; dataDir: string }, path: string): string {
  const real = realOf(resolve(path))
  if (isBelow(real, realOf(resolve(dataDir))))
    throw new AppError('auth.denied', `${path} lies in the folder of the server's own data`, {
      hint: 'Its keys and its catalogue are not for others; a job of the configuration file may back it up.',
    })
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
