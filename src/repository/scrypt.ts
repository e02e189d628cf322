/**
 * scrypt as Node has it, for keys whose `p` is above one: its lanes do not depend on each other, and two at once with SIMD take
 * little longer than one. A key of restic (N = 32768, r = 8, p = 4 or 5) opens in less than half of the time.
 */
import { pbkdf2Sync, scrypt, type BinaryLike } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Bytes } from '../base/bytes.ts'

const derive = promisify<BinaryLike, BinaryLike, number, object, Buffer>(scrypt)

export interface ScryptCost {
  N: number
  r: number
  p: number
}

interface Memory {
  readonly buffer: ArrayBuffer
}
declare const WebAssembly: {
  validate(bytes: Uint8Array): boolean
  Module: new (bytes: Uint8Array) => object
  Memory: new (limits: { initial: number }) => Memory
  Instance: new (module: object, imports: object) => { exports: unknown }
}

interface Mixer {
  fill(a: number, b: number, size: number, from: number, to: number): void
  mix(...args: [...ten: [number, number, number, number, number, number, number, number], rounds: number]): void
}

const PAGE = 65_536
/** Of both lanes; more is left to Node, which takes it for one lane at a time. */
const MOST_MEMORY = 80 * 1024 * 1024
/** Steps after which others have their turn: some milliseconds. */
const SLICE = 1024
/** Word i of a block of the RFC lies in place PLACES[i]. */
const PLACES = Array.from({ length: 16 }, (_, at) => at).sort((a, b) => ((a * 5) % 16) - ((b * 5) % 16))

export async function scryptKey(password: Bytes, salt: Bytes, length: number, cost: ScryptCost): Promise<Buffer> {
  const { N, r, p } = cost
  const size = 128 * r
  const memory = 2 * (N + 2) * size
  const blocks = pbkdf2Sync(password, salt, 1, p * size, 'sha256')
  if (p === 1 || N < SLICE || memory > MOST_MEMORY || !(await mixAll(blocks, cost)))
    return derive(password, salt, length, { ...cost, maxmem: 128 * N * r + 128 * r * p + 1024 * 1024 })
  collectNow()
  return pbkdf2Sync(password, blocks, 1, length, 'sha256')
}

/** Whether it could. All that holds the memory ends with it. */
async function mixAll(blocks: Buffer, { N, r, p }: ScryptCost): Promise<boolean> {
  const size = 128 * r
  const mixer = mixerOf(2 * (N + 2) * size)
  if (mixer === undefined) return false
  // An odd one out is mixed twice, which costs nothing but memory traffic.
  for (let lane = 0; lane < p; lane += 2) {
    const [a, b] = [lane, Math.min(lane + 1, p - 1)]
    await mixPair(mixer, N, [blocks.subarray(a * size, (a + 1) * size), blocks.subarray(b * size, (b + 1) * size)])
  }
  return true
}

/** Memory of WebAssembly goes when the collector finds that nobody has it, which would be long after the backup has begun. */
function collectNow(): void {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
}

async function mixPair({ mixer, words }: { mixer: Mixer; words: Uint32Array }, N: number, pair: [Buffer, Buffer]) {
  const { length: size } = pair[0]
  const table = (N + 2) * size
  // Tables, behind each the state that its last block is, and room for the next one.
  const [a, b] = [0, table]
  const [xa, xb] = [N * size, table + N * size]
  for (const [at, block] of [[a, pair[0]] as const, [b, pair[1]] as const])
    for (let word = 0; word < size / 4; word += 1)
      words[at / 4 + (word & ~15) + (PLACES[word & 15] as number)] = block.readUInt32LE(word * 4)
  for (let from = 0; from < N; from += SLICE) {
    mixer.fill(a, b, size, from, from + SLICE)
    await turn()
  }
  for (let done = 0; done < N; done += SLICE) {
    mixer.mix(a, b, xa, xb, xa + size, xb + size, size, N - 1, SLICE)
    await turn()
  }
  for (const [at, block] of [[xa, pair[0]] as const, [xb, pair[1]] as const])
    for (let word = 0; word < size / 4; word += 1)
      block.writeUInt32LE(words[at / 4 + (word & ~15) + (PLACES[word & 15] as number)] as number, word * 4)
  words.fill(0, 0, 16)
}

const turn = async (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Undefined where this Node has no SIMD. */
function mixerOf(bytes: number): { mixer: Mixer; words: Uint32Array } | undefined {
  const code = readFileSync(join(import.meta.dirname, 'scrypt.wasm'))
  if (!WebAssembly.validate(code)) return undefined
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) })
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } })
  return { mixer: exports as Mixer, words: new Uint32Array(memory.buffer) }
}
