/**
 * Tar members as POSIX pax writes them; GNU tar and bsdtar read them. Byte layout: docs/formats/archive.md §4.
 * What fits the ustar header goes there; a pax header before it carries the rest (long or odd paths, nanoseconds,
 * large sizes and ids, extended attributes, sparse maps).
 */
import { pathToBytes } from '../base/paths.ts'
import type { Entry, EntryKind } from '../model/entry.ts'

export const BLOCK = 512
export const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK

/** The end of a tar: two blocks of zeros. */
export const TAR_END = new Uint8Array(2 * BLOCK)

const TYPE: Record<EntryKind, number> = {
  file: 0x30,
  symlink: 0x32,
  chardev: 0x33,
  blockdev: 0x34,
  directory: 0x35,
  fifo: 0x36,
  socket: 0x30,
}
const HARDLINK = 0x31
const PAX = 0x78
const MAX_OCTAL_11 = 0o77777777777
const MAX_OCTAL_7 = 0o7777777

/** The header blocks of a member whose content of `stored` bytes follows (padded to 512). */
export function tarHeader(entry: Entry, stored: number, sparseMap?: Uint8Array): Uint8Array {
  const isSparse = sparseMap !== undefined
  const name = pathToBytes(entry.kind === 'directory' ? `${entry.path}/` : entry.path)
  const target = entry.hardlink ?? entry.linkTarget
  const link = target === undefined ? undefined : pathToBytes(target)
  const records = paxRecords(entry, name, link, stored, isSparse)
  const paxSize = records === undefined ? 0 : BLOCK + records.length + padding(records.length)
  const out = Buffer.alloc(paxSize + BLOCK)
  if (records !== undefined) {
    ustar(out, 0, { name: 'PaxHeaders/holdfast', mode: 0o644, size: records.length, mtime: 0, type: PAX })
    out.set(records, BLOCK)
  }
  ustar(out, paxSize, {
    name: isSparse ? 'GNUSparseFile/holdfast' : name.subarray(0, 100),
    mode: entry.mode,
    size: Math.min(stored, MAX_OCTAL_11),
    mtime: Math.min(Math.max(entry.mtime.s, 0), MAX_OCTAL_11),
    type: entry.hardlink === undefined ? TYPE[entry.kind] : HARDLINK,
    uid: entry.uid,
    gid: entry.gid,
    user: entry.user,
    group: entry.group,
    link: link?.subarray(0, 100),
    rdev: entry.rdev,
  })
  return out
}

/** The length of the header that `putHeader` writes for a file. It depends on `stored` only from 8 GiB on. */
export function headerLength(entry: Entry, stored: number): number {
  if (!isOrdinary(entry, stored)) return tarHeader(entry, stored).length
  return entry.mtime.ns === 0 ? BLOCK : 3 * BLOCK
}

/** Writes the header of a file where its content follows; `length` is what `headerLength` told. */
export function putHeader(out: Buffer, at: number, length: number, entry: Entry, stored: number): void {
  if (!isOrdinary(entry, stored)) {
    out.set(tarHeader(entry, stored), at)
    return
  }
  out.fill(0, at, at + length)
  if (length > BLOCK) {
    const { s, ns } = entry.mtime
    const record = ` mtime=${paxTime(s, ns)}\n`
    // Between 20 and 30 bytes, so that its length has two digits.
    const size = record.length + 2
    out.set(paxBlock(size), at)
    out.write(`${size}${record}`, at + BLOCK, 'latin1')
  }
  const { path, mode, mtime, uid, gid, user, group } = entry
  ustar(out, at + length - BLOCK, {
    name: path,
    mode,
    size: stored,
    mtime: mtime.s,
    type: TYPE.file,
    uid,
    gid,
    user,
    group,
  })
}

/** Nearly every file: it needs no other pax record than its time. */
const isOrdinary = (entry: Entry, stored: number): boolean =>
  entry.path.length <= 100 &&
  entry.xattrs === undefined &&
  entry.hardlink === undefined &&
  entry.mtime.s >= 1_000_000 &&
  entry.mtime.s <= MAX_OCTAL_11 &&
  (entry.uid ?? 0) <= MAX_OCTAL_7 &&
  (entry.gid ?? 0) <= MAX_OCTAL_7 &&
  stored <= MAX_OCTAL_11 &&
  PRINTABLE.test(entry.path)

const PRINTABLE = /^[\x20-\x7e]*$/

const paxBlocks = new Map<number, Buffer>()

/** The ustar block in front of `size` bytes of pax records. */
function paxBlock(size: number): Buffer {
  let block = paxBlocks.get(size)
  if (block === undefined) {
    block = Buffer.alloc(BLOCK)
    ustar(block, 0, { name: 'PaxHeaders/holdfast', mode: 0o644, size, mtime: 0, type: PAX })
    paxBlocks.set(size, block)
  }
  return block
}

/**
 * GNU sparse 1.0: the map precedes the data inside the member, padded to a block. A hole at the end needs an empty piece
 * behind it: programs end the file where the last piece ends.
 */
