/** What is backed up: a mixed tree and one large file, the same bytes in every run on every machine. */
import { createCipheriv, type Cipheriv } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'

const KIB = 1024
const MIB = 1024 * KIB
/** To be raised when other bytes are made. */
const VERSION = 1

/** A stream of random bytes and numbers from a seed. */
class Random {
  readonly #cipher: Cipheriv
  #pool: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(seed: number) {
    const key = Buffer.alloc(16)
    key.writeUInt32LE(seed)
    this.#cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16))
  }

  bytes(count: number): Buffer {
    return this.#cipher.update(Buffer.alloc(count))
  }

  /** 0 ≤ n < below. */
  number(below: number): number {
    if (this.#at === this.#pool.length) {
      this.#pool = this.bytes(64 * KIB)
      this.#at = 0
    }
    const value = this.#pool.readUInt32LE(this.#at)
    this.#at += 4
    return value % below
  }

  /** Between the two, small ones more often: even on a logarithmic scale. */
  size(least: number, most: number): number {
    return Math.round(least * (most / least) ** (this.number(1e6) / 1e6))
  }
}

const SYLLABLES = 'ba co di fu ge ho in ja ke lo mi no or pa qu re so ta un va we xi yo ze th er st al ent'.split(' ')
const MARKS = ['(', ') ', ' = ', '.', ', ', ' { ', '}\n', ';\n', ';\n  ', ' => ', ' ', ' ', ' ', '\n', '\n    ']

class Words {
  readonly #random: Random
  readonly #words: string[]

  constructor(random: Random) {
    this.#random = random
    this.#words = Array.from({ length: 4096 }, () =>
      Array.from({ length: 1 + random.number(4) }, () => SYLLABLES[random.number(SYLLABLES.length)]).join(''),
    )
  }

  /** Like source text: few words often, many rarely. */
  text(size: number): Buffer {
    const random = this.#random
    let out = ''
    while (out.length < size) {
      const word = this.#words[Math.floor(random.size(1, 4096)) - 1] as string
      out += word + (MARKS[random.number(MARKS.length)] as string)
    }
    return Buffer.from(out.slice(0, size), 'latin1')
  }
}

/** Like machine code and tables: records in which some fields vary. */
function binary(random: Random, size: number): Buffer {
  const out = Buffer.alloc(size)
  for (let at = 0; at + 16 <= size; at += 16) {
    out.writeUInt32LE(0x4800_0000 + random.number(48), at)
    out.writeUInt32LE(at * 4, at + 4)
    out.writeUInt32LE(random.number(1 << 14), at + 8)
    out[at + 12] = random.number(8)
  }
  return out
}

export interface Material {
  path: string
  files: number
  bytes: number
}

/** Of ten thousand files a tree has this many of each kind. */
const KINDS: [share: number, name: string, make: (random: Random, words: Words) => Buffer][] = [
  [7000, 'source.ts', (random, words) => words.text(random.size(600, 24 * KIB))],
  [1600, 'config.json', (random, words) => words.text(random.size(40, 1500))],
  [900, 'module.bin', (random) => binary(random, random.size(10 * KIB, 260 * KIB))],
  [490, 'image.jpg', (random) => random.bytes(random.size(30 * KIB, 500 * KIB))],
  [10, 'film.mp4', (random) => random.bytes(random.size(MIB, 8 * MIB))],
]

/** Makes the tree, unless it is there. */
export function mixedTree(folder: string, files: number): Material {
  const path = join(folder, `tree-${files}`)
  return once(path, () => {
    const random = new Random(1)
    const words = new Words(random)
    let bytes = 0
    let parent = path
    for (let number = 0; number < files; number += 1) {
      if (number % 40 === 0) {
        parent = join(
          path,
          `part${Math.floor(number / 4000)}`,
          `module${Math.floor(number / 400)}`,
          `src${number / 40}`,
        )
        mkdirSync(parent, { recursive: true })
      }
      let pick = random.number(10_000)
      const kind = KINDS.find(([share]) => (pick -= share) < 0)
      if (kind === undefined) throw new Error('the shares of the kinds do not add up')
      const content = kind[2](random, words)
      writeFileSync(join(parent, `${number % 40}-${kind[1]}`), content)
      bytes += content.length
    }
    return { path, files, bytes }
  })
}

/** Makes the file, in a folder of its own, unless it is there. Every second mebibyte can be compressed. */
export function largeFile(folder: string, gib: number): Material {
  const path = join(folder, `large-${gib}`)
  return once(path, () => {
    const random = new Random(2)
    const words = new Words(random)
    mkdirSync(path, { recursive: true })
    const file = openSync(join(path, 'database.img'), 'w')
    const bytes = Math.round(gib * KIB) * MIB
    let text: Buffer = Buffer.alloc(0)
    for (let at = 0; at < bytes; at += 2 * MIB) {
      if (at % (64 * MIB) === 0) text = words.text(MIB)
      // Each piece of text begins elsewhere, so that it is no plain copy of the one before.
      const from = random.number(MIB)
      for (const piece of [random.bytes(MIB), text.subarray(from), words.text(from)]) writeSync(file, piece)
    }
    closeSync(file)
    return { path, files: 1, bytes }
  })
}

function once(path: string, make: () => Material): Material {
  const mark = `${path}.json`
  if (existsSync(mark)) {
    const made = JSON.parse(readFileSync(mark, 'utf8')) as Material & { version: number }
    if (made.version === VERSION) return made
  }
  rmSync(path, { recursive: true, force: true })
  console.error(`making ${path}`)
  const made = make()
  writeFileSync(mark, JSON.stringify({ ...made, version: VERSION }))
  return made
}

/** Reads everything once, so that all find it in the page cache. */
export function warm(path: string): void {
  const buffer = Buffer.allocUnsafe(MIB)
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = openSync(join(entry.parentPath, entry.name), 'r')
    while (readSync(file, buffer, 0, MIB, null) > 0);
    closeSync(file)
  }
}
