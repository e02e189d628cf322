/**
 * Events of MariaDB's binary log. An event: 0 u32 seconds, 4 u8 type, 5 u32 server, 9 u32 length, 13 u32 next place,
 * 17 u16 flags; then its body, and a CRC-32 where the log has sums. https://mariadb.com/kb/en/1-binlog-events/
 */
import { crc32 } from 'node:zlib'
import { AppError } from '../../base/errors.ts'
import { windowOver, type ReadableBytes } from '../../base/held-bytes.ts'

export const EVENT = {
  query: 2,
  stop: 3,
  rotate: 4,
  formatDescription: 15,
  xid: 16,
  tableMap: 19,
  writeV1: 23,
  updateV1: 24,
  deleteV1: 25,
  heartbeat: 27,
  writeV2: 30,
  updateV2: 31,
  deleteV2: 32,
  xaPrepare: 38,
  annotate: 160,
  checkpoint: 161,
  gtid: 162,
  gtidList: 163,
  startEncryption: 164,
  queryCompressed: 165,
  deleteCompressed: 168,
  deleteCompressedV2: 171,
} as const

const HEAD = 19
const ARTIFICIAL = 0x20

export interface BinlogEvent {
  type: number
  /** Seconds since 1970: when its statement began. */
  seconds: number
  server: number
  artificial: boolean
  /** Without head and sum. */
  body: Buffer
  /** As it came. */
  bytes: Buffer
}

/** The log tells in its description whether events have sums. */
export function parseEvent(bytes: Buffer, summed: boolean): BinlogEvent {
  if (bytes.length < HEAD || bytes.readUInt32LE(9) !== bytes.length)
    throw new AppError('source.incomplete', 'an event of the binary log has been cut off')
  const type = bytes[4] as number
  const end = summed ? bytes.length - 4 : bytes.length
  if (summed && crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end))
    throw new AppError('source.incomplete', 'an event of the binary log has a wrong sum')
  return {
    type,
    seconds: bytes.readUInt32LE(0),
    server: bytes.readUInt32LE(5),
    artificial: (bytes.readUInt16LE(17) & ARTIFICIAL) !== 0,
    body: bytes.subarray(HEAD, end),
    bytes,
  }
}

/** Whether the log that a description begins has sums: the algorithm stands before its own sum. */
export function hasSums(description: Buffer): boolean {
  return description[description.length - 5] === 1
}

export interface Gtid {
  domain: number
  server: number
  sequence: bigint
  /** One statement that is a transaction by itself, as most that change tables are. */
  standalone: boolean
}

export function gtidOf({ body, server }: BinlogEvent): Gtid {
  return {
    sequence: body.readBigUInt64LE(0),
    domain: body.readUInt32LE(8),
    server,
    standalone: ((body[12] ?? 0) & 1) !== 0,
  }
}

export interface Query {
  database: string
  text: string
}

/** 0 u32 thread, 4 u32 seconds, 8 u8 length of the database, 9 u16 error, 11 u16 length of variables; these, the name, 0, the text. */
export function queryOf({ body }: BinlogEvent): Query {
  const nameLength = body[8] ?? 0
  const at = 13 + body.readUInt16LE(11)
  return { database: body.toString('utf8', at, at + nameLength), text: body.toString('utf8', at + nameLength + 1) }
}

export interface TableMap {
  id: string
  database: string
  table: string
}

/** 0 u48 number, 6 u16 flags, then two names with their lengths before them. */
export function tableMapOf({ body }: BinlogEvent): TableMap {
  const length = body[8] ?? 0
  const tableLength = body[10 + length] ?? 0
  return {
    id: body.toString('hex', 0, 6),
    database: body.toString('utf8', 9, 9 + length),
    table: body.toString('utf8', 11 + length, 11 + length + tableLength),
  }
}

/** Which table rows belong to. */
export const tableIdOf = ({ body }: BinlogEvent): string => body.toString('hex', 0, 6)

export const isRows = (type: number): boolean =>
  (type >= EVENT.writeV1 && type <= EVENT.deleteV1) ||
  (type >= EVENT.writeV2 && type <= EVENT.deleteV2) ||
  (type >= 166 && type <= 171)

export const isDelete = (type: number): boolean =>
  type === EVENT.deleteV1 ||
  type === EVENT.deleteV2 ||
  type === EVENT.deleteCompressed ||
  type === EVENT.deleteCompressedV2

/** Whether an event is the last of its transaction. */
export function endsGroup(event: BinlogEvent, standalone: boolean): boolean {
  if (event.type === EVENT.xid || event.type === EVENT.xaPrepare) return true
  if (event.type === EVENT.queryCompressed) return standalone
  if (event.type !== EVENT.query) return false
  return standalone || /^(COMMIT|ROLLBACK)\b/i.test(queryOf(event).text)
}

// ── what a lane stores: records of a letter, a length and bytes ─────────────────────────────────────────────

/** `E` an event; `M` a mark: what follows was committed after so many milliseconds since 1970; `F` a description of the format. */
export type RecordKind = 'E' | 'M' | 'F'

export const record = (kind: RecordKind, bytes: Uint8Array): Buffer =>
  Buffer.concat([recordHead(kind, bytes.length), bytes])

export function recordHead(kind: RecordKind, length: number): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 'latin1')
  head.writeUInt32LE(length, 1)
  return head
}

export interface LogRecord {
  kind: string
  bytes: Buffer
}

export function* recordsOf(payload: ReadableBytes): Generator<LogRecord> {
  const bytesAt = windowOver(payload)
  for (let at = 0; at < payload.length;) {
    if (at + 5 > payload.length) throw new AppError('backup.damaged', 'a piece of the binary log has been cut off')
    const head = bytesAt(at, at + 5)
    const end = at + 5 + head.readUInt32LE(1)
    if (end > payload.length) throw new AppError('backup.damaged', 'a piece of the binary log has been cut off')
    yield { kind: String.fromCharCode(head[0] as number), bytes: bytesAt(at + 5, end) }
    at = end
  }
}
