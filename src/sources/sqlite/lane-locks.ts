/** What a lane holds on an SQLite database: a read transaction, and at times the lock of writers. Nothing here waits in the thread. */
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../base/errors.ts'
import { openDatabase, type Database } from '../../base/sqlite.ts'

/** How long others may lock the database before that is a fault. */
export const BUSY_MS = 20_000
export const BUSY_LOOK_MS = 3

export interface Holder {
  /** Nobody else writes from here on, for so long at most. False: somebody else has the lock. */
  lock(ms: number): boolean
  /** Nobody has written since `lock`. */
  locked(): boolean
  /** Puts the log into the database, as far as other readers let it. Tells whether that was done wholly. Locked only. */
  settle(): boolean
  unlock(): void
  close(): void
}

/**
 * SQLite would wait for others in this thread, and everything here with it: so it gives up at once, and is asked again.
 * Soon: in between, writers take turns that we would miss.
 */
export async function whileBusy<T>(path: string, work: () => T, signal: AbortSignal | undefined): Promise<T> {
  for (const until = Date.now() + BUSY_MS; ;) {
    try {
      return work()
    } catch (error) {
      if (!isBusy(error)) throw error
      if (Date.now() > until)
        throw new AppError('source.unreachable', `${path} has been locked by others for long`, { cause: error })
      await sleep(BUSY_LOOK_MS, undefined, signal === undefined ? {} : { signal })
    }
  }
}

/** Result codes, extended ones included: SQLITE_BUSY 5, SQLITE_LOCKED 6. */
const isBusy = (error: unknown): boolean =>
  error instanceof Error &&
  'errcode' in error &&
  typeof error.errcode === 'number' &&
  [5, 6].includes(error.errcode & 0xff)

export function hold(path: string): Holder {
  // A file that can be opened once can be opened again.
  const reader = openDatabase(path, { timeout: 0 })
  const writer = openDatabase(path, { timeout: 0 })
  const copier = openDatabase(path, { timeout: 0 })
  const all = [reader, writer, copier]
  const close = (): void => {
    for (const one of all) if (one.isOpen) one.close()
  }
  try {
    const [mode] = Object.values(writer.prepare('pragma journal_mode').get() ?? {})
    if (mode !== 'wal')
      throw new AppError('source.unsupported', `${path} is not in WAL mode (${String(mode)})`, {
        hint: 'Run `PRAGMA journal_mode=WAL` on it once.',
      })
    for (const one of all) one.exec('pragma wal_autocheckpoint = 0')
    begin(reader)
  } catch (error) {
    close()
    throw error
  }
  let timer: NodeJS.Timeout | undefined
  const unlock = (): void => {
    clearTimeout(timer)
    if (writer.isOpen && writer.isTransaction) writer.exec('rollback')
  }
  return {
    lock(ms) {
      try {
        writer.exec('begin immediate')
      } catch (error) {
        if (isBusy(error)) return false
        throw error
      }
      timer = setTimeout(unlock, ms)
      return true
    },
    locked: () => writer.isTransaction,
    settle() {
      try {
        reader.exec('commit')
        const row = copier.prepare('pragma wal_checkpoint(passive)').get() ?? {}
        return Number(row['busy']) === 0 && Number(row['log']) === Number(row['checkpointed'])
      } finally {
        if (!reader.isTransaction) begin(reader)
      }
    },
    unlock,
    close() {
      unlock()
      close()
    },
  }
}

function begin(reader: Database): void {
  reader.exec('begin')
  // A lock is taken with the first look.
  reader.prepare('select count(*) from sqlite_schema').get()
}
