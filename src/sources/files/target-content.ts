import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import { writeAt, writeSparselyAt } from '../../base/sparse-write.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { RestoredEntry } from '../../model/entry.ts'

const CREATE = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW

/** A new file of that mode, less what the umask takes. */
export const createFile = (at: string | Buffer, mode = 0o600): number => openSync(at, CREATE, mode)

export interface ContentOptions {
  signal: AbortSignal | undefined
  onBytes: ((bytes: number) => void) | undefined
}

/**
 * The content of an entry, checked for its length: one that gives more than was recorded is a bomb, or damaged. The
 * stream itself rejects when bytes differ from what was recorded.
 */
export async function* contentOf(entry: RestoredEntry, options: ContentOptions): AsyncGenerator<Uint8Array> {
  let total = 0
  for await (const chunk of entry.open?.() ?? []) {
    throwIfAborted(options.signal)
    total += chunk.length
    if (total > entry.size) throw wrongLength(entry, `more than the ${entry.size} bytes recorded`)
    yield chunk
    options.onBytes?.(chunk.length)
  }
  if (total < entry.size) throw wrongLength(entry, `${total} of ${entry.size} bytes`)
}

/** A small content whole: nothing is written before all of it has been checked. */
export async function smallContent(entry: RestoredEntry, options: ContentOptions): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  let total = 0
  for await (const chunk of entry.open?.() ?? []) {
    total += chunk.length
    if (total > entry.size) throw wrongLength(entry, `more than the ${entry.size} bytes recorded`)
    // When another one comes, the memory of this one may be gone; most often none comes.
    chunks.push(total < entry.size ? Uint8Array.from(chunk) : chunk)
  }
  if (total < entry.size) throw wrongLength(entry, `${total} of ${entry.size} bytes`)
  options.onBytes?.(total)
  return chunks
}

const wrongLength = (entry: RestoredEntry, what: string): AppError =>
  new AppError('backup.damaged', `${displayPath(entry.path)} gives ${what}`)

/** Writes chunks one after the other; with `sparse`, blocks of zeros become holes. Call `end` when all are there. */
export class ContentWriter {
  readonly #fd: number
  readonly #sparse: boolean
  #at = 0

  constructor(fd: number, sparse: boolean) {
    this.#fd = fd
    this.#sparse = sparse
  }

  write(chunk: Uint8Array): void {
    ;(this.#sparse ? writeSparselyAt : writeAt)(this.#fd, chunk, this.#at)
    this.#at += chunk.length
  }

  end(): void {
    if (this.#sparse) ftruncateSync(this.#fd, this.#at)
  }
}

/** Whether a file on disk holds the same bytes as an open one that was just written. */
export function sameBytes(at: string | Buffer, written: number): boolean {
  const fd = openSync(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (fstatSync(fd).size !== fstatSync(written).size) return false
    const [a, b] = [Buffer.allocUnsafe(256 * 1024), Buffer.allocUnsafe(256 * 1024)]
    for (let position = 0; ;) {
      const count = readSync(fd, a, 0, a.length, position)
      const other = readSync(written, b, 0, a.length, position)
      if (count !== other || a.compare(b, 0, count, 0, count) !== 0) return false
      if (count === 0) return true
      position += count
    }
  } finally {
    closeSync(fd)
  }
}
