import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { keepsContext, zstdCompressor, zstdExpander } from './zstd-frames.ts'

const text = Buffer.from('what is said often is said in few bytes; '.repeat(5000))
const room = (size: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(size))

test('this Node lets a zstd context be kept for many frames', () => {
  assert.equal(keepsContext(), true)
})

test('frames of one context are whole frames, each by itself, and zstd reads them as one file', () => {
  const compress = zstdCompressor(3)
  const output = room(1_000_000)
  const inputs = [text, randomBytes(300_000), Buffer.alloc(0), text.subarray(7)]
  const frames = inputs.map((input) => Buffer.from(output.slice(0, compress(input, output))))
  for (const [n, frame] of frames.entries()) assert.deepEqual(zstdDecompressSync(frame), inputs[n])
  const whole = spawnSync('zstd', ['-dc'], { input: Buffer.concat(frames) })
  assert.deepEqual(whole.stdout, Buffer.concat(inputs))
})

test('frames are expanded, those of other programs too', () => {
  const expand = zstdExpander()
  const output = room(text.length + 1)
  for (const input of [text, Buffer.alloc(0), text.subarray(100)]) {
    const size = expand(zstdCompressSync(input), output)
    assert.deepEqual(Buffer.from(output.slice(0, size)), Buffer.from(input))
  }
})

test('a frame that wants to be larger than it should is refused, as is one that is cut off or changed; the next is read', () => {
  const expand = zstdExpander()
  const frame = zstdCompressSync(text)
  assert.throws(() => expand(frame, room(text.length)))
  assert.notEqual(
    tried(() => expand(frame.subarray(0, -3), room(text.length + 1))),
    text.length,
  )
  const changed = Buffer.from(frame)
  changed[4] = (changed[4] ?? 0) ^ 0xff
  assert.notEqual(
    tried(() => expand(changed, room(text.length + 1))),
    text.length,
  )
  const output = room(text.length + 1)
  assert.equal(expand(frame, output), text.length)
  assert.deepEqual(Buffer.from(output.slice(0, text.length)), text)
})

test('a frame that does not fit is an error, and the next one is right', () => {
  const compress = zstdCompressor(3)
  assert.throws(() => compress(randomBytes(10_000), room(100)), /fit/)
  const output = room(20_000)
  const input = randomBytes(10_000)
  assert.deepEqual(zstdDecompressSync(Buffer.from(output.slice(0, compress(input, output)))), input)
})

function tried(work: () => number): number | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
