import { closeSync } from 'node:fs'
import type { Libc } from './libc.ts'

/** More pieces than this are not worth their list: the file is then read whole. */
const MOST_EXTENTS = 10_000

/**
 * Where the data of an open file lies, as sorted `[offset, length]` pairs within `size`. Undefined when the system does
 * not tell, and when there are no holes. Closes `fd`.
 */
export function extentsOf(libc: Libc, fd: number, size: number): [number, number][] | undefined {
  const extents: [number, number][] = []
  try {
    for (let at = 0; at < size;) {
      const from = libc.seek(fd, at, 'data')
      // ENXIO: nothing but a hole from here on.
      if (from < 0) {
        if (from !== libc.errors.ENXIO) return undefined
        break
      }
      const end = Math.min(libc.seek(fd, from, 'hole'), size)
      if (end <= from) break
      extents.push([from, end - from])
      if (extents.length > MOST_EXTENTS) return undefined
      at = end
    }
  } finally {
    closeSync(fd)
  }
  const whole = extents.length === 1 && extents[0]?.[0] === 0 && extents[0][1] === size
  return whole ? undefined : extents
}
