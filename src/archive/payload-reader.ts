/** Reading container bytes of one payload: only the frames that hold what is wanted, expanded by all cores, in order. */
import { createBrotliDecompress, createInflate } from 'node:zlib'
import { Readable } from 'node:stream'
import type { Bytes } from '../base/bytes.ts'
import { AppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { ByteSource } from './cipher.ts'
import type { Block, CodecPool } from './codec-pool.ts'
import type { FrameCodec } from './codec.ts'
import type { Compression } from './manifest.ts'

/** A run of container bytes. */
export interface Piece {
  at: number
  bytes: Bytes
  /** The bytes are not used any more, and may become others. */
  release?(): void
  /** Hashes of spans that lie in this piece whole, where they are known already, by their start. */
  hashes?: Map<number, { length: number; hash: string }>
}

/** Container bytes `start…end`, in order and without overlaps. */
export interface Span {
  start: number
  end: number
}

export interface PayloadReader {
  /**
   * Gives at least the wanted spans, in order; what lies between near spans may come too. The same piece may come twice
   * in a row.
   */
  pieces(spans: AsyncIterable<Span>): AsyncGenerator<Piece>
}

const CHUNK = 1024 * 1024

export function payloadReader(
  source: ByteSource,
  compression: Compression,
  frames: readonly [number, number][],
  pool: CodecPool,
): PayloadReader {
  if (compression === 'none') return plainReader(source)
  if (compression === 'brotli' || compression === 'deflate') return streamReader(source, compression)
  return frameReader(source, compression, frames, pool)
}

/** Joins spans whose gap is cheaper to read than to skip. */
async function* runs(spans: AsyncIterable<Span>, gap: number): AsyncGenerator<Span> {
  let run: Span | undefined
  for await (const span of spans) {
    if (run !== undefined && span.start <= run.end + gap && run.end - run.start < 64 * CHUNK) {
      run.end = Math.max(run.end, span.end)
      continue
    }
    if (run !== undefined) yield run
    run = { ...span }
  }
  if (run !== undefined) yield run
}

function plainReader(source: ByteSource): PayloadReader {
  return {
    async *pieces(spans) {
      for await (const { start, end } of runs(spans, CHUNK)) {
        let at = start
        for await (const bytes of source.read({ start, end: Math.min(end, source.size) })) {
          yield { at, bytes }
          at += bytes.length
        }
      }
    },
  }
}

function streamReader(source: ByteSource, compression: 'brotli' | 'deflate'): PayloadReader {
  return {
    async *pieces(spans) {
      const wanted = spans[Symbol.asyncIterator]()
      let next = await wanted.next()
      if (next.done) return
      let end = 0
      const codec =
        compression === 'brotli'
          ? createBrotliDecompress({ chunkSize: CHUNK / 4 })
          : createInflate({ chunkSize: CHUNK / 4 })
      const input = Readable.from(source.read({ start: 0, end: source.size }), { objectMode: true })
      input.on('error', (error) => codec.destroy(error))
      let at = 0
      try {
        for await (const bytes of input.pipe(codec) as AsyncIterable<Bytes>) {
          while (!next.done && next.value.start < at + bytes.length) {
            end = Math.max(end, next.value.end)
            next = await wanted.next()
          }
          if (at < end) yield { at, bytes }
          at += bytes.length
          if (next.done && at >= end) return
        }
      } catch (error) {
        throw error instanceof AppError
          ? error
          : new AppError('backup.damaged', `${source.what} cannot be decompressed`, { cause: error })
      } finally {
        input.destroy()
        codec.destroy()
      }
    },
  }
}

function frameReader(
  source: ByteSource,
  codec: FrameCodec,
  frames: readonly [number, number][],
  pool: CodecPool,
): PayloadReader {
  const starts = new Float64Array(frames.length + 1)
  const stored = new Float64Array(frames.length + 1)
  frames.forEach(([size, packed], position) => {
    starts[position + 1] = (starts[position] as number) + size
    stored[position + 1] = (stored[position] as number) + packed
  })
  if (stored[frames.length] !== source.size) {
    throw new AppError(
      'backup.damaged',
      `${source.what} has ${source.size} bytes, its frame table says ${stored[frames.length]}`,
    )
  }
  const frameAt = (at: number): number => {
    let low = 0
    let high = frames.length
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] as number) <= at) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Compressed frames first…last as they lie. */
  async function* compressed(
    first: number,
    last: number,
  ): AsyncGenerator<{ frame: number; block: Block; length: number }> {
    const range = { start: stored[first] as number, end: stored[last + 1] as number }
    let frame = first
    const sizeOf = (n: number): number => (first + n <= last ? (frames[first + n] as [number, number])[1] : 0)
    for await (const cut of splitAt(source.read(range), sizeOf, pool)) yield { frame: frame++, ...cut }
  }

  async function expand(frame: number, input: Block, length: number, wanted: Span[]): Promise<Piece> {
    const [size] = frames[frame] as [number, number]
    const at = starts[frame] as number
    const spans = wanted.flatMap(({ start, end }) => [start - at, end - start])
    try {
      const { output, hashes } = await pool.run({ kind: 'expand', codec, size, spans }, input, length)
      input.release()
      const known = new Map(
        wanted.map(({ start, end }, n) => [start, { length: end - start, hash: hashes[n] as string }]),
      )
      return { at, bytes: output.memory.subarray(0, size), release: () => output.release(), hashes: known }
    } catch (error) {
      throw new AppError('backup.damaged', `frame ${frame} of ${source.what} cannot be decompressed`, { cause: error })
    }
  }

  return {
    async *pieces(spans) {
      const ahead: Promise<Piece>[] = []
      /** Spans that came and are not in a frame that was taken yet. */
      const seen: Span[] = []
      let nextFrame = 0
      let newest: Promise<Piece> | undefined
      const watched = async function* (): AsyncGenerator<Span> {
        for await (const span of spans) {
          seen.push(span)
          yield span
        }
      }
      /** Those that the frame holds whole; their hashes are made where it is expanded. */
      const within = (frame: number): Span[] => {
        const [start, end] = [starts[frame] as number, starts[frame + 1] as number]
        const found: Span[] = []
        let passed = 0
        while (passed < seen.length && (seen[passed] as Span).start < end) {
          const span = seen[passed] as Span
          if (span.end > end) break
          if (span.start >= start) found.push(span)
          passed += 1
        }
        seen.splice(0, passed)
        return found
      }
      try {
        for await (const { start, end } of runs(watched(), CHUNK)) {
          const first = Math.max(nextFrame, frameAt(start))
          const last = Math.min(frameAt(Math.max(end - 1, start)), frames.length - 1)
          // The frame where the last run ended may hold the beginning of this one.
          if (newest !== undefined && frameAt(start) < nextFrame) ahead.push(newest)
          if (first > last) continue
          nextFrame = last + 1
          for await (const { frame, block, length } of compressed(first, last)) {
            const piece = expand(frame, block, length, within(frame))
            piece.catch(() => {})
            ahead.push(piece)
            newest = piece
            if (ahead.length > pool.threads + 1) yield await (ahead.shift() as Promise<Piece>)
          }
        }
        while (ahead.length > 0) yield await (ahead.shift() as Promise<Piece>)
      } finally {
        for (const result of await Promise.allSettled(ahead))
          if (result.status === 'fulfilled') result.value.release?.()
      }
    },
  }
}

/** Re-cuts a stream into blocks of the given sizes, until one is 0. */
async function* splitAt(
  input: ByteStream,
  sizeOf: (n: number) => number,
  pool: CodecPool,
): AsyncGenerator<{ block: Block; length: number }> {
  let number = 0
  let length = sizeOf(0)
  let block = pool.take(length)
  let filled = 0
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(length - filled, chunk.length - at)
      block.memory.set(chunk.subarray(at, at + count), filled)
      filled += count
      at += count
      if (filled < length) continue
      yield { block, length }
      number += 1
      length = sizeOf(number)
      filled = 0
      if (length === 0) {
        if (at < chunk.length) throw new AppError('backup.damaged', 'more bytes than frames')
        break
      }
      block = pool.take(length)
    }
  }
}
