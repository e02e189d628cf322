/**
 * Finds commits, restore points, deletes and dropped files in a stream of write-ahead log. Layouts: access/xlogrecord.h,
 * access/xlog_internal.h, access/xact.h of PostgreSQL 15 to 18.
 *
 *   page    0 u16 magic, 2 u16 info (1: goes on from the page before, 2: long), 4 u32 timeline, 8 u64 address,
 *          16 u32 bytes left of the record before; 24 bytes, 40 if long (24 u64 system, 32 u32 file, 36 u32 page size)
 *   record  0 u32 length, 4 u32 transaction, 8 u64 record before, 16 u8 info, 17 u8 kind, 20 u32 crc; 24 bytes
 *          then heads of blocks and data, then their content; records begin at multiples of 8
 */
import { AppError } from '../../base/errors.ts'
import { formatLsn } from './lsn.ts'

export interface RelationFile {
  database: number
  file: number
}

export type WalFact =
  | { kind: 'commit'; lsn: bigint; end: bigint; xid: number; subs: number[]; micros: bigint; dropped: RelationFile[] }
  | { kind: 'point'; lsn: bigint; end: bigint; name: string; micros: bigint }
  | { kind: 'delete'; lsn: bigint; end: bigint; xid: number; relation: RelationFile }
  /** A file for a table or index was made. */
  | { kind: 'create'; lsn: bigint; end: bigint; xid: number }

export interface WalScanner {
  /** Takes bytes that lie at `at`, which is where those before ended; gives the facts whose records ended in them. */
  take(at: bigint, bytes: Uint8Array): WalFact[]
  /** Records may be used from here on; undefined before the first one. */
  readonly synced: boolean
  /** The end of the last whole record. */
  readonly recordEnd: bigint
}

const PAGE = 8192
const SHORT = 24
const LONG = 40
const HEAD = 24
/** Longer ones are allowed by the format, and are none that matter here. */
const KEPT = 64 * 1024

const RM_XLOG = 0
const RM_XACT = 1
const RM_SMGR = 2
const RM_HEAP = 10

