import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newEngine } from './engine.ts'
import { poly1305 } from './poly1305.ts'

const KIB = 1024
const MIN = 512 * KIB
const MAX = 8192 * KIB
const POLYNOMIAL = 0x3da3358b4dc173n

/** xorshift: the same bytes each time. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let x = seed
  for (let at = 0; at < length; at += 1) {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    bytes[at] = x
  }
  return bytes
}

/** restic's chunker, word for word as its description has it: one byte at a time, in BigInt. */
function slowCuts(bytes: Buffer, min: number, max: number, mask: bigint): number[] {
  const degree = (x: bigint): number => (x === 0n ? -1 : x.toString(2).length - 1)
  const mod = (x: bigint): bigint => {
    let rest = x
    for (let k = degree(rest); k >= 53; k = degree(rest)) rest ^= POLYNOMIAL << BigInt(k - 53)
    return rest
  }
  const out = Array.from({ length: 256 }, (_, b) => {
    let h = mod(BigInt(b))
    for (let i = 0; i < 63; i += 1) h = mod(h << 8n)
    return h
  })
  const table = Array.from({ length: 256 }, (_, b) => mod(BigInt(b) << 53n) | (BigInt(b) << 53n))
  const cuts: number[] = []
  for (let start = 0; start < bytes.length;) {
    const window = new Uint8Array(64)
    window[0] = 1
    let at = 1
    let digest = 1n
    let end = bytes.length
    for (let i = start + min - 64; i < bytes.length; i += 1) {
      digest ^= out[window[at] as number] as bigint
      window[at] = bytes[i] as number
      at = (at + 1) % 64
      const top = Number(digest >> 45n)
      digest = (((digest << 8n) | BigInt(bytes[i] as number)) ^ (table[top] as bigint)) & ((1n << 64n) - 1n)
      const length = i + 1 - start
      if (length >= min && ((digest & mask) === 0n || length >= max)) {
        end = i + 1
        break
      }
    }
    cuts.push(end)
    start = end
  }
  return cuts
}

function fastCuts(bytes: Buffer, min: number, max: number, bits: number): number[] {
  const engine = newEngine()
  engine.chunkerInit(POLYNOMIAL, bits)
  const base = engine.reserve(bytes.length)
  engine.bytes().set(bytes, base)
  const cuts: number[] = []
  for (let start = 0; start < bytes.length;) {
    const rest = Math.min(bytes.length - start, max)
    const cut = rest <= min ? rest : engine.nextCut(base + start, min, rest) || rest
    start += cut
    cuts.push(start)
  }
  return cuts
}

test('the chunker cuts where a slow twin cuts, also in runs of zeros', () => {
  const bytes = Buffer.concat([noise(900_000, 7), Buffer.alloc(300_000), noise(300_000, 11)])
  for (const [min, max, bits] of [
    [2048, 32_768, 12],
    [64, 200_000, 17],
    [70_000, 90_000, 20],
  ] as const)
    assert.deepEqual(fastCuts(bytes, min, max, bits), slowCuts(bytes, min, max, (1n << BigInt(bits)) - 1n))
})

test('a run of zeros is cut at the least length', () => {
  assert.deepEqual(fastCuts(Buffer.alloc(1_500_000), MIN, MAX, 20), [MIN, 2 * MIN, 1_500_000])
})

test('Poly1305 gives the sums of RFC 8439 and of a slow twin, at every length', () => {
  const from = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
  const out = Buffer.alloc(16)
  poly1305(
    from('85d6be7857556d337f4452fe42d506a8'),
    from('0103808afb0db2fd4abff6af4149f51b'),
    Buffer.from('Cryptographic Forum Research Group'),
    out,
    0,
  )
  assert.equal(out.toString('hex'), 'a8061dc1305136c6c22b8baf0c0127a9')
  const number = (bytes: Buffer): bigint => BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex') || '0'}`)
  const slow = (r: Buffer, s: Buffer, message: Buffer): string => {
    const key = number(r) & 0x0ffffffc0ffffffc0ffffffc0fffffffn
    let sum = 0n
    for (let at = 0; at < message.length; at += 16) {
      const block = message.subarray(at, at + 16)
      sum = ((sum + number(block) + (1n << BigInt(8 * block.length))) * key) % ((1n << 130n) - 5n)
    }
    const result = (sum + number(s)) & ((1n << 128n) - 1n)
    return Buffer.from(Buffer.from(result.toString(16).padStart(32, '0'), 'hex').toReversed()).toString('hex')
  }
  for (const [fill, length] of [
    ...Array.from({ length: 70 }, (_, n) => [n * 3, n] as const),
    [255, 100_001] as const,
  ]) {
    const [r, s] = [Buffer.alloc(16, 255 - (fill % 4)), Buffer.alloc(16, 255)]
    const message = length > 60 ? Buffer.alloc(length, fill) : noise(length, fill + 1)
    poly1305(r, s, message, out, 0)
    assert.equal(out.toString('hex'), slow(r, s, message))
  }
})

test('the committed WebAssembly is what its sources build', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-wasm-'))
  try {
    const done = spawnSync(process.execPath, [join(import.meta.dirname, '../../scripts/build-wasm.ts'), dir])
    assert.equal(done.status, 0, done.stderr.toString())
    for (const name of ['engine.wasm', 'scrypt.wasm'])
      assert.ok(readFileSync(join(dir, name)).equals(readFileSync(join(import.meta.dirname, name))), name)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
