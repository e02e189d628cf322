import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { backupDatabase, isOpenDatabase } from '../../base/sqlite.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { formatSize } from '../../base/units.ts'
import type { SqliteSettings } from '../../model/databases.ts'
import type { SourceEntry, Timestamp } from '../../model/entry.ts'
import type { ReportWarning } from '../../model/progress.ts'
import type { ReadOptions, Source, SourceCheck, SourceReading } from '../../model/source.ts'
import { dumpFile, dumpFolder, dumpReading, jsonBytes, timestampOf } from '../dump-reading.ts'
import { faults, inspect, type Inspected } from './inspect.ts'
import { ABOUT, SEGMENT_BYTES, segmentName, type AboutSqlite } from './layout.ts'

/** Larger than any database: the copy is made in one step, so that writers in other processes cannot make it start again. */
const ALL_PAGES = 2 ** 31 - 1
/** Of copying while others write: more than five seconds in all. */
const ATTEMPTS = 10

/**
 * SQLite databases, each copied as of one moment while others write to it: by the backup API into a temporary file, from
 * which the pages are read. Writers of a database in WAL mode go on; others wait while the copy is made.
 */
export function sqlite(settings: SqliteSettings): Source {
  const files = [...new Set([...(settings.file === undefined ? [] : [settings.file]), ...(settings.files ?? [])])]
  if (files.length === 0) throw new AppError('config.invalid', 'an sqlite source needs a file')
  return {
    type: 'sqlite',
    name: files.join(' '),
    paths: files,
    test: async () => files.flatMap(checkFile),
    read: async (options) => read(named(files), options),
  }
}

interface NamedFile {
  name: string
  file: string
}

/** Folder names of the backup, in path order; a second file of the same name gets a number. */
function named(files: readonly string[]): NamedFile[] {
  const seen = new Map<string, number>()
  return files
    .map((file) => {
      const base = basename(file)
      const count = (seen.get(base) ?? 0) + 1
      seen.set(base, count)
      return { name: count === 1 ? base : `${base}~${count}`, file }
    })
    .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)))
}

async function read(files: readonly NamedFile[], { signal, onWarning }: ReadOptions): Promise<SourceReading> {
  throwIfAborted(signal)
  const databases: AboutSqlite[] = []
  return dumpReading({
    async *entries() {
      for (const { name, file } of files) {
        throwIfAborted(signal)
        const mtime = timestampOf(new Date())
        using copy = await copyOf(file, onWarning)
        databases.push(copy.about)
        yield dumpFolder(name, mtime)
        yield* pagesOf(name, copy, mtime, signal)
        yield dumpFile(`${name}/${ABOUT}`, mtime, jsonBytes(copy.about))
      }
    },
    facts: () => ({ databases }),
    close: async () => {},
  })
}

interface Copy extends Disposable {
  fd: number
  about: AboutSqlite
}

async function copyOf(file: string, onWarning: ReportWarning): Promise<Copy> {
  refuseWhatIsNone(file)
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-sqlite-'))
  try {
    const path = join(dir, 'copy')
    await copyPages(file, path)
    const found = faults(path, 'quick_check')
    if (found.length > 0)
      onWarning({ code: 'damaged', message: `SQLite finds faults in ${file}, the first: ${found[0]}`, path: file })
    const about = aboutOf(file, inspect(path))
    const fd = openSync(path, 'r')
    return { fd, about, [Symbol.dispose]: () => closeSync(fd) }
  } finally {
    // The open descriptor keeps the bytes; no crash leaves them behind.
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A writer that holds the database at the wrong moment is waited for; Node tells some of these as `not an error`. */
async function copyPages(file: string, path: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await backupDatabase(file, path, { pagesAtOnce: ALL_PAGES })
      return
    } catch (error) {
      const busy = /locked|busy|not an error/i.test(error instanceof Error ? error.message : String(error))
      if (!busy || attempt >= ATTEMPTS) throw copyFailure(error, file)
      rmSync(path, { force: true })
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt))
    }
  }
}

