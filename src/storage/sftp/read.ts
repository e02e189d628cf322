import type { Stats } from 'ssh2'
import type { Bytes } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { GetOptions } from '../../model/storage.ts'
import { checkRange, endsEarly, replaced } from '../range.ts'
import { isMissing, sftpError } from './errors.ts'
import { etagOf } from './folders.ts'
import type { Pool } from './pool.ts'
import type { Session } from './session.ts'

/** Bytes that are asked for ahead of the reader: hides the way to the server and back. */
const WINDOW = 4 * 1024 * 1024

/** A file in blocks of fresh memory, many of them asked for at a time. */
export async function* readBlocks(
  pool: Pool,
  place: { path: string; key: string; name: string },
  { range, signal, etag, onEtag }: GetOptions,
): AsyncGenerator<Bytes> {
  checkRange(range)
  throwIfAborted(signal)
  const { path, key, name } = place
  const tried = `read ${key} from ${name}`
  const session = await pool.call(tried, async (one) => one)
  const told = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      throw isMissing(error) ? missing(tried, error) : sftpError(error, tried)
    })
  session.load += 1
  let handle: Buffer | undefined
  const ahead: Promise<Bytes>[] = []
  try {
    handle = await told(session.ask<Buffer>((sftp, done) => sftp.open(path, 'r', done), signal))
    const file = handle
    const stats = await told(session.ask<Stats>((sftp, done) => sftp.fstat(file, done), signal))
    if (!stats.isFile()) throw missing(tried)
    if (etag !== undefined && etag !== etagOf(stats)) throw replaced(key, name)
    onEtag?.(etagOf(stats))
    const end = Math.min(range?.end ?? stats.size, stats.size)
    let asked = range?.start ?? 0
    const width = Math.max(2, Math.floor(WINDOW / session.blockSize))
    const ask = (): void => {
      for (; ahead.length < width && asked < end; asked += session.blockSize) {
        const block = readAt(session, file, asked, Math.min(session.blockSize, end - asked), tried)
        block.catch(() => undefined)
        ahead.push(block)
      }
    }
    for (ask(); ahead.length > 0; ask()) {
      throwIfAborted(signal)
      const block = await told(ahead[0] as Promise<Bytes>)
      void ahead.shift()
      yield block
    }
    if (range !== undefined && range.end > stats.size) throw endsEarly(key, name, range, stats.size)
  } finally {
    session.load -= 1
    const file = handle
    // Nobody waits for what was asked ahead; the handle is closed behind it.
    if (file !== undefined && !session.dead)
      void session.ask<void>((sftp, done) => sftp.close(file, done)).catch(() => undefined)
  }
}

/** Exactly `length` bytes: servers may give fewer of them at a time, and none at the end. */
async function readAt(session: Session, file: Buffer, position: number, length: number, tried: string): Promise<Bytes> {
  const buffer = Buffer.allocUnsafeSlow(length)
  for (let filled = 0; filled < length;) {
    const at = filled
    const count = await session.ask<number>((sftp, done) =>
      sftp.read(file, buffer, at, length - at, position + at, (error, read) => done(error, read)),
    )
    if (count === 0) throw new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${position + filled}`)
    filled += count
  }
  return buffer
}

const missing = (tried: string, cause?: unknown): AppError =>
  new AppError('storage.not-found', `cannot ${tried}: no such object`, { cause })
