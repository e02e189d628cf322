/**
 * Rows as the server sends them become INSERT statements, byte by byte: no row is ever an object. A newline within a
 * value is escaped, so a line is a row, and `;` at the end of a line ends a statement.
 */
import type { Column } from './packets.ts'
import type { RowSink } from './connection.ts'
import { BLOCK, type Outlet } from '../pieces.ts'

/** Written as it comes · quoted · quoted and escaped · the same, told to be bytes · as a hexadecimal number. */
export type ValueKind = 'number' | 'plain' | 'text' | 'binary' | 'bits'

/** Statements end where a row's own bytes say so, so that an inserted row moves only the next few ends. */
const STATEMENT_MIN = 192 * 1024
const STATEMENT_MAX = 1024 * 1024

const ESCAPED = new Uint8Array(256)
for (const [byte, letter] of [
  [0, '0'],
  [10, 'n'],
  [13, 'r'],
  [26, 'Z'],
  [39, "'"],
  [92, '\\'],
] as const)
  ESCAPED[byte] = letter.charCodeAt(0)

const BINARY = Buffer.from('_binary')
const HEX = Buffer.from('0123456789abcdef')
const NULL = Buffer.from('NULL')

export interface InsertWriter extends RowSink {
  readonly rows: number
  /** Ends the last statement and gives the rest to the outlet. */
  finish(): void
}

export function insertWriter(start: string, kinds: readonly ValueKind[], outlet: Outlet): InsertWriter {
  const head = Buffer.from(`${start}\n`)
  let out = outlet.block()
  let o = 0
  let inStatement = 0
  let rows = 0

  function room(need: number): void {
    if (o + need <= out.length) return
    if (o > 0) outlet.write(out.subarray(0, o))
    out = need > BLOCK ? Buffer.allocUnsafeSlow(need) : outlet.block()
    o = 0
  }

  function row(bytes: Buffer, from: number, to: number): void {
    room((to - from) * 2 + kinds.length * 12 + head.length + 4)
    const into = out
    let p = o
    if (inStatement === 0) p += head.copy(into, p)
    else {
      into[p++] = 44
      into[p++] = 10
    }
    into[p++] = 40
    let at = from
    for (let column = 0; column < kinds.length; column += 1) {
      if (column > 0) into[p++] = 44
      let size = bytes[at++] as number
      if (size === 0xfb) {
        p += NULL.copy(into, p)
        continue
      }
      if (size === 0xfc) {
        size = (bytes[at] as number) | ((bytes[at + 1] as number) << 8)
        at += 2
      } else if (size === 0xfd) {
        size = bytes.readUIntLE(at, 3)
        at += 3
      } else if (size === 0xfe) {
        size = bytes.readUInt32LE(at)
        at += 8
      }
      const end = at + size
      p = value(kinds[column] as ValueKind, bytes, at, end, into, p)
      at = end
    }
    into[p++] = 41
    rows += 1
    inStatement += p - o
    o = p
    if (inStatement > STATEMENT_MAX || (inStatement > STATEMENT_MIN && endsHere(bytes, from, to))) end()
  }

  function end(): void {
    room(2)
    out[o++] = 59
    out[o++] = 10
    inStatement = 0
  }

  return {
    get rows() {
      return rows
    },
    columns(columns: readonly Column[]) {
      if (columns.length !== kinds.length)
        throw new Error(`${columns.length} columns came, ${kinds.length} were asked for`)
    },
    row,
    ready: () => outlet.ready(),
    finish() {
      if (inStatement > 0) end()
      if (o > 0) outlet.write(out.subarray(0, o))
      out = Buffer.alloc(0)
      o = 0
    },
  }
}

// Positions are passed and given back: variables that closures share are memory, and these loops want registers.

function value(kind: ValueKind, bytes: Buffer, from: number, to: number, into: Buffer, start: number): number {
  let p = start
  switch (kind) {
    case 'number':
      return plain(bytes, from, to, into, p)
    case 'plain':
      into[p++] = 39
      p = plain(bytes, from, to, into, p)
      into[p++] = 39
      return p
    case 'bits':
      into[p++] = 48
      into[p++] = 120
      for (let at = from; at < to; at += 1) {
        const byte = bytes[at] as number
        into[p++] = HEX[byte >> 4] as number
        into[p++] = HEX[byte & 15] as number
      }
      return p
    case 'binary':
      return escaped(bytes, from, to, into, p + BINARY.copy(into, p))
    default:
      return escaped(bytes, from, to, into, p)
  }
}

/** A call of the engine's own copy costs as much as some bytes copied here. */
function plain(bytes: Buffer, from: number, to: number, into: Buffer, start: number): number {
  if (to - from > 48) return start + bytes.copy(into, start, from, to)
  let p = start
  for (let at = from; at < to; at += 1) into[p++] = bytes[at] as number
  return p
}

function escaped(bytes: Buffer, from: number, to: number, into: Buffer, start: number): number {
  let p = start
  into[p++] = 39
  let clean = from
  for (let at = from; at < to; at += 1) {
    const escape = ESCAPED[bytes[at] as number] as number
    if (escape === 0) continue
    p = plain(bytes, clean, at, into, p)
    into[p++] = 92
    into[p++] = escape
    clean = at + 1
  }
  p = plain(bytes, clean, to, into, p)
  into[p++] = 39
  return p
}

/** One row in sixty-four, chosen by what begins it. */
function endsHere(bytes: Buffer, from: number, to: number): boolean {
  let hash = 0x811c_9dc5
  for (let at = from; at < to && at < from + 32; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x0100_0193)
  return hash >>> 26 === 0
}