const aboutOf = (file: string, found: Inspected): AboutSqlite => ({
  holdfast: 'sqlite',
  version: 1,
  file,
  segmentBytes: SEGMENT_BYTES,
  ...found,
})

function* pagesOf(
  name: string,
  { fd, about: { pages, pageSize } }: Copy,
  mtime: Timestamp,
  signal: AbortSignal | undefined,
): Generator<SourceEntry> {
  const size = pages * pageSize
  const memory = Buffer.allocUnsafe(SEGMENT_BYTES)
  for (let at = 0, index = 0; at < size; at += SEGMENT_BYTES, index += 1) {
    throwIfAborted(signal)
    const segment = memory.subarray(0, Math.min(SEGMENT_BYTES, size - at))
    for (let done = 0; done < segment.length;) {
      const got = readSync(fd, segment, done, segment.length - done, at + done)
      if (got === 0) throw new AppError('source.incomplete', `the copy of ${name} ends after ${at + done} bytes`)
      done += got
    }
    yield dumpFile(`${name}/${segmentName(index)}`, mtime, segment)
  }
}

function copyFailure(error: unknown, file: string): AppError {
  const reason = error instanceof Error ? error.message : String(error)
  if (errno(error) === 'ENOSPC' || /disk is full|disk I\/O/.test(reason))
    return new AppError('source.incomplete', `no space in ${tmpdir()} for a copy of ${file}`, { cause: error })
  if (/locked|busy/i.test(reason))
    return new AppError('source.incomplete', `${file} stayed locked: ${reason}`, {
      cause: error,
      hint: 'A writer holds the database; try again, or set it to WAL mode: PRAGMA journal_mode=WAL.',
    })
  return new AppError('source.incomplete', `${file} cannot be copied: ${reason}`, { cause: error })
}

const MAGIC = Buffer.from('SQLite format 3\0', 'latin1')

/** An empty file is an empty database to SQLite; here it is far more likely a mistake. */
function refuseWhatIsNone(file: string): void {
  const head = Buffer.alloc(MAGIC.length)
  let fd: number
  try {
    const { dev, ino } = statSync(file, { bigint: true })
    // It is one, and closing a descriptor of it would take the locks of whoever has it open here.
    if (isOpenDatabase(dev, ino)) return
    if (!statSync(file).isFile()) throw new AppError('source.unsupported', `${file} is not a file`)
    fd = openSync(file, 'r')
  } catch (error) {
    if (error instanceof AppError) throw error
    const code = errno(error)
    throw new AppError(code === 'EACCES' ? 'source.denied' : 'source.not-found', `cannot read ${file}: ${code}`, {
      cause: error,
    })
  }
  try {
    if (readSync(fd, head, 0, head.length, 0) === head.length && head.equals(MAGIC)) return
    throw new AppError('source.unsupported', `${file} is not an SQLite database, or an encrypted one`, {
      hint: 'To back it up as it is, use a source of type files.',
    })
  } finally {
    closeSync(fd)
  }
}

function checkFile(file: string): SourceCheck[] {
  refuseWhatIsNone(file)
  const { tables, pages, pageSize } = inspect(file)
  const rows = tables.reduce((sum, table) => sum + table.rows, 0)
  return [
    { name: file, ok: true, detail: `${tables.length} tables, ${rows} rows, ${formatSize(pages * pageSize)}` },
    journalCheck(file),
  ]
}

function journalCheck(file: string): SourceCheck {
  const fd = openSync(file, 'r')
  try {
    const mode = Buffer.alloc(1)
    readSync(fd, mode, 0, 1, 19)
    const wal = mode[0] === 2
    return {
      name: `${file}: writers`,
      ok: true,
      detail: wal
        ? 'WAL mode: they go on during a backup'
        : 'rollback journal: they wait while the copy is made; `PRAGMA journal_mode=WAL` lets them go on',
    }
  } finally {
    closeSync(fd)
  }
}
