import { closeSync, constants, openSync } from 'node:fs'
import { fsPath, pathToBytes } from '../../base/paths.ts'

/** Linux takes at most 4,096 bytes of path, the closing NUL included, with names of at most 255 bytes. */
const PATH_MAX = 4095
const NAME_MAX = 255
/** A character of a path takes at most four bytes, so that shorter strings need not be measured. */
const SURELY_SHORT = PATH_MAX / 4

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

export const fitsPathMax = (path: string): boolean => path.length < SURELY_SHORT || pathToBytes(path).length <= PATH_MAX

/** Whether every name below this folder can be reached through its own path. */
export const childrenFit = (folder: string): boolean =>
  folder.length < SURELY_SHORT - NAME_MAX || pathToBytes(folder).length <= PATH_MAX - NAME_MAX - 1

/** What reaches a folder by its open descriptor instead of its path. */
export const descriptorPath = (fd: number): string => `/proc/self/fd/${fd}`

export const openFolder = (path: string | Buffer): number => openSync(path, FOLDER)

/**
 * Calls `use` with something node:fs takes for the absolute `path`, however long. Long ones are reached piece by piece
 * through open folders, of which none may be a symlink.
 */
export function withPath<T>(path: string, use: (path: string | Buffer) => T): T {
  if (fitsPathMax(path)) return use(fsPath(path))
  let fd = -1
  try {
    let rest = path
    for (;;) {
      const prefix = fd === -1 ? '' : descriptorPath(fd)
      if (fitsPathMax(prefix + rest)) return use(fsPath(prefix + rest))
      const cut = lastCut(rest)
      const next = openFolder(fsPath(prefix + rest.slice(0, cut)))
      if (fd !== -1) closeSync(fd)
      fd = next
      rest = rest.slice(cut)
    }
  } finally {
    if (fd !== -1) closeSync(fd)
  }
}

/** Where to cut a long path that starts with `/`, so that the first piece fits: at the last possible slash. */
function lastCut(path: string): number {
  let cut = path.indexOf('/', 1)
  for (let at = cut; at !== -1; at = path.indexOf('/', at + 1)) {
    if (at > SURELY_SHORT && pathToBytes(path.slice(0, at)).length > PATH_MAX - 32) break
    cut = at
  }
  return cut
}