/** Where it begins it needs the start of a page. `deletes` may be left out where nobody asks for them. */
export function walScanner(begin: bigint): WalScanner {
  if (begin % BigInt(PAGE) !== 0n) throw new AppError('internal.bug', 'a scan of the log begins at a page')
  let position = begin
  /** Bytes of the page's head that are still to come, and those that came. */
  let pageHead: Buffer = Buffer.alloc(0)
  let skip = 0
  let synced = false
  let record: Buffer = Buffer.alloc(0)
  let recordStart = 0n
  let wanted = 0
  let have = 0
  let padding = 0
  let recordEnd = begin
  let first = true

  function readPageHead(bytes: Buffer, at: number): number {
    const need = (): number => (pageHead.length >= 4 && (pageHead.readUInt16LE(2) & 2) !== 0 ? LONG : SHORT)
    let used = 0
    while (pageHead.length < need() && at + used < bytes.length) {
      const take = Math.min(need() - pageHead.length, bytes.length - at - used)
      pageHead = Buffer.concat([pageHead, bytes.subarray(at + used, at + used + take)])
      used += take
    }
    return used
  }

  function headDone(): boolean {
    if (pageHead.length < SHORT) return false
    return pageHead.length >= ((pageHead.readUInt16LE(2) & 2) === 0 ? SHORT : LONG)
  }

  function checkHead(pageAt: bigint): void {
    const address = pageHead.readBigUInt64LE(8)
    // After a switch some servers leave the rest of the file empty.
    if (pageHead.readUInt16LE(0) === 0 && wanted === 0 && skip === 0) {
      padding = PAGE - pageHead.length
      first = false
      return
    }
    if (address !== pageAt)
      throw new AppError('source.incomplete', `the log at ${formatLsn(pageAt)} says that it is ${formatLsn(address)}`)
    if (pageHead.length === LONG && pageHead.readUInt32LE(36) !== PAGE)
      throw new AppError('source.unsupported', `the log has pages of ${pageHead.readUInt32LE(36)} bytes`)
    const left = pageHead.readUInt32LE(16)
    const goesOn = (pageHead.readUInt16LE(2) & 1) !== 0
    if (first) {
      first = false
      synced = true
      // The end of a record whose beginning we do not have.
      skip = goesOn ? left : 0
    } else if (goesOn && wanted === 0 && skip === 0) {
      skip = left
    } else if (!goesOn && (wanted > 0 || skip > 0)) {
      // The record was given up: the server went down while it wrote it.
      wanted = have = skip = padding = 0
      record = Buffer.alloc(0)
    }
  }

  function take(at: bigint, input: Uint8Array): WalFact[] {
    if (at !== position)
      throw new AppError('source.incomplete', `the log goes on at ${formatLsn(at)} and not at ${formatLsn(position)}`)
    const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
    const facts: WalFact[] = []
    let index = 0
    while (index < bytes.length) {
      const inPage = Number(position % BigInt(PAGE))
      if (inPage === 0) pageHead = Buffer.alloc(0)
      if (!headDone()) {
        const pageAt = position - BigInt(inPage)
        const used = readPageHead(bytes, index)
        index += used
        position += BigInt(used)
        if (headDone()) checkHead(pageAt)
        continue
      }
      const available = Math.min(PAGE - inPage, bytes.length - index)
      const used = consume(bytes.subarray(index, index + available), facts)
      index += used
      position += BigInt(used)
    }
    return facts
  }

  /** Some bytes of one page; gives how many it used. */
  function consume(bytes: Buffer, facts: WalFact[]): number {
    if (skip > 0) {
      const count = Math.min(skip, bytes.length)
      skip -= count
      return count
    }
    if (padding > 0) {
      const count = Math.min(padding, bytes.length)
      padding -= count
      return count
    }
    if (wanted === 0 && have === 0) {
      const misaligned = Number(position % 8n)
      if (misaligned !== 0) return Math.min(8 - misaligned, bytes.length)
      recordStart = position
      const whole = bytes.length >= HEAD ? bytes.readUInt32LE(0) : 0
      if (whole >= HEAD && whole <= bytes.length) {
        recordEnd = position + BigInt(whole)
        const fact = factOf(bytes.subarray(0, whole), recordStart, recordEnd)
        if (fact !== undefined) facts.push(fact)
        return whole
      }
    }
    if (wanted === 0) {
      // The length never lies on the border of two pages, but may on that of two pieces.
      const count = Math.min(4 - have, bytes.length)
      record = Buffer.concat([record, bytes.subarray(0, count)])
      have += count
      if (have === 4) {
        wanted = record.readUInt32LE(0)
        // Zeros: the rest of the file after a switch.
        if (wanted === 0) {
          have = 0
          record = Buffer.alloc(0)
          padding = (PAGE - (Number(position % BigInt(PAGE)) + count)) % PAGE
        } else if (wanted < HEAD)
          throw new AppError('source.incomplete', `the record at ${formatLsn(recordStart)} is ${wanted} bytes long`)
      }
      return count
    }
    const count = Math.min(wanted - have, bytes.length)
    if (have < KEPT) {
      const keep = bytes.subarray(0, Math.min(count, KEPT - have))
      record = Buffer.concat([record, keep])
    }
    have += count
    if (have === wanted) {
      const end = position + BigInt(count)
      recordEnd = end
      const fact = factOf(record, recordStart, end)
      if (fact !== undefined) facts.push(fact)
      wanted = have = 0
      record = Buffer.alloc(0)
    }
    return count
  }

  return {
    take,
    get synced() {
      return synced
    },
    get recordEnd() {
      return recordEnd
    },
  }
}

function factOf(record: Buffer, lsn: bigint, end: bigint): WalFact | undefined {
  const kind = record[17]
  const info = record[16] ?? 0
  const xid = record.readUInt32LE(4)
  if (kind === RM_XACT) {
    const what = info & 0x70
    if (what !== 0x00 && what !== 0x30) return undefined
    const data = mainData(record)
    return data === undefined ? undefined : commitOf(data, info, what, { lsn, end, xid })
  }
  if (kind === RM_XLOG && (info & 0xf0) === 0x70) {
    const data = mainData(record)
    if (data === undefined || data.length < 9) return undefined
    const stop = data.indexOf(0, 8)
    return {
      kind: 'point',
      lsn,
      end,
      micros: data.readBigInt64LE(0),
      name: data.toString('utf8', 8, stop < 0 ? data.length : stop),
    }
  }
  if (kind === RM_SMGR && (info & 0xf0) === 0x10) {
    // The main file only: other forks are made for tables that stay what they are.
    const data = mainData(record)
    return data === undefined || data.length < 16 || data.readInt32LE(12) !== 0
      ? undefined
      : { kind: 'create', lsn, end, xid }
  }
  if (kind === RM_HEAP && (info & 0x70) === 0x10) {
    const relation = firstRelation(record)
    return relation && { kind: 'delete', lsn, end, xid, relation }
  }
  return undefined
}

