import { open, type FileHandle } from 'node:fs/promises'
import { AppError, errno } from '../base/errors.ts'
import type { Bytes } from '../base/bytes.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { GetOptions } from '../model/storage.ts'
import { guarded, localError } from './local-errors.ts'
import { etagOf } from './local-list.ts'
import { checkRange, endsEarly, replaced } from './range.ts'

const CHUNK = 1024 * 1024

/** A file in chunks of a megabyte, each in fresh memory, reading one ahead of the consumer. */
export async function* readChunks(
  path: string,
  key: string,
  storage: string,
  { range, signal, etag, onEtag }: GetOptions,
): AsyncGenerator<Bytes> {
  checkRange(range)
  throwIfAborted(signal)
  const tried = `read ${key} from ${storage}`
  const file = await openFile(path, tried)
  let ahead: Promise<Bytes> | undefined
  try {
    const stats = await guarded(tried, () => file.stat({ bigint: true }))
    if (!stats.isFile()) throw new AppError('storage.not-found', `cannot ${tried}: it is not a file`)
    const found = etagOf(stats)
    if (etag !== undefined && etag !== found) throw replaced(key, storage)
    onEtag?.(found)
    const size = Number(stats.size)
    const end = Math.min(range?.end ?? size, size)
    let at = range?.start ?? 0
    const next = (): Promise<Bytes> => {
      const chunk = readAt(file, at, Math.min(CHUNK, end - at), tried)
      // Met at the await below; until then nobody listens.
      chunk.catch(() => undefined)
      return chunk
    }
    if (at < end) ahead = next()
    while (ahead !== undefined) {
      throwIfAborted(signal)
      const chunk: Bytes = await ahead
      at += chunk.length
      ahead = at < end ? next() : undefined
      yield chunk
    }
    if (range !== undefined && range.end > size) throw endsEarly(key, storage, range, size)
  } finally {
    await ahead?.catch(() => undefined)
    await file.close()
  }
}

async function openFile(path: string, tried: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error) ?? ''))
      throw new AppError('storage.not-found', `cannot ${tried}: no such object`, { cause: error })
    throw localError(error, tried)
  }
}

/** Exactly `length` bytes: fewer mean that the file was cut while it was read. */
async function readAt(file: FileHandle, position: number, length: number, tried: string): Promise<Bytes> {
  const buffer = Buffer.allocUnsafeSlow(length)
  for (let filled = 0; filled < length;) {
    const { bytesRead } = await guarded(tried, () => file.read(buffer, filled, length - filled, position + filled))
    if (bytesRead === 0)
      throw new AppError('storage.truncated', `cannot ${tried}: it ended at byte ${position + filled}`)
    filled += bytesRead
  }
  return buffer
}
