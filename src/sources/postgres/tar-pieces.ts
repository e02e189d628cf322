/**
 * Tars as the server makes them (ustar), cut and read. They are cut where files begin, so that a file of a table that
 * did not change gives the same pieces again.
 */
import { AppError } from '../../base/errors.ts'

const BLOCK = 512
export const PIECE = 1024 * 1024
/** A file of this size has pieces of its own. */
const LARGE = 256 * 1024

export interface TarPiece {
  /** Used again for the next one. */
  bytes: Buffer
  /** How many pieces before it the file began that it goes on with, at its head; 0: it begins with a head itself. */
  since: number
}

export async function* tarPieces(tar: AsyncIterable<Buffer>): AsyncGenerator<TarPiece> {
  const memory = Buffer.allocUnsafe(PIECE)
  let filled = 0
  let head: Buffer = Buffer.alloc(0)
  /** Of the file in hand, with what fills its last block. */
  let left = 0
  let large = false
  let since = 0
  for await (const chunk of tar) {
    let rest: Buffer = chunk
    while (rest.length > 0) {
      if (left === 0) {
        const count = Math.min(BLOCK - head.length, rest.length)
        head = Buffer.concat([head, rest.subarray(0, count)])
        rest = rest.subarray(count)
        if (head.length < BLOCK) continue
        const size = sizeIn(head)
        const whole = BLOCK + Math.ceil(size / BLOCK) * BLOCK
        // What fits is whole in its piece; a large one begins one.
        if (filled > 0 && (large || size >= LARGE || filled + whole > PIECE)) {
          yield { bytes: memory.subarray(0, filled), since }
          filled = since = 0
        }
        if (filled === 0) since = 0
        head.copy(memory, filled)
        filled += BLOCK
        head = Buffer.alloc(0)
        left = whole - BLOCK
        large = size >= LARGE
        continue
      }
      if (filled === PIECE) {
        yield { bytes: memory.subarray(0, filled), since }
        filled = 0
        since += 1
      }
      const count = Math.min(left, rest.length, PIECE - filled)
      rest.copy(memory, filled, 0, count)
      filled += count
      left -= count
      rest = rest.subarray(count)
    }
  }
  if (left > 0 || head.length > 0) throw new AppError('source.incomplete', 'a tar of the server ends within a file')
  if (filled > 0) yield { bytes: memory.subarray(0, filled), since }
}

/** Where in its file the content of a piece lies that goes on with one. */
export const offsetOf = (since: number): number => since * PIECE - BLOCK

export interface TarMember {
  name: string
  kind: 'file' | 'folder' | 'link'
  mode: number
  size: number
  link: string
}

/** Undefined: a block of zeros, as stand at the end. */
export function parseTarHead(head: Buffer): TarMember | undefined {
  if (head.every((byte) => byte === 0)) return undefined
  let sum = 0
  for (const [at, byte] of head.entries()) sum += at >= 148 && at < 156 ? 32 : byte
  if (sum !== octal(head, 148, 8)) throw new AppError('backup.damaged', 'a head in the tar of a cluster is damaged')
  const text = (from: number, length: number): string => {
    const end = head.indexOf(0, from)
    return head.toString('utf8', from, end < 0 || end > from + length ? from + length : end)
  }
  const prefix = text(345, 155)
  const name = text(0, 100)
  const type = String.fromCharCode(head[156] ?? 0)
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    kind: type === '5' ? 'folder' : type === '2' ? 'link' : 'file',
    mode: octal(head, 100, 8),
    size: type === '5' || type === '2' ? 0 : sizeIn(head),
    link: text(157, 100),
  }
}

/** Octal, or binary where the first bit is set. */
function sizeIn(head: Buffer): number {
  const first = head[124] ?? 0
  return (first & 0x80) === 0 ? octal(head, 124, 12) : Number(head.readBigUInt64BE(128))
}

function octal(head: Buffer, from: number, length: number): number {
  const digits = /[0-7]+/.exec(head.toString('latin1', from, from + length))
  return digits === null ? 0 : Number.parseInt(digits[0], 8)
}
