/** Content whose size nobody knows before its end, when the container must tell the size first. */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError, errno } from '../base/errors.ts'
import type { ByteReader } from '../base/reader.ts'
import { fill, SMALL } from './container.ts'

/** What cannot be asked for twice, such as the output of a program, is read from here again. */
export interface Spooled extends ByteReader {
  readonly size: number
  rewind(): void
}

/** Small content stays in memory; more goes to an unlinked temporary file, which no crash can leave behind. */
export async function withKnownSize(reader: ByteReader): Promise<Spooled> {
  const start = Buffer.allocUnsafe(SMALL + 1)
  const count = await fill(reader, start)
  if (count <= SMALL) return inMemory(start.subarray(0, count), reader)
  const file = join(tmpdir(), `holdfast-spool-${randomUUID()}`)
  const fd = openSync(file, 'wx+', 0o600)
  unlinkSync(file)
  try {
    writeSync(fd, start)
    let size = start.length
    const chunk = Buffer.allocUnsafe(1024 * 1024)
    for (let got = await reader.read(chunk); got > 0; got = await reader.read(chunk)) {
      for (let done = 0; done < got;) done += writeSync(fd, chunk, done, got - done)
      size += got
    }
    let at = 0
    let closed = false
    return {
      size,
      rewind() {
        at = 0
      },
      read(into) {
        const got = readSync(fd, into, 0, into.length, at)
        at += got
        return got
      },
      async close() {
        if (!closed) closeSync(fd)
        closed = true
        await reader.close()
      },
    }
  } catch (error) {
    closeSync(fd)
    if (errno(error) !== 'ENOSPC') throw error
    throw new AppError('target.full', `no space in ${tmpdir()} for a stream of unknown size`, { cause: error })
  }
}

function inMemory(bytes: Buffer, reader: ByteReader): Spooled {
  let at = 0
  return {
    size: bytes.length,
    rewind() {
      at = 0
    },
    read(into) {
      const count = bytes.copy(into, 0, at)
      at += count
      return count
    },
    close: () => reader.close(),
  }
}