export function sparseMap(extents: readonly (readonly [number, number])[], size: number): Uint8Array {
  const last = extents.at(-1)
  const pieces = last !== undefined && last[0] + last[1] === size ? extents : [...extents, [size, 0] as const]
  const text = `${pieces.length}\n${pieces.map(([offset, length]) => `${offset}\n${length}\n`).join('')}`
  const out = Buffer.alloc(text.length + padding(text.length))
  out.write(text, 0, 'latin1')
  return out
}

function paxRecords(
  entry: Entry,
  name: Buffer,
  link: Buffer | undefined,
  stored: number,
  sparse: boolean,
): Buffer | undefined {
  const records: Buffer[] = []
  if (sparse) {
    records.push(paxRecord('GNU.sparse.major', '1'), paxRecord('GNU.sparse.minor', '0'))
    records.push(paxRecord('GNU.sparse.name', name), paxRecord('GNU.sparse.realsize', String(entry.size)))
  } else if (name.length > 100) records.push(paxRecord('path', name))
  if (link !== undefined && link.length > 100) records.push(paxRecord('linkpath', link))
  if (entry.mtime.ns !== 0 || entry.mtime.s < 0 || entry.mtime.s > MAX_OCTAL_11) {
    records.push(paxRecord('mtime', paxTime(entry.mtime.s, entry.mtime.ns)))
  }
  if (stored > MAX_OCTAL_11) records.push(paxRecord('size', String(stored)))
  if ((entry.uid ?? 0) > MAX_OCTAL_7) records.push(paxRecord('uid', String(entry.uid)))
  if ((entry.gid ?? 0) > MAX_OCTAL_7) records.push(paxRecord('gid', String(entry.gid)))
  for (const attribute of entry.xattrs ?? []) {
    records.push(paxRecord(`SCHILY.xattr.${attribute.name}`, Buffer.from(attribute.value)))
  }
  // Tells readers that names in these records are bytes, not UTF-8; names in the plain header are bytes anyway.
  const inRecords = [
    sparse || name.length > 100 ? entry.path : '',
    link !== undefined && link.length > 100 ? (entry.hardlink ?? entry.linkTarget ?? '') : '',
  ]
  if (inRecords.some((text) => ESCAPED.test(text))) {
    records.unshift(paxRecord('hdrcharset', 'BINARY'))
  }
  return records.length === 0 ? undefined : Buffer.concat(records)
}

const ESCAPED = /[\udc80-\udcff]/

/** `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
function paxRecord(key: string, value: string | Buffer): Buffer {
  const head = Buffer.from(` ${key}=`, 'utf8')
  const body = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
  const rest = head.length + body.length + 1
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return Buffer.concat([Buffer.from(String(length), 'latin1'), head, body, NEWLINE])
}

const NEWLINE = Buffer.from('\n')

/**
 * Seconds with up to nine digits of their fraction. Of times before 1970 it is left out: POSIX counts it down from zero,
 * GNU tar and bsdtar read it the other way, a second apart.
 */
function paxTime(s: number, ns: number): string {
  return ns === 0 || s < 0 ? String(s) : `${s}.${String(ns).padStart(9, '0').replace(/0+$/, '')}`
}

interface Ustar {
  /** A string is ASCII. */
  name: Uint8Array | string
  mode: number
  size: number
  mtime: number
  type: number
  uid?: number | undefined
  gid?: number | undefined
  user?: string | undefined
  group?: string | undefined
  link?: Uint8Array | undefined
  rdev?: { major: number; minor: number } | undefined
}

/** name 0 · mode 100 · uid 108 · gid 116 · size 124 · mtime 136 · checksum 148 · type 156 · link 157 · magic 257 · user 265 · group 297 · major 329 · minor 337 */
function ustar(out: Buffer, at: number, field: Ustar): void {
  if (typeof field.name === 'string') out.write(field.name, at, 'latin1')
  else out.set(field.name, at)
  octal(out, at + 100, 8, field.mode & 0o7777)
  octal(out, at + 108, 8, Math.min(field.uid ?? 0, MAX_OCTAL_7))
  octal(out, at + 116, 8, Math.min(field.gid ?? 0, MAX_OCTAL_7))
  octal(out, at + 124, 12, field.size)
  octal(out, at + 136, 12, field.mtime)
  out.fill(0x20, at + 148, at + 156)
  out[at + 156] = field.type
  if (field.link !== undefined) out.set(field.link, at + 157)
  out.write('ustar\x0000', at + 257, 'latin1')
  if (field.user !== undefined) out.write(field.user.slice(0, 31), at + 265, 31)
  if (field.group !== undefined) out.write(field.group.slice(0, 31), at + 297, 31)
  octal(out, at + 329, 8, field.rdev?.major ?? 0)
  octal(out, at + 337, 8, field.rdev?.minor ?? 0)
  let sum = 0
  for (let i = at; i < at + BLOCK; i += 1) sum += out[i] as number
  out.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
}

function octal(out: Buffer, at: number, width: number, value: number): void {
  let rest = value
  for (let i = at + width - 2; i >= at; i -= 1) {
    out[i] = 0x30 + (rest % 8)
    rest = Math.floor(rest / 8)
  }
  out[at + width - 1] = 0
}
