import { statSync } from 'node:fs'
import { backup, DatabaseSync, type DatabaseSyncOptions } from 'node:sqlite'

/**
 * The only door to node:sqlite. A database opened here is known by its inode while it is open: POSIX drops all locks of
 * a process on a file when it closes any descriptor of it, so nobody in this process may open such a file by hand.
 */
export type Database = DatabaseSync

const open = new Map<string, number>()

/** Opens or, unless `readOnly`, makes the database; fails as node:sqlite does, with `code` `ERR_SQLITE_ERROR`. */
export function openDatabase(path: string | Buffer, options: DatabaseSyncOptions = {}): Database {
  const database = new DatabaseSync(path, options)
  const key = path === ':memory:' ? undefined : inodeKey(path)
  if (key === undefined) return database
  open.set(key, (open.get(key) ?? 0) + 1)
  const close = database.close.bind(database)
  let closed = false
  database.close = () => {
    close()
    if (closed) return
    closed = true
    const left = (open.get(key) ?? 1) - 1
    if (left === 0) open.delete(key)
    else open.set(key, left)
  }
  database[Symbol.dispose] = () => {
    if (database.isOpen) database.close()
  }
  return database
}

/** All of it or nothing, begun as a writer at once. */
export function transaction<T>(database: Pick<Database, 'exec' | 'isTransaction'>, work: () => T): T {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** Whether this process has a database of that inode open. */
export function isOpenDatabase(device: bigint, inode: bigint): boolean {
  return open.size > 0 && open.has(`${device}:${inode}`)
}

/**
 * Copies a database, page by page, as of one moment, while others use it; what is in its WAL is in the copy. `from` is
 * opened read-only and never changed. Rejects when it is locked for too long, damaged, or no database.
 */
export async function backupDatabase(
  from: string | Buffer,
  toPath: string,
  options: { pagesAtOnce?: number } = {},
): Promise<void> {
  const source = openDatabase(from, { readOnly: true, timeout: 5000 })
  try {
    await backup(source, toPath, { rate: options.pagesAtOnce ?? 4096 })
  } finally {
    source.close()
  }
}

function inodeKey(path: string | Buffer): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`
}