function commitOf(
  data: Buffer,
  info: number,
  what: number,
  at: { lsn: bigint; end: bigint; xid: number },
): WalFact | undefined {
  if (data.length < 8) return undefined
  const micros = data.readBigInt64LE(0)
  const dropped: RelationFile[] = []
  let { xid } = at
  let offset = 8
  const has = (info & 0x80) !== 0 && data.length >= 12 ? data.readUInt32LE(8) : 0
  if ((info & 0x80) !== 0) offset += 4
  const inside = (bytes: number): boolean => offset + bytes <= data.length
  if ((has & 1) !== 0) offset += 8
  const subs: number[] = []
  if ((has & 2) !== 0 && inside(4)) {
    let count = data.readInt32LE(offset)
    offset += 4
    for (; count > 0 && inside(4); count -= 1, offset += 4) subs.push(data.readUInt32LE(offset))
  }
  if ((has & 4) !== 0 && inside(4)) {
    let count = data.readInt32LE(offset)
    offset += 4
    for (; count > 0 && inside(12); count -= 1, offset += 12)
      dropped.push({ database: data.readUInt32LE(offset + 4), file: data.readUInt32LE(offset + 8) })
  }
  if ((has & 256) !== 0 && inside(4)) offset += 4 + 12 * data.readInt32LE(offset)
  if ((has & 8) !== 0 && inside(4)) offset += 4 + 16 * data.readInt32LE(offset)
  // A prepared transaction is named here; the record itself is of nobody.
  if (what === 0x30 && (has & 16) !== 0 && inside(4)) xid = data.readUInt32LE(offset)
  return { kind: 'commit', ...at, xid, subs, micros, dropped }
}

interface Heads {
  relation?: RelationFile
  /** Of the record's own data. */
  length: number
  /** Where the heads end. */
  end: number
}

/** Walks the heads; undefined where one is not known. */
function headsOf(record: Buffer): Heads | undefined {
  let at = HEAD
  let relation: RelationFile | undefined
  const end = record.length
  /** Bytes of content of the heads so far; heads end where content begins. */
  let content = 0
  const total = record.readUInt32LE(0)
  while (at < end && total - at > content) {
    const id = record[at] as number
    if (id === 255) return { ...(relation && { relation }), length: record[at + 1] ?? 0, end: at + 2 }
    if (id === 254 && at + 5 <= end)
      return { ...(relation && { relation }), length: record.readUInt32LE(at + 1), end: at + 5 }
    if (id === 253) at += 3
    else if (id === 252) at += 5
    else if (id <= 32) {
      if (at + 4 > end) return undefined
      const flags = record[at + 1] as number
      content += record.readUInt16LE(at + 2)
      at += 4
      if ((flags & 0x10) !== 0) {
        if (at + 5 > end) return undefined
        const length = record.readUInt16LE(at)
        const imageInfo = record[at + 4] as number
        content += length
        at += 5
        // A hole in a compressed image has its length beside.
        if ((imageInfo & 1) !== 0 && (imageInfo & 0x1c) !== 0) at += 2
      }
      if ((flags & 0x80) === 0) {
        if (at + 12 > end) return undefined
        relation ??= { database: record.readUInt32LE(at + 4), file: record.readUInt32LE(at + 8) }
        at += 12
      }
      at += 4
    } else return undefined
  }
  return { ...(relation && { relation }), length: 0, end: at }
}

/** The data that belongs to the record and not to a block: it comes last. */
function mainData(record: Buffer): Buffer | undefined {
  const heads = headsOf(record)
  const total = record.readUInt32LE(0)
  if (heads === undefined || heads.length === 0) return undefined
  // Long ones are kept in part; what counts lies at the beginning.
  const start = total - heads.length
  return start >= record.length ? undefined : record.subarray(start, Math.min(total, record.length))
}

const firstRelation = (record: Buffer): RelationFile | undefined => headsOf(record)?.relation
