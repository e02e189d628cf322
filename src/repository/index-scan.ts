/**
 * An index file byte by byte, when it is spelled exactly as restic and we spell it: no spaces, fields in their order. A hundred
 * thousand blobs become no hundred thousand objects of JSON first. Whatever is spelled in another way is left to the parser.
 */
import type { Bytes } from '../base/bytes.ts'
import type { PackedBlob } from './pack-header.ts'

const ascii = (text: string): Uint8Array => Buffer.from(text, 'latin1')
const HEAD = ascii('{"packs":[')
const PACK = ascii('{"id":"')
const BLOBS = ascii('","blobs":[')
const BLOB = ascii('{"id":"')
const DATA = ascii('","type":"data","offset":')
const TREE = ascii('","type":"tree","offset":')
const LENGTH = ascii(',"length":')
const EXPANDED = ascii(',"uncompressed_length":')
const COMMA = 0x2c
const OPEN = 0x7b
const CLOSE = 0x7d
const BRACKET = 0x5d
const ZERO = 0x30
const HEX_LENGTH = 64
/** Digits of a number: enough for 32 bits. */
const MOST_DIGITS = 10
const MAX = 2 ** 32 - 1

const IS_HEX = new Uint8Array(256)
for (const digit of ascii('0123456789abcdef')) IS_HEX[digit] = 1

type Add = (pack: string, blob: PackedBlob) => void

/** Whether all of it is spelled so and makes sense; calls `add` for each blob on the way, also where the answer will be no. */
export function scanIndex(bytes: Bytes, add?: Add): boolean {
  return new Scan(bytes).all(add)
}

class Scan {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Bytes) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  all(add: Add | undefined): boolean {
    if (!this.#word(HEAD)) return false
    if (this.#bytes[this.#at] !== BRACKET)
      do {
        if (!this.#pack(add)) return false
      } while (this.#byte(COMMA))
    if (!this.#byte(BRACKET) || !this.#byte(CLOSE)) return false
    this.#byte(0x0a)
    return this.#at === this.#bytes.length
  }

  #pack(add: Add | undefined): boolean {
    const id = this.#at + PACK.length
    if (!this.#word(PACK) || !this.#hex() || !this.#word(BLOBS)) return false
    const pack = add === undefined ? '' : this.#bytes.toString('latin1', id, id + HEX_LENGTH)
    if (this.#bytes[this.#at] === OPEN)
      do {
        if (!this.#blob(pack, add)) return false
      } while (this.#byte(COMMA))
    return this.#byte(BRACKET) && this.#byte(CLOSE)
  }

  #blob(pack: string, add: Add | undefined): boolean {
    const id = this.#at + BLOB.length
    if (!this.#word(BLOB) || !this.#hex()) return false
    const isTree = !this.#word(DATA)
    if (isTree && !this.#word(TREE)) return false
    const offset = this.#number()
    if (offset === -1 || !this.#word(LENGTH)) return false
    const length = this.#number()
    if (length === -1 || offset + length > MAX) return false
    const uncompressedLength = this.#word(EXPANDED) ? this.#number() : 0
    if (uncompressedLength === -1 || !this.#byte(CLOSE)) return false
    add?.(pack, {
      id: this.#bytes.toString('latin1', id, id + HEX_LENGTH),
      type: isTree ? 'tree' : 'data',
      offset,
      length,
      uncompressedLength,
    })
    return true
  }

  #byte(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false
    this.#at += 1
    return true
  }

  /** Goes on behind it if it is there. */
  #word(word: Uint8Array): boolean {
    const bytes = this.#bytes
    const at = this.#at
    for (let n = 0; n < word.length; n += 1) if (bytes[at + n] !== word[n]) return false
    this.#at = at + word.length
    return true
  }

  #hex(): boolean {
    const bytes = this.#bytes
    const end = this.#at + HEX_LENGTH
    if (end > bytes.length) return false
    for (let at = this.#at; at < end; at += 1) if (IS_HEX[bytes[at] as number] === 0) return false
    this.#at = end
    return true
  }

  /** -1 when there is none, or one that JSON does not know, or one of more than 32 bits. */
  #number(): number {
    const bytes = this.#bytes
    const first = this.#at
    let value = 0
    let at = first
    for (; at - first <= MOST_DIGITS; at += 1) {
      const digit = (bytes[at] ?? 0) - ZERO
      if (digit < 0 || digit > 9) break
      value = value * 10 + digit
    }
    if (at === first || (at > first + 1 && bytes[first] === ZERO) || value > MAX) return -1
    this.#at = at
    return value
  }
}
