/**
 * Lines of a backup's index: one JSON value a line, in path order. docs/formats/archive.md §3.
 * The index of every backup, also of an incremental one, lists the whole state of the source at its time; an entry whose
 * content was stored by an earlier backup says which (`b`, a position in the header's list of payloads).
 */
import { AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import type { Entry, EntryKind, Timestamp } from '../model/entry.ts'

/** Where the content of a file lies. */
export interface ContentPlace {
  /** SHA-256 of the content (of the data of its extents, when sparse), base64. */
  hash: string
  /** Position in the index header's list of payloads. */
  payload: number
  /** Offset of the first byte of content in that payload's container. */
  at: number
  /** Bytes stored in a zip container, where they differ from the content's size. */
  packed?: number
  extents?: [number, number][]
}

/** Bytes that the content takes in its container: none for empty files, and for those that are one hole. */
export function storedLength(content: ContentPlace, size: number): number {
  return content.packed ?? content.extents?.reduce((sum, [, length]) => sum + length, 0) ?? size
}

export interface IndexEntry extends Entry {
  content?: ContentPlace
  /** The size that the source's listing told, where the content has another (a database copied consistently). */
  listedSize?: number
}

export interface IndexHeader {
  holdfast: 'index'
  version: 1
  id: string
  /** Ids of backups whose payloads hold content; the last is this backup. */
  payloads: string[]
}

export type IndexLine =
  | { kind: 'entry'; entry: IndexEntry }
  | { kind: 'deleted'; paths: string[] }
  | { kind: 'moved'; pairs: [string, string][] }
  | { kind: 'frames'; frames: [number, number][] }
  | { kind: 'facts'; facts: Record<string, unknown> }
  | { kind: 'end'; entries: number }

const KIND_CODE: Record<EntryKind, string> = {
  file: 'f',
  directory: 'd',
  symlink: 'l',
  fifo: 'p',
  chardev: 'c',
  blockdev: 'b',
  socket: 's',
}
const CODE_KIND: Partial<Record<string, EntryKind>> = Object.fromEntries(
  Object.entries(KIND_CODE).map(([kind, code]) => [code, kind as EntryKind]),
)

// oxlint-disable-next-line no-control-regex
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
const text = (value: string): string => (PLAIN.test(value) ? `"${value}"` : JSON.stringify(value))

/** What was learnt of a file when its content was stored. */
export interface StoredContent {
  size: number
  content: ContentPlace
}

/** One line, without its newline. Built by hand: this runs once for every file of every backup. */
export function entryLine(entry: IndexEntry, stored?: StoredContent): string {
  const size = stored?.size ?? entry.size
  let line = lineStart(entry, size, size === entry.size ? entry.listedSize : entry.size)
  if (entry.xattrs !== undefined && entry.xattrs.length > 0) {
    const pairs = entry.xattrs.map(({ name, value }) => [name, Buffer.from(value).toString('base64')])
    line += `,"x":${JSON.stringify(pairs)}`
  }
  const content = stored?.content ?? entry.content
  if (content !== undefined) {
    const { hash, payload, at, packed, extents } = content
    line += `,"h":"${hash}","b":${payload},"a":${at}`
    if (packed !== undefined) line += `,"z":${packed}`
    if (extents !== undefined) line += `,"e":${JSON.stringify(extents)}`
  }
  return `${line}}`
}

/**
 * The position of the payload with the content of a file without holes, if this is the line of a file of which the
 * source told exactly what it tells of `entry`: size, times, inode and all else but attributes, which do not change
 * without the change time. What is undefined here must be parsed to be compared.
 */
export function payloadOfSame(line: string, entry: Entry): number | undefined {
  const start = lineStart(entry, entry.size, undefined)
  if (!line.startsWith(start)) return undefined
  // No text between quotation marks holds one, so that this is no part of a name.
  const hash = line.indexOf(',"h":"', start.length)
  if (hash === -1 || (hash > start.length && !line.startsWith(',"x":', start.length))) return undefined
  const payload = line.indexOf(',"b":', hash)
  return payload === -1 || line.includes(',"e":', hash)
    ? undefined
    : Number.parseInt(line.slice(payload + 5, payload + 15), 10)
}

/** The path of an entry's line, without parsing all of it; undefined if that takes more. */
export function pathOfLine(line: string): string | undefined {
  const end = line.indexOf('","k":"', 6)
  if (end === -1 || !line.startsWith('{"p":"')) return undefined
  const path = line.slice(6, end)
  return path.includes('\\') ? undefined : path
}

/** All that the source's listing tells. */
function lineStart(entry: Entry, size: number, listedSize: number | undefined): string {
  const { mtime, ctime } = entry
  let line = `{"p":${text(entry.path)},"k":"${KIND_CODE[entry.kind]}","m":${entry.mode},"t":[${mtime.s},${mtime.ns}]`
  if (entry.kind === 'file') line += `,"s":${size}`
  if (listedSize !== undefined) line += `,"s0":${listedSize}`
  if (ctime !== undefined) line += `,"c":[${ctime.s},${ctime.ns}]`
  if (entry.uid !== undefined) line += `,"u":${entry.uid}`
  if (entry.gid !== undefined) line += `,"g":${entry.gid}`
  if (entry.user !== undefined) line += `,"un":${text(entry.user)}`
  if (entry.group !== undefined) line += `,"gn":${text(entry.group)}`
  if (entry.inode !== undefined) line += `,"i":${entry.inode}`
  if (entry.device !== undefined) line += `,"d":${entry.device}`
  if (entry.links !== undefined) line += `,"n":${entry.links}`
  if (entry.linkTarget !== undefined) line += `,"l":${text(entry.linkTarget)}`
  if (entry.hardlink !== undefined) line += `,"hl":${text(entry.hardlink)}`
  if (entry.rdev !== undefined) line += `,"r":[${entry.rdev.major},${entry.rdev.minor}]`
  return entry.sparse === true ? `${line},"sp":1` : line
}

export function parseIndexHeader(line: string, what: string): IndexHeader {
  const value = parseJson(line, what)
  const { holdfast, version, id, payloads } = value
  if (holdfast !== 'index' || typeof id !== 'string' || !Array.isArray(payloads))
    throw damaged(what, 'has no index header')
  if (version !== 1) throw new AppError('vault.unsupported', `${what} is an index of version ${String(version)}`)
  if (!payloads.every((payload) => typeof payload === 'string') || payloads.at(-1) !== id)
    throw damaged(what, 'has a header that makes no sense')
  return { holdfast, version, id, payloads }
}

export function parseIndexLine(line: string, what: string): IndexLine {
  const value = parseJson(line, what)
  if (typeof value['p'] === 'string') return { kind: 'entry', entry: entryOf(value, what) }
  if (Array.isArray(value['deleted'])) return { kind: 'deleted', paths: value['deleted'].map(String) }
  if (Array.isArray(value['moved'])) return { kind: 'moved', pairs: pairs(value['moved'], what) }
  if (Array.isArray(value['frames'])) return { kind: 'frames', frames: frames(value['frames'], what) }
  if (typeof value['facts'] === 'object' && value['facts'] !== null) {
    return { kind: 'facts', facts: value['facts'] as Record<string, unknown> }
  }
  if (value['end'] === true && typeof value['entries'] === 'number') return { kind: 'end', entries: value['entries'] }
  throw damaged(what, 'has a line of an unknown kind')
}

function entryOf(value: Record<string, unknown>, what: string): IndexEntry {
  const kind = CODE_KIND[String(value['k'])]
  const path = value['p'] as string
  const mtime = timestamp(value['t'])
  if (kind === undefined || mtime === undefined || !isMode(value['m'])) throw badEntry(what, path)
  const entry: IndexEntry = { path, kind, mode: value['m'], mtime, size: count(value['s']) ?? 0 }
  const listedSize = count(value['s0'])
  if (listedSize !== undefined) entry.listedSize = listedSize
  const ctime = timestamp(value['c'])
  if (ctime !== undefined) entry.ctime = ctime
  if (isId(value['u'])) entry.uid = value['u']
  if (isId(value['g'])) entry.gid = value['g']
  if (typeof value['un'] === 'string') entry.user = value['un']
  if (typeof value['gn'] === 'string') entry.group = value['gn']
  if (isNumber(value['i'])) entry.inode = value['i']
  if (isNumber(value['d'])) entry.device = value['d']
  if (isNumber(value['n'])) entry.links = value['n']
  if (typeof value['l'] === 'string') entry.linkTarget = value['l']
  if (typeof value['hl'] === 'string') entry.hardlink = value['hl']
  if (value['sp'] === 1) entry.sparse = true
  if (Array.isArray(value['r'])) {
    const [major, minor] = value['r'] as unknown[]
    if (!isId(major) || !isId(minor)) throw badEntry(what, path)
    entry.rdev = { major, minor }
  }
  if (Array.isArray(value['x'])) {
    entry.xattrs = pairs(value['x'], what).map(([name, data]) => ({ name, value: Buffer.from(data, 'base64') }))
  }
  if (typeof value['h'] === 'string') {
    const [payload, at] = [count(value['b']), count(value['a'])]
    if (kind !== 'file' || payload === undefined || at === undefined)
      throw damaged(what, `does not say where the content of ${displayPath(path)} is`)
    entry.content = { hash: value['h'], payload, at }
    const packed = count(value['z'])
    if (packed !== undefined) entry.content.packed = packed
    if (Array.isArray(value['e'])) entry.content.extents = extents(value['e'], entry.size, what)
  }
  return entry
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isMode = (value: unknown): value is number => isId(value) && value <= 0o7777
/** What the kernel's 32-bit numbers can be. */
const isId = (value: unknown): value is number => count(value) !== undefined && (value as number) <= 0xffff_ffff
const count = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined

function timestamp(value: unknown): Timestamp | undefined {
  if (!Array.isArray(value)) return undefined
  const [s, ns] = value as unknown[]
  return Number.isSafeInteger(s) && isId(ns) && ns < 1_000_000_000 ? { s: s as number, ns } : undefined
}

const nonsense = (what: string): AppError => damaged(what, 'has a table that makes no sense')
const badEntry = (what: string, path: string): AppError => damaged(what, `has a bad entry for ${displayPath(path)}`)

function table(value: unknown[], what: string): [number, number][] {
  return value.map((pair) => {
    const [a, b] = Array.isArray(pair) ? [count(pair[0]), count(pair[1])] : []
    if (a === undefined || b === undefined) throw nonsense(what)
    return [a, b]
  })
}

/** No frame is larger than this, before and after: a reader holds some of them in memory. */
const MAX_FRAME = 64 * 1024 * 1024

function frames(value: unknown[], what: string): [number, number][] {
  const pairs = table(value, what)
  if (pairs.some(([plain, packed]) => plain === 0 || plain > MAX_FRAME || packed > 2 * MAX_FRAME)) throw nonsense(what)
  return pairs
}

function extents(value: unknown[], size: number, what: string): [number, number][] {
  const pairs = table(value, what)
  let end = 0
  for (const [offset, length] of pairs) {
    if (offset < end || offset + length > size) throw nonsense(what)
    end = offset + length
  }
  return pairs
}

function pairs(value: unknown[], what: string): [string, string][] {
  return value.map((pair) => {
    const [a, b] = Array.isArray(pair) ? (pair as unknown[]) : []
    if (typeof a !== 'string' || typeof b !== 'string') throw nonsense(what)
    return [a, b]
  })
}

function parseJson(line: string, what: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch (error) {
    throw damaged(what, 'has a line that is not JSON', error)
  }
  throw damaged(what, 'has a line that is no object')
}

const damaged = (what: string, problem: string, cause?: unknown): AppError =>
  new AppError('backup.damaged', `${what} ${problem}`, { cause })
