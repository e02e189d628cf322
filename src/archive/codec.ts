/**
 * Frames: independently compressed pieces of a payload, so that all cores work and a single file can be read without
 * the rest. Concatenated zstd frames are one zstd file, concatenated gzip members are one gzip file.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import { hashOf } from './container.ts'
import { zstdCompressor, zstdExpander, type FrameFunction } from '../base/zstd-frames.ts'

export type FrameCodec = 'zstd' | 'gzip'

export type CodecTask =
  | { kind: 'compress'; codec: FrameCodec; level: number }
  /** `spans`: offset and length, in turn, of pieces of the frame whose hashes are wanted. */
  | { kind: 'expand'; codec: FrameCodec; size: number; spans: number[] }

export interface CodecResult {
  /** Bytes put into the output. */
  size: number
  hashes: string[]
}

/** What a task's output has to have room for: the worst case, and for what is expanded a byte by which more shows. */
export const outputSize = (task: CodecTask, inputLength: number): number =>
  task.kind === 'expand' ? task.size + 1 : inputLength + (inputLength >> 7) + 4096

const coders = new Map<string, FrameFunction>()

function coder(key: string, make: () => FrameFunction): FrameFunction {
  const known = coders.get(key)
  if (known !== undefined) return known
  const made = make()
  coders.set(key, made)
  return made
}

export function runCodec(task: CodecTask, input: Uint8Array, output: Uint8Array): CodecResult {
  if (task.kind === 'compress') {
    const { codec, level } = task
    const compress = coder(`${codec} ${level}`, () => (codec === 'gzip' ? gzip(level) : zstdCompressor(level)))
    return { size: compress(input, output), hashes: [] }
  }
  const { codec, spans } = task
  const expand = coder(codec, () => (codec === 'gzip' ? gunzip : zstdExpander()))
  const size = expand(input, output)
  if (size !== task.size) throw new Error(`frame holds ${size} bytes instead of ${task.size}`)
  const hashes: string[] = []
  for (let at = 0; at < spans.length; at += 2) {
    const start = spans[at] as number
    hashes.push(hashOf(output.subarray(start, start + (spans[at + 1] as number))))
  }
  return { size, hashes }
}

function gzip(level: number): FrameFunction {
  return (input, output) => put(gzipSync(input, { level, chunkSize: output.length, memLevel: 9 }), output)
}

/** The size of the output bounds what comes: a frame that wants to be larger is damage or a bomb. */
const gunzip: FrameFunction = (input, output) =>
  put(gunzipSync(input, { maxOutputLength: output.length, chunkSize: output.length + 64 }), output)

/** The memory goes back at once: a thread makes little other garbage, so that its collector would let it gather. */
function put(bytes: Buffer<ArrayBuffer>, output: Uint8Array): number {
  const { length } = bytes
  output.set(bytes)
  if (length > 256 * 1024 && bytes.buffer.byteLength >= output.length) bytes.buffer.transfer(0)
  return length
}
