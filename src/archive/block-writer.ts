/**
 * From a synchronous producer to an ordered stream of compressed frames, in bounded memory. The producer fills blocks of
 * shared memory; threads compress them; the consumer pulls the results in order. Results that are not yet pulled count,
 * so a slow storage holds the producer back.
 */
import { constants, createBrotliCompress, createDeflate } from 'node:zlib'
import { Readable } from 'node:stream'
import type { Bytes } from '../base/bytes.ts'
import { toAppError } from '../base/errors.ts'
import type { ByteStream } from '../base/streams.ts'
import type { FrameCodec } from './codec.ts'
import type { Block, CodecPool } from './codec-pool.ts'
import type { Compression } from './manifest.ts'

export interface BlockWriter {
  /** Bytes of container written so far. */
  readonly offset: number
  readonly blockSize: number
  /** The block in hand, and how much of it is taken; call `advance` for what was put behind that. */
  readonly memory: Buffer
  readonly used: number
  advance(bytes: number): void
  /** Makes room for `bytes` (at most blockSize) in the block in hand; undefined when there is room already. */
  room(bytes: number): Promise<void> | undefined
  write(bytes: Bytes): Promise<void> | undefined
  /** No more will come. */
  end(): Promise<void>
  /** The other side failed: whoever waits here gets this error. */
  fail(error: unknown): void
  /** The compressed stream; pull it once. Unless `copies`, a chunk is there until the next one is pulled. */
  output(): ByteStream
  /** `[container bytes, compressed bytes]` of the frames pulled so far, where frames exist; empties the list. */
  takeFrames(): [number, number][]
}

export interface BlockWriterOptions {
  compression: { type: Compression; level: number }
  pool: CodecPool
  blockSize?: number
  /** Give memory that nothing else uses. */
  copies?: boolean
}

interface Frame {
  block: Block
  /** Bytes of the block that are the frame, and what they were before compression. */
  length: number
  plain: number
}

/** How many compressed frames wait for a slow storage. */
const HELD = 4

export const BLOCK_SIZE = 2 * 1024 * 1024

export function blockWriter({
  compression,
  pool,
  blockSize = BLOCK_SIZE,
  copies = isStreamed(compression.type),
}: BlockWriterOptions): BlockWriter {
  /** Each thread has a block in hand and one to come, so that none waits for the producer's next turn. */
  const limit = 2 * pool.threads
  const frames: [number, number][] = []
  const queue: Promise<Frame>[] = []
  const wakeProducer = gate()
  const wakeConsumer = gate()
  const codec = frameCodec(compression.type)
  let current = pool.take(blockSize)
  let used = 0
  let before = 0
  /** Blocks handed over and not yet compressed. */
  let inFlight = 0
  /** Frames compressed and not yet pulled, the one in the consumer's hands included. */
  let held = 0
  let ended = false
  let failure: Error | undefined

  async function compressed(block: Block, plain: number): Promise<Frame> {
    let frame: Frame = { block, length: plain, plain }
    if (codec !== undefined) {
      const { size, output } = await pool.run({ kind: 'compress', codec, level: compression.level }, block, plain)
      block.release()
      frame = { block: output, length: size, plain }
    }
    inFlight -= 1
    held += 1
    wakeProducer.open()
    return frame
  }

  function handOver(): void {
    before += used
    inFlight += 1
    const result = compressed(current, used)
    result.catch((error: unknown) => fail(error))
    queue.push(result)
    wakeConsumer.open()
  }

  async function flush(): Promise<void> {
    handOver()
    // Lets the threads' answers and the storage's callbacks in.
    await new Promise((resolve) => setImmediate(resolve))
    while (failure === undefined && (inFlight >= limit || held >= HELD)) await wakeProducer.wait()
    if (failure !== undefined) throw failure
    current = pool.take(blockSize)
    used = 0
  }

  function fail(error: unknown): void {
    failure ??= toAppError(error)
    wakeProducer.open()
    wakeConsumer.open()
  }

  async function* frameStream(): AsyncGenerator<Bytes> {
    for (;;) {
      while (queue.length === 0 && !ended && failure === undefined) await wakeConsumer.wait()
      if (failure !== undefined) throw failure
      const next = queue.shift()
      if (next === undefined) return
      const { block, length, plain } = await next
      if (codec !== undefined) frames.push([plain, length])
      const bytes = block.memory.subarray(0, length)
      yield copies ? Uint8Array.from(bytes) : bytes
      block.release()
      held -= 1
      wakeProducer.open()
    }
  }

  return {
    blockSize,
    get offset() {
      return before + used
    },
    get memory() {
      // A block may be larger than was asked for: who fills it to its end would pass the end of the frame.
      return current.memory.subarray(0, blockSize)
    },
    get used() {
      return used
    },
    advance(bytes) {
      used += bytes
    },
    room(bytes) {
      return blockSize - used >= bytes ? undefined : flush()
    },
    write(bytes) {
      if (blockSize - used >= bytes.length) {
        current.memory.set(bytes, used)
        used += bytes.length
        return undefined
      }
      return (async () => {
        for (let at = 0; at < bytes.length;) {
          if (used === blockSize) await flush()
          const count = Math.min(blockSize - used, bytes.length - at)
          current.memory.set(bytes.subarray(at, at + count), used)
          used += count
          at += count
        }
      })()
    },
    async end() {
      if (failure !== undefined) throw failure
      if (used > 0 || before === 0) handOver()
      ended = true
      wakeConsumer.open()
    },
    fail,
    output: () => (isStreamed(compression.type) ? streamCodec(frameStream(), compression) : frameStream()),
    takeFrames: () => frames.splice(0),
  }
}

function frameCodec(type: Compression): FrameCodec | undefined {
  return type === 'zstd' || type === 'gzip' ? type : undefined
}

const isStreamed = (type: Compression): type is 'brotli' | 'deflate' => type === 'brotli' || type === 'deflate'

/** Brotli and zlib have no frames that could be joined: one stream, one thread. */
function streamCodec(input: ByteStream, { type, level }: { type: Compression; level: number }): ByteStream {
  const stream =
    type === 'brotli'
      ? createBrotliCompress({ chunkSize: 256 * 1024, params: { [constants.BROTLI_PARAM_QUALITY]: level } })
      : createDeflate({ level, chunkSize: 256 * 1024 })
  const source = Readable.from(input, { objectMode: false, highWaterMark: 1 })
  source.on('error', (error) => stream.destroy(error))
  source.pipe(stream)
  return stream
}

interface Gate {
  wait(): Promise<void>
  open(): void
}

/** Wakes the one that waits; an opening before the wait is remembered. */
function gate(): Gate {
  let opened = false
  let waiter: (() => void) | undefined
  return {
    async wait() {
      if (!opened) await new Promise<void>((resolve) => (waiter = resolve))
      opened = false
      waiter = undefined
    },
    open() {
      opened = true
      waiter?.()
    },
  }
}
