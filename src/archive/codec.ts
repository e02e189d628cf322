/**
 * Frames: independently compressed pieces of a payload, so that all cores work and a single file can be read without
 * the rest. Concatenated zstd frames are one zstd file, concatenated gzip members are one gzip file.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

export type FrameCodec = 'zstd' | 'gzip'

export type CodecTask =
  | { kind: 'compress'; codec: FrameCodec; level: number }
  | { kind: 'expand'; codec: FrameCodec; size: number }

/** Output lies in memory that nothing else uses, so that it can be moved between threads. */
export function runCodec(task: CodecTask, input: Uint8Array): Uint8Array<ArrayBuffer> {
  return task.kind === 'compress' ? compress(task.codec, task.level, input) : expand(task.codec, task.size, input)
}

/**
 * Without zstd's own checksum: content and parts have their SHA-256. The output buffer holds the worst case, so that
 * there is one; the system gives only the pages that are written to, and gets them back at once. A thread makes little
 * other garbage, so that its collector would let tens of megabytes of them gather.
 */
function compress(codec: FrameCodec, level: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
  const chunkSize = input.length + (input.length >> 7) + 4096
  const output =
    codec === 'gzip'
      ? gzipSync(input, { level, chunkSize, memLevel: 9 })
      : zstdCompressSync(input, {
          params: { [constants.ZSTD_c_compressionLevel]: level },
          chunkSize,
          pledgedSrcSize: input.length,
        })
  const own = Uint8Array.from(output)
  if (output.buffer instanceof ArrayBuffer && output.buffer.byteLength === chunkSize) output.buffer.transfer(0)
  return own
}

function expand(codec: FrameCodec, size: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
  // The recorded size bounds the output: a frame that wants to be larger is damage or a bomb.
  // One byte more, else a full buffer would be followed by a second one.
  const options = { maxOutputLength: Math.max(size, 1), chunkSize: size + 64 }
  const output = codec === 'gzip' ? gunzipSync(input, options) : zstdDecompressSync(input, options)
  if (output.length !== size) throw new Error(`frame holds ${output.length} bytes instead of ${size}`)
  return output.buffer instanceof ArrayBuffer && output.buffer.byteLength === size + 64
    ? new Uint8Array(output.buffer, 0, size)
    : Uint8Array.from(output)
}
