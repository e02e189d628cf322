/** DROP, TRUNCATE and mass DELETE, seen in the log: files that a commit removes, and rows that a transaction deleted. */
import { setTimeout as sleep } from 'node:timers/promises'
import { toAppError } from '../../base/errors.ts'
import type { LaneEvent } from '../../model/lane.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { positionOf, timeOfPg } from './lsn.ts'
import type { WalFact } from './wal-records.ts'
import type { Wire } from './wire.ts'

export interface LossWatcher {
  take(facts: readonly WalFact[], timeline: number): Promise<LaneEvent[]>
}

/** So many rows deleted by one transaction from one table. */
export const MANY_ROWS = 1000
const LEARN_MS = 10_000
/** The log is not held up for longer. */
const OVER_MS = 2000
/** Transactions that are open at once and delete; more are not watched. */
const MOST_OPEN = 10_000

interface Known {
  oid: string
  name: string
  table: boolean
}

/**
 * The log names files, not tables: names are learnt from the catalogue of the database that the session is in, before
 * files go. What lies in other databases is told by its numbers.
 */
export function lossWatcher(wire: Wire, onWarning: ReportWarning): LossWatcher {
  const files = new Map<number, Known>()
  let there = new Set<string>()
  let database = 0
  let learnt = -Infinity
  /** Transactions that made files and are open. */
  const makers = new Set<number>()
  const deletes = new Map<number, Map<string, { file: number; database: number; rows: number }>>()

  async function learn(): Promise<void> {
    learnt = performance.now()
    try {
      const [[[own = '0'] = []] = [], rows = []] = await wire.query(
        `select oid::text from pg_database where datname = current_database();
         select pg_relation_filenode(c.oid)::text, c.oid::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname), (c.relkind in ('r', 'p', 'm'))::text
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'm') and c.relpersistence = 'p' and pg_relation_filenode(c.oid) is not null
           and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')`,
      )
      database = Number(own)
      there = new Set()
      // Those of before stay: the log may be behind.
      for (const [file = '0', oid = '0', name = '', table] of rows) {
        files.set(Number(file), { oid, name, table: table === 'true' })
        there.add(oid)
      }
    } catch (error) {
      onWarning({ code: 'note', message: `names of tables cannot be read: ${toAppError(error).message}` })
    }
  }

  /** The log has a commit before others see it, long before where it waits for a standby. */
  async function over(xid: number): Promise<void> {
    const running = `select coalesce(bool_or((x::text::bigint & 4294967295) = ${xid}), false) or (pg_snapshot_xmax(s)::text::bigint & 4294967295) <= ${xid}
      from pg_current_snapshot() s left join lateral pg_snapshot_xip(s) x on true group by s`
    try {
      for (const until = performance.now() + OVER_MS; performance.now() < until; await sleep(10)) {
        const [[[answer = 'f'] = []] = []] = await wire.query(running)
        if (answer !== 't') return
      }
    } catch (error) {
      onWarning({ code: 'note', message: `whether a table is still there is not known: ${toAppError(error).message}` })
    }
  }

  async function take(facts: readonly WalFact[], timeline: number): Promise<LaneEvent[]> {
    if (performance.now() - learnt > LEARN_MS) await learn()
    const events: LaneEvent[] = []
    for (const fact of facts) {
      if (fact.kind === 'delete') count(fact)
      else if (fact.kind === 'create') {
        if (makers.size >= MOST_OPEN) makers.delete(makers.values().next().value as number)
        makers.add(fact.xid)
      } else if (fact.kind === 'commit') {
        const id = positionOf({ timeline, lsn: fact.lsn })
        const time = timeOfPg(fact.micros)
        for (const one of deleted(fact))
          if (one.rows >= MANY_ROWS) {
            const known = one.database === database ? files.get(one.file) : undefined
            if (known !== undefined || one.database !== database)
              events.push({ id, kind: 'delete', what: nameOf(one, known), rows: one.rows, time })
          }
        const gone = fact.dropped.flatMap(({ database: of, file }) => {
          const known = of === database ? files.get(file) : undefined
          if (of === database) files.delete(file)
          return known?.table === true ? [known] : []
        })
        // TRUNCATE makes the file that comes after: who made none has dropped the table.
        const made = [fact.xid, ...fact.subs].filter((one) => makers.delete(one)).length > 0
        if (gone.length > 0 && !made) for (const { name } of gone) events.push({ id, kind: 'drop', what: name, time })
        else if (gone.length > 0) {
          await over(fact.xid)
          await learn()
          for (const { oid, name } of gone)
            events.push({ id, kind: there.has(oid) ? 'truncate' : 'drop', what: name, time })
        }
      }
    }
    return events
  }

  function count({ xid, relation }: Extract<WalFact, { kind: 'delete' }>): void {
    let own = deletes.get(xid)
    if (own === undefined) {
      if (deletes.size >= MOST_OPEN) deletes.delete(deletes.keys().next().value as number)
      deletes.set(xid, (own = new Map()))
    }
    const key = `${relation.database}/${relation.file}`
    const one = own.get(key) ?? { ...relation, rows: 0 }
    one.rows += 1
    own.set(key, one)
  }

  function deleted({
    xid,
    subs,
  }: Extract<WalFact, { kind: 'commit' }>): { file: number; database: number; rows: number }[] {
    const all = new Map<string, { file: number; database: number; rows: number }>()
    for (const one of [xid, ...subs]) {
      for (const [key, found] of deletes.get(one) ?? []) {
        const sum = all.get(key) ?? { ...found, rows: 0 }
        sum.rows += found.rows
        all.set(key, sum)
      }
      deletes.delete(one)
    }
    return [...all.values()]
  }

  return { take }
}

const nameOf = ({ database, file }: { database: number; file: number }, known: Known | undefined): string =>
  known?.name ?? `file ${file} of database ${database}`
