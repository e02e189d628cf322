import { closeSync, lstatSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { displayPath, fsPath } from '../../base/paths.ts'
import type { ByteReader } from '../../base/reader.ts'
import { backupDatabase, openDatabase } from '../../base/sqlite.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { withPath } from './long-path.ts'

/** https://sqlite.org/fileformat2.html#the_database_header: 16 bytes, and 2 at offset 18 for a database in WAL mode. */
export const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1')
const READ_VERSION_AT = 19
export const SQLITE_MAGIC_LENGTH = 20
export const COMPANIONS = ['-wal', '-shm', '-journal'] as const

export const hasSqliteMagic = (head: Uint8Array): boolean =>
  head.length >= SQLITE_MAGIC.length && SQLITE_MAGIC.compare(head, 0, SQLITE_MAGIC.length) === 0

export interface CopySettings {
  warn: ReportWarning
  scratchDir: string
}

/**
 * The bytes of a consistent copy, made in the scratch folder and gone when the reader is closed. Undefined, where
 * the file's own bytes are the better source: nobody has the database open, or it cannot be copied (a warning).
 * `openHere`: this process has it open, see base/sqlite.ts.
 */
export async function copyOfDatabase(
  path: string,
  settings: CopySettings,
  openHere = false,
): Promise<ByteReader | undefined> {
  if (!openHere && isAtRest(path)) return undefined
  const dir = mkdtempSync(join(settings.scratchDir, 'holdfast-sqlite-'))
  try {
    const file = join(dir, 'copy')
    await backupDatabase(fsPath(`/${path}`), file)
    const fd = openSync(file, 'r')
    return {
      read: (into) => readSync(fd, into, 0, into.length, null),
      close() {
        if (lstatSync(dir, { throwIfNoEntry: false }) === undefined) return
        closeSync(fd)
        rmSync(dir, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(dir, { recursive: true, force: true })
    if (errno(error) === 'ENOSPC')
      throw new AppError('source.failed', `no space in ${settings.scratchDir} for a copy of ${displayPath(`/${path}`)}`)
    settings.warn({
      code: 'changed',
      message: `${displayPath(`/${path}`)} looks like an SQLite database but cannot be copied as one (${reason(error)}): its bytes are taken as they are`,
      path,
    })
    return undefined
  }
}

/**
 * A database in WAL mode without its `-shm` file is open nowhere: its bytes (with those of a `-wal` left by a crash) are
 * whole. To open it would leave files beside it, and a backup leaves no traces.
 */
function isAtRest(path: string): boolean {
  const head = headOf(path)
  return head?.[READ_VERSION_AT] === 2 && !exists(`${path}-shm`)
}

/** Whether the database can be opened and read as it lies there: false for one that a crash left with a hot journal. */
export function canCopy(path: string): boolean {
  const head = headOf(path)
  if (head === undefined || !hasSqliteMagic(head) || isAtRest(path)) return false
  try {
    const database = openDatabase(fsPath(`/${path}`), { readOnly: true, timeout: 1000 })
    try {
      database.prepare('select count(*) from sqlite_schema').get()
      return true
    } finally {
      database.close()
    }
  } catch {
    return false
  }
}

function headOf(path: string): Buffer | undefined {
  try {
    const fd = withPath(`/${path}`, (at) => openSync(at, 'r'))
    try {
      const head = Buffer.alloc(SQLITE_MAGIC_LENGTH)
      return readSync(fd, head, 0, head.length, 0) === head.length ? head : undefined
    } finally {
      closeSync(fd)
    }
  } catch {
    return undefined
  }
}

const exists = (path: string): boolean => {
  try {
    return withPath(`/${path}`, (at) => lstatSync(at, { throwIfNoEntry: false })) !== undefined
  } catch {
    return false
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error))
