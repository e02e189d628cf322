/** A database is written beside its place, and put there in one step once it is known to be whole. */
import { randomUUID } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { syncFolder } from '../../base/folders.ts'
import { userOf } from './in-use.ts'

export interface Place {
  file: string
  /** Replace a database that is there. */
  replace?: boolean
  dryRun?: boolean
}

/** What another database left behind would be replayed into the new one. */
const COMPANIONS = ['-wal', '-shm', '-journal'] as const

export function refuseWhatIsThere({ file, replace, dryRun }: Place): void {
  if (!existsSync(file)) return
  if (replace !== true && dryRun !== true) throw new AppError('restore.exists', `${file} exists already`)
  const user = userOf(file)
  if (user !== undefined) throw new AppError('target.in-use', `${file} is in use: ${user}`)
}

export interface Filling<T> {
  /** Writes the database. */
  fill(fd: number): Promise<T>
  /** Whether it is whole; throws else. */
  prove(temporary: string, filled: T): void
}

/** Nothing of it is left when it fails. */
export async function putInPlace<T>(place: Place, { fill, prove }: Filling<T>): Promise<T> {
  const { file } = place
  refuseWhatIsThere(place)
  const temporary = `${file}.restore-${randomUUID()}`
  const fd = openForWriting(temporary)
  try {
    const filled = await fill(fd)
    fsyncSync(fd)
    prove(temporary, filled)
    refuseWhatIsThere(place)
    for (const end of COMPANIONS) rmSync(file + end, { force: true })
    renameSync(temporary, file)
    syncFolder(dirname(file))
    return filled
  } catch (error) {
    if (errno(error) === 'ENOSPC') throw new AppError('target.full', 'no space for the database', { cause: error })
    throw error
  } finally {
    closeSync(fd)
    for (const end of ['', ...COMPANIONS]) rmSync(temporary + end, { force: true })
  }
}

function openForWriting(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true })
    return openSync(path, 'wx+', 0o600)
  } catch (error) {
    throw new AppError('target.denied', `cannot write ${path}: ${errno(error)}`, { cause: error })
  }
}
