/**
 * The write-ahead log of SQLite, https://www.sqlite.org/fileformat2.html#walformat: 32 bytes of head (0 magic, 4 version,
 * 8 page size, 12 number, 16 and 20 salts, 24 and 28 sums), then frames: 24 bytes of head (0 page, 4 pages of the
 * database after a commit or 0, 8 and 12 salts, 16 and 20 sums) and a page. Sums go on from one frame to the next.
 */
import { asBuffer } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import { heldBytes, joinedBytes, type HeldBytes, type ReadableBytes } from '../../base/held-bytes.ts'

export const WAL_HEAD = 32
export const FRAME_HEAD = 24

export interface WalHead {
  pageSize: number
  salt1: number
  salt2: number
  sum1: number
  sum2: number
  /** Words of sums are big endian. */
  big: boolean
}

/** Undefined: none yet, or not whole. */
export function parseWalHead(bytes: Buffer): WalHead | undefined {
  if (bytes.length < WAL_HEAD) return undefined
  const magic = bytes.readUInt32BE(0)
  if (magic !== 0x377f0682 && magic !== 0x377f0683) return undefined
  const big = magic === 0x377f0683
  const [sum1, sum2] = sumOf(bytes.subarray(0, 24), 0, 0, big)
  if (sum1 !== bytes.readUInt32BE(24) || sum2 !== bytes.readUInt32BE(28)) return undefined
  return {
    pageSize: bytes.readUInt32BE(8),
    salt1: bytes.readUInt32BE(16),
    salt2: bytes.readUInt32BE(20),
    sum1,
    sum2,
    big,
  }
}

/** Where in the log somebody is. */
export interface WalPlace {
  salt1: number
  salt2: number
  /** Frames before it. */
  frames: number
  sum1: number
  sum2: number
}

export const startOf = ({ salt1, salt2, sum1, sum2 }: WalHead): WalPlace => ({ salt1, salt2, frames: 0, sum1, sum2 })

export interface WalTransaction {
  /** A page may come more than once: the last one counts. */
  pages: Pages
  /** Of the database after it. */
  size: number
  end: WalPlace
}

interface Frame {
  page: number
  /** Of the database after a commit; else 0. */
  size: number
  bytes: Buffer
  end: WalPlace
}

/** Reads so many bytes from there on, fewer at the end. */
export type ReadWal = (from: number, length: number) => Buffer

const FRAMES_BYTES = 2 * 1024 * 1024

/** From a place on, as far as salts and sums hold. */
function* framesOf(read: ReadWal, head: WalHead, { frames: from, ...place }: WalPlace): Generator<Frame> {
  let { sum1, sum2 } = place
  let frames = from
  const length = FRAME_HEAD + head.pageSize
  const step = Math.max(1, Math.floor(FRAMES_BYTES / length)) * length
  for (;;) {
    const bytes = read(WAL_HEAD + frames * length, step)
    for (let at = 0; at + length <= bytes.length; at += length) {
      const frame = bytes.subarray(at, at + length)
      // Behind the end may lie what the log was before it began anew.
      if (frame.readUInt32BE(8) !== head.salt1 || frame.readUInt32BE(12) !== head.salt2) return
      ;[sum1, sum2] = sumOf(frame.subarray(0, 8), sum1, sum2, head.big)
      ;[sum1, sum2] = sumOf(frame.subarray(FRAME_HEAD), sum1, sum2, head.big)
      if (sum1 !== frame.readUInt32BE(16) || sum2 !== frame.readUInt32BE(20)) return
      frames += 1
      yield {
        page: frame.readUInt32BE(0),
        size: frame.readUInt32BE(4),
        bytes: frame.subarray(FRAME_HEAD),
        end: { salt1: head.salt1, salt2: head.salt2, frames, sum1, sum2 },
      }
    }
    if (bytes.length < step) return
  }
}

/** Of a transaction, each as its number (u32) and its bytes. */
interface Pages {
  bytes: ReadableBytes
  /** Bytes of pages, without their numbers. */
  size: number
}

export interface WalBounds {
  /** More than so many bytes of pages are not held in memory. */
  held: number
  /** A longer transaction rejects. */
  most: number
  tooLong: () => Error
}

/** Whole transactions from a place on; what is not committed yet, or left from before, ends it. What is given is the caller's to close. */
export function* transactionsOf(
  read: ReadWal,
  head: WalHead,
  from: WalPlace,
  { held, most, tooLong }: WalBounds,
): Generator<WalTransaction> {
  let pages = new Map<number, Buffer>()
  /** Of a long one, in the order of the log. */
  let long: HeldBytes | undefined
  const spill = (): void => {
    long ??= heldBytes(0)
    for (const [page, bytes] of pages) {
      long.append(numberOf(page))
      long.append(bytes)
    }
    pages = new Map()
  }
  try {
    for (const { page, size, bytes, end } of framesOf(read, head, from)) {
      pages.set(page, bytes)
      if (pages.size * head.pageSize > (long === undefined ? held : SPILL_BYTES)) spill()
      if ((long?.length ?? 0) > most) throw tooLong()
      if (size === 0) continue
      if (long !== undefined) spill()
      // Copied: what was read at once is more than these.
      const all = long ?? Buffer.concat([...pages].flatMap(([number, one]) => [numberOf(number), one]))
      long = undefined
      pages = new Map()
      yield { pages: { bytes: all, size: (all.length / (4 + head.pageSize)) * head.pageSize }, size, end }
    }
  } finally {
    long?.close()
  }
}

