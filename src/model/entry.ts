import type { ByteReader } from '../base/reader.ts'

/** What a backup is made of. One shape for files and for the streams of a database dump. */
export type EntryKind = 'file' | 'directory' | 'symlink' | 'fifo' | 'chardev' | 'blockdev' | 'socket'

/** Seconds since 1970 (negative before) and nanoseconds 0…999,999,999. */
export interface Timestamp {
  s: number
  ns: number
}

export interface Xattr {
  name: string
  value: Uint8Array
}

export interface Entry {
  /** See base/paths.ts: relative, `/`-separated; any bytes. */
  path: string
  kind: EntryKind
  /** Permission bits with setuid, setgid and sticky: 0…0o7777. */
  mode: number
  mtime: Timestamp
  /** Bytes of content; 0 for all but files. */
  size: number
  ctime?: Timestamp
  uid?: number
  gid?: number
  user?: string
  group?: string
  inode?: number
  device?: number
  /** Number of names of this inode, where more than one. */
  links?: number
  /** Symlinks: the target, in the encoding of paths. */
  linkTarget?: string
  /** A further name of the content of an earlier entry of the same backup: that entry's path. */
  hardlink?: string
  /** Devices: major and minor number. */
  rdev?: { major: number; minor: number }
  xattrs?: Xattr[]
  /** The file has holes: restore makes them again. */
  sparse?: boolean
  /** Told by a vault: equal digests mean equal content, within one format. */
  digest?: string
}

/** An entry as a source offers it. */
export interface SourceEntry extends Entry {
  /**
   * Opens the content, and tells `xattrs` where they were not known before, for entries of kind `file` that are not hardlinks. Called only if the content is wanted: an
   * unchanged file is never opened. It may be opened again after it was closed, until the next entry is asked for. A file that changed since: see SourceReport. Rejects or throws an
   * AppError `source.denied` or `source.not-found` when the item cannot be read: a warning, the backup goes on.
   */
  open?(): ByteReader | Promise<ByteReader>
  /**
   * Where the data of a sparse file lies, as sorted `[offset, length]` pairs; known before it is opened. The reader then
   * gives the bytes of these extents only, one after the other, without the holes.
   */
  extents?: [number, number][]
  /**
   * Whoever finds the inode, size and times there that the entry has, before and after reading, has read its content. In
   * any other case `open` tells what is wrong or gives the bytes: where this is set it may be called until the reading ends.
   */
  local?: LocalFile
  /** `size` is a guess: the content ends where its reader ends. */
  sizeUnknown?: boolean
}

/** A file that may be read past its source: many small ones by threads, which cannot call `open`. */
export interface LocalFile {
  /** Absolute, in the encoding of paths. */
  path: string
  /** Content that begins so has to come from `open`. */
  unless?: Uint8Array
  /** Completes the entry with what else only an opened file would tell (`xattrs`). */
  complete(): void
}

/** An entry on its way back: content comes in order, and may be skipped by not reading it. */
export interface RestoredEntry extends Entry {
  open?(): AsyncIterable<Uint8Array>
  /**
   * In place of `open`, for who restores to this machine: the vault itself makes the file, by threads, in the order that reads the
   * storage best. Nothing is written that was not checked. `done` is called once, later, and at the latest as the entries end;
   * after a failure nothing is left at that path. Failures of the file system are Node's own errors.
   */
  deliver?(place: LocalPlace, done: (failure?: unknown) => void): void
}

export interface LocalPlace {
  /** What node:fs takes. What exists is not touched: a failure with the code EEXIST. */
  path: string | Buffer
  /** Of the new file, less what the umask takes. */
  mode: number
  /** Blocks of zeros become holes. */
  sparse: boolean
}
