import { closeSync, readlinkSync, readSync } from 'node:fs'
import { displayPath, fsPath, pathFromBytes } from '../../base/paths.ts'
import { isOpenDatabase } from '../../base/sqlite.ts'
import type { EntryKind, LocalFile, SourceEntry } from '../../model/entry.ts'
import type { ByteReader } from '../../base/reader.ts'
import { extentsOf } from './extents.ts'
import { type Libc, splitDevice } from './libc.ts'
import { type Extents, openFile, openRegular, type ReaderSettings } from './reader.ts'
import { hasSqliteMagic, SQLITE_MAGIC, SQLITE_MAGIC_LENGTH } from './sqlite-copy.ts'
import { type FileStat, looksSparse, timestampOf } from './stat-entry.ts'
import type { Accounts } from './users.ts'

export interface MakerSettings extends ReaderSettings {
  accounts: Accounts
  libc: Libc | undefined
  xattrs: boolean
}

/** Characters of a path that surely needs no detour: see long-path.ts. */
const SHORT = 1300

/** Counts of what was met, for the facts of the backup. */
export interface Met {
  files: number
  folders: number
  bytes: number
}

/** Makes entries of what lstat tells. One lives as long as a walk: it knows the inodes that it met. */
export class EntryMaker {
  readonly #settings: MakerSettings
  readonly #attributes: Libc | undefined
  readonly #users: Accounts['users']
  readonly #groups: Accounts['groups']
  /** Inodes with further names to come: their first entry's path. */
  readonly #linked = new Map<string, { path: string; left: bigint }>()
  /** Devices whose file system has no extended attributes. */
  readonly #plain = new Set<bigint>()
  readonly met: Met = { files: 0, folders: 0, bytes: 0 }

  constructor(settings: MakerSettings) {
    this.#settings = settings
    this.#attributes = settings.xattrs ? settings.libc : undefined
    this.#users = settings.accounts.users
    this.#groups = settings.accounts.groups
  }

  make(path: string, at: string | Buffer, kind: EntryKind, mode: number, stat: FileStat): SourceEntry {
    const uid = Number(stat.uid)
    const gid = Number(stat.gid)
    const file = kind === 'file'
    const libc = this.#attributes
    const entry: SourceEntry = {
      path,
      kind,
      mode: mode & 0o7777,
      mtime: timestampOf(stat.mtimeNs),
      size: file ? Number(stat.size) : 0,
      ctime: timestampOf(stat.ctimeNs),
      uid,
      gid,
      user: this.#users.name(uid),
      group: this.#groups.name(gid),
      inode: Number(stat.ino),
      device: Number(stat.dev),
    }
    // A folder's count says something else.
    if (stat.nlink > 1n && kind !== 'directory') entry.links = Number(stat.nlink)
    if (file) this.#addContent(entry, stat)
    else if (kind === 'directory') this.met.folders += 1
    else if (kind === 'symlink') entry.linkTarget = pathFromBytes(readlinkSync(at, { encoding: 'buffer' }))
    else if (kind === 'chardev' || kind === 'blockdev') entry.rdev = splitDevice(stat.rdev)
    if (libc !== undefined && entry.open === undefined) this.#addXattrs(libc, entry, at, stat.dev)
    return entry
  }

  #addContent(entry: SourceEntry, stat: FileStat): void {
    this.met.files += 1
    if (stat.nlink > 1n) {
      entry.hardlink = this.#firstName(entry.path, stat)
      if (entry.hardlink !== undefined) return
    }
    this.met.bytes += entry.size
    if (looksSparse(stat)) this.#addSparse(entry, stat)
    else {
      entry.open = () => this.#open(entry, stat, undefined)
      if (stat.nlink === 1n && entry.path.length < SHORT && !isOpenDatabase(stat.dev, stat.ino))
        entry.local = this.#local(entry, stat)
    }
  }

  #local(entry: SourceEntry, stat: FileStat): LocalFile {
    const path = `/${entry.path}`
    const libc = this.#attributes
    return {
      path,
      ...(this.#settings.sqlite && { unless: SQLITE_MAGIC }),
      complete: () => {
        if (libc !== undefined) this.#addXattrs(libc, entry, fsPath(path), stat.dev)
      },
    }
  }

  /** Through the open file, its attributes cost a quarter of what they cost by its path. */
  #open(entry: SourceEntry, stat: FileStat, extents: Extents | undefined): ByteReader {
    const libc = this.#attributes
    const look = libc && ((at: number | string | Buffer) => this.#addXattrs(libc, entry, at, stat.dev))
    try {
      return openFile(entry.path, stat, this.#settings, extents, look)
    } catch (error) {
      // The next name of the same inode gets its chance.
      if (stat.nlink > 1n) this.#linked.delete(`${stat.dev}:${stat.ino}`)
      throw error
    }
  }

  /** The path of an earlier entry of the same inode; remembered until all its names have been seen. */
  #firstName(path: string, stat: FileStat): string | undefined {
    const key = `${stat.dev}:${stat.ino}`
    const known = this.#linked.get(key)
    if (known === undefined) {
      this.#linked.set(key, { path, left: stat.nlink - 1n })
      return undefined
    }
    known.left -= 1n
    if (known.left === 0n) this.#linked.delete(key)
    return known.path
  }

  /** The extents cost an open file, so they are looked for when asked for; the reader then gives their bytes alone. */
  #addSparse(entry: SourceEntry, stat: FileStat): void {
    const { libc } = this.#settings
    entry.sparse = true
    let extents: [number, number][] | undefined
    entry.open = () => this.#open(entry, stat, extents)
    if (libc !== undefined) lazyExtents(entry, () => (extents = this.#extents(libc, entry.path, entry.size)))
  }

  #extents(libc: Libc, path: string, size: number): [number, number][] | undefined {
    try {
      const fd = openRegular(path)
      if (!this.#settings.sqlite || !startsAsDatabase(fd)) return extentsOf(libc, fd, size)
      closeSync(fd)
    } catch {
      // To open it will fail in the same way, and say so.
    }
    return undefined
  }

  /** One system call, 1 to 5 µs; none on file systems that turned out to have no attributes. */
  #addXattrs(libc: Libc, entry: SourceEntry, at: number | string | Buffer, device: bigint): void {
    if (this.#plain.has(device)) return
    const { path } = entry
    const found = libc.xattrs(at)
    if (typeof found !== 'number') {
      if (found.length > 0) entry.xattrs = found
    } else if (found === libc.errors.ENOTSUP) this.#plain.add(device)
    else if (found !== libc.errors.ENOENT)
      this.#settings.warn({
        code: 'unreadable',
        message: `cannot read the extended attributes of ${displayPath(`/${path}`)}: error ${-found}`,
        path,
      })
  }
}

/** `extents` as a property that is computed once, when it is first read; a copy of the object reads it. */
function lazyExtents(entry: SourceEntry, compute: () => SourceEntry['extents']): void {
  let known = false
  let value: SourceEntry['extents']
  Object.defineProperty(entry, 'extents', {
    enumerable: true,
    configurable: true,
    get() {
      if (!known) value = compute()
      known = true
      return value
    },
  })
}

function startsAsDatabase(fd: number): boolean {
  const head = Buffer.alloc(SQLITE_MAGIC_LENGTH)
  return readSync(fd, head, 0, head.length, 0) === head.length && hasSqliteMagic(head)
}
