/** Writing at a position of an open file, where blocks of zeros may become holes. */
import { writeSync } from 'node:fs'

const HOLE = 4096
const ZEROS = Buffer.alloc(HOLE)

export function writeAt(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, position + done)
}

/** By blocks that begin at multiples of their size in the file. What comes last needs `ftruncate` if it is zeros. */
export function writeSparselyAt(fd: number, bytes: Uint8Array, position: number): void {
  const blockEnd = (from: number): number => Math.min(bytes.length, from + HOLE - ((position + from) % HOLE))
  const isHole = (from: number): boolean => {
    const length = blockEnd(from) - from
    return ZEROS.compare(bytes, from, from + length, 0, length) === 0
  }
  for (let from = 0; from < bytes.length;) {
    const zero = isHole(from)
    let to = blockEnd(from)
    while (to < bytes.length && isHole(to) === zero) to = blockEnd(to)
    if (!zero) writeAt(fd, bytes.subarray(from, to), position + from)
    from = to
  }
}
