/** One stream stored as bounded parts, and read back as one. */
import { createHash } from 'node:crypto'
import { EMPTY, type Bytes } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import type { StoredPart } from './manifest.ts'
import { partSuffix } from './names.ts'

export const DEFAULT_PART_SIZE = 4 * 1024 ** 3

export interface StorePartsOptions {
  /** Key of part 0; further ones get a number. */
  key: string
  partSize: number
  signal?: AbortSignal | undefined
  storageClass?: 'warm' | 'configured'
  onBytes?: ((bytes: number) => void) | undefined
}

/** Stores at least one part. */
export async function storeParts(
  storage: Storage,
  stream: ByteStream,
  options: StorePartsOptions,
): Promise<StoredPart[]> {
  const iterator = stream[Symbol.asyncIterator]()
  const parts: StoredPart[] = []
  let rest: Bytes = EMPTY
  let done = false
  /** Bytes in hand, or undefined at the end. */
  async function next(): Promise<Bytes | undefined> {
    while (rest.length === 0 && !done) {
      const step = await iterator.next()
      if (step.done) done = true
      else rest = step.value
    }
    return rest.length === 0 ? undefined : rest
  }
  try {
    do {
      const hash = createHash('sha256')
      let size = 0
      const part = async function* (): AsyncGenerator<Bytes> {
        while (size < options.partSize) {
          const chunk = await next()
          if (chunk === undefined) return
          const piece = chunk.subarray(0, options.partSize - size)
          rest = chunk.subarray(piece.length)
          size += piece.length
          hash.update(piece)
          options.onBytes?.(piece.length)
          yield piece
        }
      }
      const key = `${options.key}${partSuffix(parts.length)}`
      const { signal, storageClass } = options
      const stored = await storage.put(key, part(), {
        ifAbsent: true,
        ...(signal && { signal }),
        ...(storageClass && { storageClass }),
      })
      if (stored.size !== size)
        throw new AppError('storage.truncated', `${storage.name} stored ${stored.size} of ${size} bytes of ${key}`)
      parts.push({ name: nameOf(key), size, sha256: hash.digest('hex') })
    } while ((await next()) !== undefined)
  } catch (error) {
    await iterator.return?.()
    throw error
  }
  return parts
}

/** Bytes `start…end` of the stream that the parts are; `backup.damaged` names a part that is gone or too short. */
export async function* readParts(
  storage: Storage,
  folder: string,
  parts: readonly StoredPart[],
  range: { start: number; end: number },
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  let base = 0
  for (const part of parts) {
    const start = Math.max(range.start - base, 0)
    const end = Math.min(range.end - base, part.size)
    base += part.size
    if (start >= end) continue
    const key = folder + part.name
    let got = 0
    try {
      const whole = start === 0 && end === part.size
      for await (const chunk of storage.get(key, {
        ...(!whole && { range: { start, end } }),
        ...(signal && { signal }),
      })) {
        got += chunk.length
        yield chunk
      }
    } catch (error) {
      if (isAppError(error, 'storage.not-found', 'storage.truncated')) {
        throw new AppError('backup.damaged', `${key} is missing or cut off in ${storage.name}`, {
          cause: error,
          details: { key },
        })
      }
      throw error
    }
    if (got !== end - start) {
      throw new AppError('backup.damaged', `${key} gave ${got} of ${end - start} bytes`, { details: { key } })
    }
  }
}

export const folderOf = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1)
export const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1)
