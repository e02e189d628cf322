/** Of a transaction's events those of one database. */
import { crc32 } from 'node:zlib'
import { AppError } from '../../base/errors.ts'
import { EVENT, isRows, queryOf, tableIdOf, tableMapOf, type BinlogEvent } from './binlog.ts'

export interface Choice {
  database: string
  /** It has another name where it goes. */
  renamed: boolean
  /** Statements about users. */
  skipped: number
}

const STATEMENT_END = 1
const ABOUT_USERS =
  /^\s*(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE)\b|^\s*(?:GRANT|REVOKE|RENAME\s+USER|SET\s+PASSWORD)\b/i
const FRAME = /^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA)\b/i

/** Nothing where the transaction has nothing of it. */
export function chosenEvents(events: readonly BinlogEvent[], choice: Choice, summed: boolean): Buffer[] {
  const kept: Buffer[] = []
  const others = new Set<string>()
  /** Rows that wait for whether they are the last of their statement. */
  let held: Buffer | undefined
  let matters = false
  const flush = (): void => {
    if (held !== undefined) kept.push(held)
    held = undefined
  }
  for (const event of events) {
    const { type, bytes } = event
    if (type === EVENT.tableMap) {
      const { id, database } = tableMapOf(event)
      if (database === choice.database) {
        others.delete(id)
        flush()
        kept.push(bytes)
      } else others.add(id)
    } else if (isRows(type)) {
      const ends = ((event.body[6] ?? 0) & STATEMENT_END) !== 0
      if (others.has(tableIdOf(event))) {
        // The statement ends with rows that are left out: then it ends with those before.
        if (ends && held !== undefined) held = endingStatement(held, summed)
      } else {
        flush()
        held = bytes
        matters = true
      }
      if (ends) flush()
    } else if (type === EVENT.query || type === EVENT.queryCompressed) {
      flush()
      if (type === EVENT.queryCompressed)
        throw new AppError('restore.unsafe', 'the log has compressed statements, which cannot be looked into', {
          hint: 'Replay it by hand, or SET GLOBAL log_bin_compress = OFF for what comes.',
        })
      const wanted = isWanted(event, choice)
      if (wanted === 'frame') kept.push(bytes)
      else if (wanted) {
        kept.push(bytes)
        matters = true
      }
    } else {
      flush()
      // Annotations are of statements whose rows may not come along.
      if (type !== EVENT.annotate) kept.push(bytes)
    }
  }
  flush()
  return matters ? kept : []
}

function isWanted(event: BinlogEvent, choice: Choice): boolean | 'frame' {
  const { database, text } = queryOf(event)
  if (FRAME.test(text)) return 'frame'
  const named = mentions(text, choice.database)
  if (database !== choice.database && !named) return false
  if (ABOUT_USERS.test(text.replaceAll(/\/\*[^]*?\*\//g, ' '))) {
    choice.skipped += 1
    return false
  }
  const whole = /^\s*(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:DATABASE|SCHEMA)\b/i.test(text)
  if (choice.renamed && (named || whole))
    throw new AppError(
      'restore.unsafe',
      `a statement of the log names ${choice.database}, and would not go to another database: ${text.slice(0, 200)}`,
      { hint: 'Restore to a server where the database may have its own name.' },
    )
  return true
}

/** As in `shop.orders`. */
function mentions(text: string, database: string): boolean {
  const name = database.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`(?:^|[^\\w$])(?:\`${name}\`|${name})\\s*\\.`, 'i').test(text)
}

/** The same event with its flag; the sum follows. */
function endingStatement(bytes: Buffer, summed: boolean): Buffer {
  const changed = Buffer.from(bytes)
  changed[19 + 6] = (changed[19 + 6] ?? 0) | STATEMENT_END
  if (summed) changed.writeUInt32LE(crc32(changed.subarray(0, -4)), changed.length - 4)
  return changed
}
