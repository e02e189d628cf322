/**
 * zstd with one context for many frames. `zstdCompressSync` makes a context and a buffer for each call; for frames of two
 * mebibytes that costs a third of the whole time. Node's stream objects keep their context, and their handle takes bytes
 * synchronously, but it is not public: where it looks different, the public functions do the work.
 */
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Fills `output` from its beginning, and gives the number of bytes. */
export type FrameFunction = (input: Uint8Array, output: Uint8Array) => number

interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void
}

interface Context {
  handle: Handle
  /** After a call: free bytes of the output, unread bytes of the input. */
  state: Uint32Array
}

/** One call of `zstdCompressSync` or the like per frame. */
const COMPRESS_SIMPLY =
  (level: number): FrameFunction =>
  (input, output) =>
    put(
      zstdCompressSync(input, {
        params: { [constants.ZSTD_c_compressionLevel]: level },
        chunkSize: output.length,
        pledgedSrcSize: input.length,
      }),
      output,
    )

const EXPAND_SIMPLY: FrameFunction = (input, output) =>
  put(zstdDecompressSync(input, { maxOutputLength: output.length, chunkSize: output.length + 64 }), output)

export function zstdCompressor(level: number): FrameFunction {
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  return withContext(() => createZstdCompress({ params }), constants.ZSTD_e_end, COMPRESS_SIMPLY(level))
}

/** `output` has one byte more than the frame should give, so that more shows. */
export const zstdExpander = (): FrameFunction =>
  withContext(() => createZstdDecompress(), constants.ZSTD_e_continue, EXPAND_SIMPLY)

function withContext(make: () => object, flush: number, simply: FrameFunction): FrameFunction {
  let context: Context | undefined
  return (input, output) => {
    context ??= contextOf(make())
    if (context === undefined) return simply(input, output)
    const failure = feed(context, flush, input, output)
    const [free = 0, unread = input.length] = context.state
    if (failure === undefined && unread === 0 && free > 0) return output.length - free
    // What this frame left behind must not meet the next one.
    context = undefined
    throw new Error(failure ?? 'the frame does not fit into its buffer')
  }
}

/** Whether this Node has what the quick way needs; a test looks at it when Node changes. */
export const keepsContext = (): boolean => contextOf(createZstdDecompress()) !== undefined

function feed({ handle }: Context, flush: number, input: Uint8Array, output: Uint8Array): string | undefined {
  let failure: string | undefined
  Object.assign(handle, { onerror: (message: string) => void (failure = message) })
  handle.writeSync(flush, input, 0, input.length, output, 0, output.length)
  return failure
}

function contextOf(stream: object): Context | undefined {
  const handle: unknown = Reflect.get(stream, '_handle')
  const state: unknown = Reflect.get(stream, '_writeState')
  return isHandle(handle) && state instanceof Uint32Array && state.length >= 2 ? { handle, state } : undefined
}

const isHandle = (value: unknown): value is Handle =>
  typeof value === 'object' &&
  value !== null &&
  'writeSync' in value &&
  typeof value.writeSync === 'function' &&
  'onerror' in value

function put(bytes: Uint8Array, output: Uint8Array): number {
  if (bytes.length > output.length) throw new Error('a frame did not fit into its buffer')
  output.set(bytes)
  return bytes.length
}