const SPILL_BYTES = 1024 * 1024

function numberOf(page: number): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(page)
  return number
}

/** The end of what is committed. */
export function endOfWal(read: ReadWal, head: WalHead): WalPlace {
  let place = startOf(head)
  for (const { size, end } of framesOf(read, head, place)) if (size > 0) place = end
  return place
}

function sumOf(bytes: Buffer, first: number, second: number, big: boolean): [number, number] {
  let [a, b] = [first, second]
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    a = (a + (big ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + b) >>> 0
    b = (b + (big ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + a) >>> 0
  }
  return [a, b]
}

// ── what a lane stores ──────────────────────────────────────────────────────────────────────────────────────

/**
 * `S`: a stretch of a copy of everything: u32 first page, u32 page size, u32 pages in all, then pages. `T`: a transaction:
 * u64 and u64 milliseconds since 1970 between which it was committed, u32 pages of the database after it, u32 page size,
 * then for each page its number and its bytes.
 */
export function copyRecord(first: number, pageSize: number, total: number, pages: Uint8Array): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt32LE(first, 0)
  head.writeUInt32LE(pageSize, 4)
  head.writeUInt32LE(total, 8)
  return Buffer.concat([recordHead('S', head.length + pages.length), head, pages])
}

export function transactionRecord(
  { pages, size }: WalTransaction,
  pageSize: number,
  after: number,
  until: number,
): ReadableBytes {
  const head = Buffer.alloc(24)
  head.writeBigUInt64LE(BigInt(after), 0)
  head.writeBigUInt64LE(BigInt(until), 8)
  head.writeUInt32LE(size, 16)
  head.writeUInt32LE(pageSize, 20)
  return joinedBytes([recordHead('T', head.length + pages.bytes.length), head, pages.bytes])
}

function recordHead(kind: string, length: number): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 'latin1')
  head.writeUInt32LE(length, 1)
  return head
}

export type LaneRecord =
  | { kind: 'copy'; first: number; pageSize: number; total: number; pages: Buffer }
  | {
      kind: 'transaction'
      after: number
      until: number
      size: number
      pageSize: number
      /** Of one that comes again the last counts. */
      pages: Iterable<[number, Buffer]>
    }

const TRANSACTION_HEAD = 24
const PAGES_BYTES = 1024 * 1024

export function* recordsOf(payload: ReadableBytes): Generator<LaneRecord> {
  const bytesAt = (from: number, to: number): Buffer => asBuffer(payload.subarray(from, to))
  for (let at = 0; at < payload.length;) {
    if (at + 5 > payload.length) throw cut()
    const head = bytesAt(at, at + 5)
    const kind = String.fromCharCode(head[0] as number)
    const body = at + 5
    const end = body + head.readUInt32LE(1)
    if (end > payload.length) throw cut()
    at = end
    if (kind === 'S') {
      const bytes = bytesAt(body, end)
      yield {
        kind: 'copy',
        first: bytes.readUInt32LE(0),
        pageSize: bytes.readUInt32LE(4),
        total: bytes.readUInt32LE(8),
        pages: bytes.subarray(12),
      }
    } else if (kind === 'T') {
      if (end - body < TRANSACTION_HEAD) throw cut()
      const bytes = bytesAt(body, body + TRANSACTION_HEAD)
      const pageSize = bytes.readUInt32LE(20)
      if ((end - body - TRANSACTION_HEAD) % (4 + pageSize) !== 0) throw cut()
      yield {
        kind: 'transaction',
        after: Number(bytes.readBigUInt64LE(0)),
        until: Number(bytes.readBigUInt64LE(8)),
        size: bytes.readUInt32LE(16),
        pageSize,
        pages: pagesOf(bytesAt, body + TRANSACTION_HEAD, end, pageSize),
      }
    } else throw new AppError('backup.damaged', `the log has a record ${kind} that is not known`)
  }
}

const cut = (): AppError => new AppError('backup.damaged', 'a piece of the log has been cut off')

function* pagesOf(
  bytesAt: (from: number, to: number) => Buffer,
  from: number,
  to: number,
  pageSize: number,
): Generator<[number, Buffer]> {
  const each = 4 + pageSize
  const step = Math.max(1, Math.floor(PAGES_BYTES / each)) * each
  for (let at = from; at < to; at += step) {
    const some = bytesAt(at, Math.min(to, at + step))
    for (let page = 0; page < some.length; page += each)
      yield [some.readUInt32LE(page), some.subarray(page + 4, page + each)]
  }
}
