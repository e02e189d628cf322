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
/** Rows of one statement are one statement where they go, in text: more of them become several, which servers take. */
const STATEMENT_BYTES = 2 * 1024 * 1024
const ABOUT_USERS =
  /^\s*(?:CREATE|ALTER|DROP)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE)\b|^\s*(?:GRANT|REVOKE|RENAME\s+USER|SET\s+PASSWORD)\b/i
const FRAME = /^\s*(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|XA)\b/i

/** In the end whether the transaction has anything of it: if not, what was given before is to be forgotten. */
export function* chosenEvents(
  events: Iterable<BinlogEvent>,
  choice: Choice,
  summed: boolean,
): Generator<Buffer, boolean> {
  const others = new Set<string>()
  /** Of the statement in hand: its tables, and how much of it there is since they were told. */
  let maps: Buffer[] = []
  let since = 0
  /** Rows that wait for whether they are the last of their statement. */
  let held: Buffer | undefined
  let matters = false
  function* flush(): Generator<Buffer> {
    if (held !== undefined) yield held
    held = undefined
  }
  for (const event of events) {
    const { type, bytes } = event
    if (type === EVENT.tableMap) {
      const { id, database } = tableMapOf(event)
      if (database === choice.database) {
        others.delete(id)
        yield* flush()
        maps.push(bytes)
        yield bytes
      } else others.add(id)
    } else if (isRows(type)) {
      const ends = ((event.body[6] ?? 0) & STATEMENT_END) !== 0
      if (others.has(tableIdOf(event))) {
        // The statement ends with rows that are left out: then it ends with those before.
        if (ends && held !== undefined) held = endingStatement(held, summed)
      } else {
        if (held !== undefined && since > STATEMENT_BYTES) {
          held = endingStatement(held, summed)
          yield* flush()
          yield* maps
          since = 0
        } else yield* flush()
        held = bytes
        since += bytes.length
        matters = true
      }
      if (ends) {
        yield* flush()
        maps = []
        since = 0
      }
    } else if (type === EVENT.query || type === EVENT.queryCompressed) {
      yield* flush()
      if (type === EVENT.queryCompressed)
        throw new AppError('restore.unsafe', 'the log has compressed statements, which cannot be looked into', {
          hint: 'Replay it by hand, or SET GLOBAL log_bin_compress = OFF for what comes.',
        })
      const wanted = isWanted(event, choice)
      if (wanted === 'frame') yield bytes
      else if (wanted) {
        yield bytes
        matters = true
      }
    } else {
      yield* flush()
      // Annotations are of statements whose rows may not come along.
      if (type !== EVENT.annotate) yield bytes
    }
  }
  yield* flush()
  return matters
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
