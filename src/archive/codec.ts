/**
 * Frames: independently compressed pieces of a payload, so that all cores work and a single file can be read without
 * the rest. Concatenated zstd frames are one zstd file, concatenated gzip members are one gzip file.
 */
import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

export type FrameCodec = 'zstd' | 'gzip'

export type CodecTask =
  | { kind: 'compress'; codec: FrameCodec; level: number }
  | { kind: 'expand'; codec: FrameCodec; size: number }

/** Output always lies in memory of its own, so that it can be moved between threads. */
export function runCodec(task: CodecTask, input: Uint8Array): Uint8Array<ArrayBuffer> {
  return task.kind === 'compress' ? compress(task.codec, task.level, input) : expand(task.codec, task.size, input)
}

const CHUNK = 512 * 1024

function compress(codec: FrameCodec, level: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
  // One output buffer of the worst size would be cleared and copied; half a megabyte at a time is as fast.
  const chunkSize = Math.min(CHUNK, Math.max(input.length, 4096))
  if (codec === 'gzip') return owned(gzipSync(input, { level, chunkSize, memLevel: 9 }))
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
  return owned(zstdCompressSync(input, { params, chunkSize, pledgedSrcSize: input.length }))
}

function expand(codec: FrameCodec, size: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
  // The recorded size bounds the output: a frame that wants to be larger is damage or a bomb.
  const options = { maxOutputLength: Math.max(size, 1), chunkSize: Math.max(size, 64) }
  const output = codec === 'gzip' ? gunzipSync(input, options) : zstdDecompressSync(input, options)
  if (output.length !== size) throw new Error(`frame holds ${output.length} bytes instead of ${size}`)
  return owned(output)
}

function owned(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && bytes.byteOffset === 0 && buffer.byteLength === bytes.length) {
    return new Uint8Array(buffer)
  }
  return Uint8Array.from(bytes)
}
