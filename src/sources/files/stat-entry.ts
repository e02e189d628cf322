import type { BigIntStats } from 'node:fs'
import type { EntryKind, Timestamp } from '../../model/entry.ts'

/** What of lstat(2) a backup wants, in the order in which threads hand it on. */
export const STAT_FIELDS = [
  'mode',
  'dev',
  'ino',
  'nlink',
  'uid',
  'gid',
  'rdev',
  'size',
  'blocks',
  'mtimeNs',
  'ctimeNs',
] as const

export type FileStat = Pick<BigIntStats, (typeof STAT_FIELDS)[number]>

const S_IFMT = 0o170000
const KINDS: Record<number, EntryKind> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o010000: 'fifo',
  0o020000: 'chardev',
  0o060000: 'blockdev',
  0o140000: 'socket',
}

export const kindOfMode = (mode: number): EntryKind => KINDS[mode & S_IFMT] ?? 'file'

/** The type bits that mknod(2) wants. */
export const TYPE_BITS = { fifo: 0o010000, chardev: 0o020000, blockdev: 0o060000 } as const

const BILLION = 1_000_000_000n

/** Nanoseconds since 1970, also negative ones, as whole seconds and 0…999,999,999 nanoseconds. */
export function timestampOf(nanoseconds: bigint): Timestamp {
  const s = Number(nanoseconds / BILLION)
  const ns = Number(nanoseconds % BILLION)
  return ns < 0 ? { s: s - 1, ns: ns + 1e9 } : { s, ns }
}

/** Equal, or as near as a restore without the C library could set it: node:fs takes times as floating seconds. */
export function sameTime(a: Timestamp, b: Timestamp, exact: boolean): boolean {
  if (exact) return a.s === b.s && a.ns === b.ns
  return Math.abs((a.s - b.s) * 1e9 + (a.ns - b.ns)) < 2000
}

export const laterOf = (a: bigint, b: bigint): bigint => (a > b ? a : b)

/** A file whose blocks hold fewer bytes than its size, by a page or more, most likely has holes. */
export const looksSparse = (stat: FileStat): boolean => stat.size - stat.blocks * 512n >= 4096n
