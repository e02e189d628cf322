/** Content of one entry out of the pieces of a payload, checked against its hash while it is read. */
import { createInflateRaw } from 'node:zlib'
import { Readable } from 'node:stream'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { ByteStream } from '../base/streams.ts'
import { contentHash, hashOf } from './container.ts'
import type { ContentPlace, IndexEntry } from './index-format.ts'
import type { Piece } from './payload-reader.ts'

export class PieceCursor {
  readonly #pieces: AsyncGenerator<Piece>
  readonly #transient: boolean
  /** As it came, and with memory of its own where others may keep what they got. */
  #given: Piece | undefined
  #piece: Piece | undefined

  /** `transient`: what was given is not used any more when other bytes are fetched. */
  constructor(pieces: AsyncGenerator<Piece>, transient = false) {
    this.#pieces = pieces
    this.#transient = transient
  }

  async next(): Promise<boolean> {
    const step = await this.#pieces.next()
    const piece = step.done ? undefined : step.value
    // The same one may come twice.
    if (this.#given !== piece) {
      if (this.#transient) this.#given?.release?.()
      this.#given = piece
      this.#piece = piece === undefined || this.#transient ? piece : kept(piece)
    }
    return !step.done
  }

  /** The hash of these bytes, if it was made already where they were expanded. */
  hash(at: number, length: number): string | undefined {
    const known = this.#piece?.hashes?.get(at)
    return known?.length === length ? known.hash : undefined
  }

  /** The bytes from `at` on that are in hand, at most `length`; undefined if others must be fetched first. */
  peek(at: number, length: number): Bytes | undefined {
    const piece = this.#piece
    if (piece === undefined || at < piece.at || at >= piece.at + piece.bytes.length) return undefined
    return piece.bytes.subarray(at - piece.at, at - piece.at + length)
  }

  async fetch(at: number, length: number): Promise<Bytes | undefined> {
    for (;;) {
      const bytes = this.peek(at, length)
      if (bytes !== undefined) return bytes
      if (!(await this.next())) return undefined
    }
  }

  async close(): Promise<void> {
    await this.#pieces.return(undefined)
  }
}

function kept(piece: Piece): Piece {
  if (piece.release === undefined) return piece
  const own: Piece = {
    at: piece.at,
    bytes: Uint8Array.from(piece.bytes),
    ...(piece.hashes && { hashes: piece.hashes }),
  }
  piece.release()
  return own
}

export async function* contentOf(
  entry: IndexEntry,
  place: ContentPlace,
  cursor: PieceCursor,
  length: number,
): AsyncGenerator<Bytes> {
  // The ordinary small file: all of it is in hand.
  const inHand =
    length > 0 && place.packed === undefined && place.extents === undefined ? cursor.peek(place.at, length) : undefined
  if (inHand?.length === length) {
    if ((cursor.hash(place.at, length) ?? hashOf(inHand)) !== place.hash)
      throw damaged(entry, 'does not have the content that was backed up')
    yield inHand
    return
  }
  const hash = contentHash()
  let size = 0
  const raw = stored(entry, place, cursor, length)
  for await (const chunk of place.packed === undefined ? raw : inflated(entry, raw)) {
    hash.update(chunk)
    size += chunk.length
    if (size > entry.size) throw damaged(entry, 'has more content than was backed up')
    if (place.extents === undefined) yield chunk
    else yield* spread(place.extents, size - chunk.length, chunk)
  }
  if (place.extents !== undefined) {
    const end = place.extents.at(-1)
    yield* zeros(entry.size - (end === undefined ? 0 : end[0] + end[1]))
  }
  if (hash.digest() !== place.hash) throw damaged(entry, 'does not have the content that was backed up')
}

async function* stored(
  entry: IndexEntry,
  place: ContentPlace,
  cursor: PieceCursor,
  length: number,
): AsyncGenerator<Bytes> {
  for (let done = 0; done < length;) {
    const bytes = await cursor.fetch(place.at + done, length - done)
    if (bytes === undefined) throw damaged(entry, 'is cut off')
    yield bytes
    done += bytes.length
  }
}

async function* inflated(entry: IndexEntry, packed: ByteStream): AsyncGenerator<Bytes> {
  const inflate = createInflateRaw({ chunkSize: 256 * 1024 })
  const source = Readable.from(packed, { objectMode: true })
  source.on('error', (error) => inflate.destroy(error))
  try {
    for await (const chunk of source.pipe(inflate) as AsyncIterable<Bytes>) yield chunk
  } catch (error) {
    throw error instanceof AppError ? error : damaged(entry, 'cannot be inflated', error)
  } finally {
    source.destroy()
    inflate.destroy()
  }
}

const ZEROS = new Uint8Array(256 * 1024)

function* zeros(count: number): Generator<Bytes> {
  for (let rest = count; rest > 0; rest -= ZEROS.length) yield ZEROS.subarray(0, Math.min(rest, ZEROS.length))
}

/** `chunk` is bytes `at…` of the extents' data laid end to end; gives them with the holes between. */
function* spread(extents: readonly [number, number][], at: number, chunk: Bytes): Generator<Bytes> {
  let packed = 0
  let fileEnd = 0
  for (const [offset, length] of extents) {
    const from = Math.max(packed, at)
    const to = Math.min(packed + length, at + chunk.length)
    if (from < to) {
      if (from === packed) yield* zeros(offset - fileEnd)
      yield chunk.subarray(from - at, to - at)
    }
    packed += length
    fileEnd = offset + length
    if (packed >= at + chunk.length) return
  }
}

const damaged = (entry: IndexEntry, problem: string, cause?: unknown): AppError =>
  new AppError('backup.damaged', `${displayPath(entry.path)} ${problem}`, { cause, details: { path: entry.path } })
