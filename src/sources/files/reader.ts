import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { AppError, errno, type ErrorCode } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import type { ByteReader } from '../../base/reader.ts'
import { isOpenDatabase } from '../../base/sqlite.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { withPath } from './long-path.ts'
import { copyOfDatabase, hasSqliteMagic } from './sqlite-copy.ts'

/** Never a symlink, never waiting for the other end of a fifo that took the file's place. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** Reading should not change access times; only owners and root may ask for that. */
const QUIET_FLAGS = FLAGS | ('O_NOATIME' in constants ? constants.O_NOATIME : 0)

/** Files of /proc and the like say size 0 and give bytes all the same; this much of them at most. */
const UNSIZED_LIMIT = 64 * 1024 * 1024

export interface ReaderSettings {
  warn: ReportWarning
  /** Copy SQLite databases by their backup API. */
  sqlite: boolean
  /** Where their copies go. */
  scratchDir: string
}

export type Extents = readonly (readonly [number, number])[]

/**
 * Opens a file of the walk; `seen` is what the walk saw. With `extents`, only those bytes are given. `look` is given
 * the open file, or the path of a database that is not opened by hand.
 */
export function openFile(
  path: string,
  seen: Pick<BigIntStats, 'dev' | 'ino'>,
  settings: ReaderSettings,
  extents?: Extents,
  look?: (at: number | string | Buffer) => void,
): ByteReader {
  if (settings.sqlite && isOpenDatabase(seen.dev, seen.ino)) {
    if (look !== undefined) withPath(`/${path}`, look)
    return databaseReader(path, settings)
  }
  const fd = openRegular(path)
  try {
    const stat = fstatSync(fd, { bigint: true })
    if (!stat.isFile()) throw new AppError('source.not-found', `${show(path)} is no file any more`)
    look?.(fd)
    const replaced = stat.ino !== seen.ino || stat.dev !== seen.dev
    return new FileReader(path, fd, stat, settings, replaced, extents)
  } catch (error) {
    closeSync(fd)
    throw sourceError(error, path, 'open')
  }
}

export function openRegular(path: string): number {
  try {
    return withPath(`/${path}`, (at) => {
      try {
        return openSync(at, QUIET_FLAGS)
      } catch (error) {
        if (errno(error) !== 'EPERM') throw error
        return openSync(at, FLAGS)
      }
    })
  } catch (error) {
    throw sourceError(error, path, 'open')
  }
}

class FileReader implements ByteReader {
  readonly #path: string
  readonly #stat: BigIntStats
  readonly #settings: ReaderSettings
  readonly #extents: Extents
  #fd: number
  #replaced: boolean
  /** The extent in hand and how much of it is read. */
  #extent = 0
  #done = 0
  #instead: ByteReader | undefined
  #mayBeDatabase: boolean

  constructor(
    path: string,
    fd: number,
    stat: BigIntStats,
    settings: ReaderSettings,
    replaced: boolean,
    extents: Extents | undefined,
  ) {
    this.#path = path
    this.#fd = fd
    this.#stat = stat
    this.#settings = settings
    this.#replaced = replaced
    this.#extents = extents ?? [[0, stat.size === 0n ? UNSIZED_LIMIT : Number(stat.size)]]
    this.#mayBeDatabase = settings.sqlite && extents === undefined && stat.size >= 512n
  }

  read(into: Uint8Array): number | Promise<number> {
    if (this.#instead !== undefined) return this.#instead.read(into)
    const count = this.#readPlain(into)
    if (!this.#mayBeDatabase) return count
    this.#mayBeDatabase = false
    return hasSqliteMagic(into.subarray(0, count)) ? this.#readDatabase(into) : count
  }

  #readPlain(into: Uint8Array): number {
    for (let extent = this.#extents[this.#extent]; extent !== undefined; extent = this.#extents[this.#extent]) {
      const wanted = Math.min(into.length, extent[1] - this.#done)
      const count = wanted === 0 ? 0 : this.#pread(into, wanted, extent[0] + this.#done)
      this.#done += count
      if (count > 0) return count
      this.#extent += 1
      this.#done = 0
    }
    return 0
  }

  #pread(into: Uint8Array, length: number, position: number): number {
    if (this.#fd === -1) return 0
    try {
      return readSync(this.#fd, into, 0, length, position)
    } catch (error) {
      throw sourceError(error, this.#path, 'read')
    }
  }

  async #readDatabase(into: Uint8Array): Promise<number> {
    // Closed first: closing it later would drop the locks that SQLite takes on the same file.
    closeSync(this.#fd)
    this.#fd = -1
    const copy = await copyOfDatabase(this.#path, this.#settings)
    if (copy !== undefined) {
      this.#instead = copy
      return await copy.read(into)
    }
    this.#fd = openRegular(this.#path)
    this.#done = 0
    return this.#readPlain(into)
  }

  close(): void | Promise<void> {
    if (this.#instead !== undefined) return this.#instead.close()
    if (this.#fd === -1) return
    const fd = this.#fd
    this.#fd = -1
    try {
      const now = fstatSync(fd, { bigint: true })
      if (this.#replaced || now.mtimeNs !== this.#stat.mtimeNs || now.size !== this.#stat.size) this.#warnChanged()
    } finally {
      closeSync(fd)
    }
  }

  #warnChanged(): void {
    const what = this.#replaced ? 'was replaced just before it was read' : 'changed while it was read'
    this.#settings.warn({ code: 'changed', message: `${show(this.#path)} ${what}`, path: this.#path })
  }
}

/** A reader of a database that must not be opened by hand: there is no other way to its bytes than a copy. */
function databaseReader(path: string, settings: ReaderSettings): ByteReader {
  let copy: ByteReader | undefined
  return {
    async read(into) {
      copy ??= await copyOfDatabase(path, settings, true)
      if (copy === undefined) throw new AppError('source.failed', `cannot copy the database ${show(path)}`)
      return await copy.read(into)
    },
    close: () => copy?.close(),
  }
}

const show = (path: string): string => displayPath(`/${path}`)

const CODES: Record<string, ErrorCode> = {
  ENOENT: 'source.not-found',
  ENOTDIR: 'source.not-found',
  // O_NOFOLLOW: the file has become a symlink.
  ELOOP: 'source.not-found',
  ENXIO: 'source.not-found',
  EACCES: 'source.denied',
  EPERM: 'source.denied',
}

export function sourceError(error: unknown, path: string, verb: string): AppError {
  if (error instanceof AppError) return error
  const name = errno(error) ?? ''
  return new AppError(CODES[name] ?? 'source.failed', `cannot ${verb} ${show(path)}: ${name || String(error)}`, {
    cause: error,
  })
}
