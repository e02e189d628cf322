/** Whether somebody has a database open: replacing it under them would damage it. */
import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { openDatabase } from '../../base/sqlite.ts'

/** Who uses the file, in words; undefined if nobody is seen. */
export function userOf(file: string): string | undefined {
  const holder = processWith(file)
  if (holder !== undefined) return holder
  try {
    // Before the first access: then even an idle connection in WAL mode is noticed by its lock.
    using database = openDatabase(file, { timeout: 0 })
    database.exec('pragma locking_mode = exclusive; begin exclusive; rollback')
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return /locked|busy/i.test(reason) ? `a program holds a lock on it` : undefined
  }
}

/** A connection that does nothing holds no lock outside of WAL mode; Linux tells who has the file open all the same. */
function processWith(file: string): string | undefined {
  const wanted = statSync(file, { bigint: true, throwIfNoEntry: false })
  if (wanted === undefined) return undefined
  for (const pid of numbers('/proc')) {
    for (const fd of numbers(`/proc/${pid}/fd`)) {
      try {
        const link = `/proc/${pid}/fd/${fd}`
        if (!readlinkSync(link).startsWith('/')) continue
        const { dev, ino } = statSync(link, { bigint: true })
        if (dev === wanted.dev && ino === wanted.ino) return `process ${pid} has it open`
      } catch {
        // It was closed meanwhile, or is not ours to look at.
      }
    }
  }
  return undefined
}

function numbers(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^\d+$/.test(name))
  } catch {
    return []
  }
}
