/** The catalogue on a database: the same statements serve SQLite and PostgreSQL. */
import type { Clock } from '../base/clock.ts'
import { processIdentity, processState, type ProcessIdentity } from '../base/process-identity.ts'
import type { Backup, BackupFilter } from '../model/backup.ts'
import type { Catalogue, RunFilter } from '../model/catalogue.ts'
import type { IncidentStore } from '../model/incident.ts'
import type { Run } from '../model/run.ts'
import type { ServerStore } from '../model/server-store.ts'
import type { ServiceStore } from '../model/service.ts'
import { boardOf } from './board.ts'
import { transaction, type Database } from './database.ts'
import { incidentStore } from './incidents.ts'
import { leaseOwner, takeLease } from './lease.ts'
import { parseBackup, parseRun } from './rows.ts'
import type { Seal } from './seal.ts'
import { serverStore } from './server-store.ts'
import { serviceStore } from './service-store.ts'

interface UsageRow {
  at: number
  bytes: number
  objects: number
  free: number | null
}

/** `seal`: for what is stored so that only who has its key can read it. */
export function catalogueOn(database: Database, clock: Clock, seal: Seal): Catalogue {
  const statement = statements(database)
  let service: ServiceStore | undefined
  let incidents: IncidentStore | undefined
  let server: ServerStore | undefined
  let board: ReturnType<typeof boardOf> | undefined

  function saveBackup(backup: Backup): void {
    statement.saveBackup.run(backup.vault, backup.id, backup.job, backup.time.getTime(), JSON.stringify(backup))
  }

  function saveRun(run: Run): void {
    const owner = JSON.stringify(processIdentity())
    statement.saveRun.run(
      run.id,
      run.kind,
      run.job,
      run.status,
      run.createdAt.getTime(),
      run.endedAt?.getTime() ?? null,
      owner,
      JSON.stringify(run),
    )
  }

  return {
    get service() {
      return (service ??= serviceStore(database, clock, seal))
    },
    get incidents() {
      return (incidents ??= incidentStore(database, clock))
    },
    get server() {
      return (server ??= serverStore(database, clock, seal))
    },
    saveRun,
    run(id) {
      const row = statement.run.get(id) as { body: string } | undefined
      return row === undefined ? undefined : parseRun(row.body)
    },
    runs(filter = {}) {
      const { where, values } = runConditions(filter)
      const rows = database
        .prepare(`SELECT body FROM run ${where} ORDER BY created_at DESC LIMIT ?`)
        .all(...values, filter.limit ?? 1000)
      return (rows as { body: string }[]).map(({ body }) => parseRun(body))
    },
    askToCancel: (id, by) => void statement.askToCancel.run(by, id),
    cancelAsked: (id) => (statement.cancelAsked.get(id) as { cancel: string | null } | undefined)?.cancel ?? undefined,
    askToLimit: (id, rate) => void statement.askToLimit.run(String(rate), id),
    limitAsked(id) {
      const rate = (statement.limitAsked.get(id) as { rate: string | null } | undefined)?.rate ?? undefined
      return rate === undefined || rate === 'none' ? rate : Number(rate)
    },
    board: (since) => (board ??= boardOf(database))(since),
    runsPage({ before, limit, ...filter }) {
      const { where, values } = runConditions(filter)
      const after = before === undefined ? '' : `${where === '' ? 'WHERE' : 'AND'} (created_at, id) < (?, ?)`
      const rows = database
        .prepare(`SELECT body FROM run ${where} ${after} ORDER BY created_at DESC, id DESC LIMIT ?`)
        .all(...values, ...(before === undefined ? [] : [before.at.getTime(), before.id]), limit)
      return (rows as { body: string }[]).map(({ body }) => parseRun(body))
    },
    backupsPage({ before, limit, job, vault, tag, since, until, id }) {
      const rows = statement.backupsPage.all({
        job: job ?? null,
        vault: vault ?? null,
        tag: tag ?? null,
        id: id ?? null,
        since: since?.getTime() ?? 0,
        until: until?.getTime() ?? Number.MAX_SAFE_INTEGER,
        at: before?.at.getTime() ?? Number.MAX_SAFE_INTEGER,
        key: before?.id ?? '',
        limit,
      })
      return (rows as { body: string }[]).map(({ body }) => parseBackup(body))
    },
    saveUsage: (vault, { at, bytes, objects, free }) =>
      void statement.saveUsage.run(vault, at.getTime(), bytes, objects, free ?? null),
    usage(vault, since) {
      const rows = statement.usage.all(vault, since.getTime()) as unknown as UsageRow[]
      return rows.map(({ at, free, ...rest }) => ({ ...rest, at: new Date(at), ...(free !== null && { free }) }))
    },
    replaceBackups(vault, backups) {
      transaction(database, () => {
        const here = new Set(backups.map(({ id }) => id))
        const known = statement.vaultIds.all(vault) as { id: string }[]
        for (const { id } of known) if (!here.has(id)) statement.removeBackup.run(vault, id)
        for (const backup of backups) saveBackup(backup)
      })
    },
    saveBackup,
    removeBackups(vault, ids) {
      transaction(database, () => {
        for (const id of ids) statement.removeBackup.run(vault, id)
      })
    },
    backups(filter = {}) {
      const rows = (
        filter.vault === undefined ? statement.backups.all() : statement.vaultBackups.all(filter.vault)
      ) as { body: string }[]
      return rows.map(({ body }) => parseBackup(body)).filter((backup) => matches(backup, filter))
    },
    lease: (name, options = {}) => takeLease(database, clock, name, options.onLost),
    leaseOwner: (name) => leaseOwner(database, clock, name),
    get: (key) => (statement.get.get(key) as { value: string } | undefined)?.value,
    set: (key, value) => void statement.set.run(key, value),
    reapRuns() {
      const rows = statement.running.all() as { body: string; owner: string }[]
      return rows.flatMap(({ body, owner }) => {
        if (processState(JSON.parse(owner) as ProcessIdentity) !== 'dead') return []
        const run: Run = { ...parseRun(body), status: 'interrupted', endedAt: clock.now() }
        run.error = {
          code: 'run.failed',
          message: 'the process that worked on it is gone',
          hint: 'The next run carries on and cleans up.',
        }
        saveRun(run)
        return [run]
      })
    },
    pruneRuns(before) {
      const rows = statement.oldRuns.all(before.getTime()) as { id: string; body: string }[]
      transaction(database, () => {
        for (const { id } of rows) statement.removeRun.run(id)
      })
      return rows.flatMap(({ body }) => parseRun(body).log ?? [])
    },
    close: () => {
      if (database.isOpen) database.close()
    },
  }
}

// oxlint-disable-next-line typescript/explicit-function-return-type
function statements(database: Database) {
  return {
    saveRun: database.prepare(
      `INSERT INTO run (id, kind, job, status, created_at, ended_at, owner, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET status = excluded.status, owner = excluded.owner, ended_at = excluded.ended_at, body = excluded.body`,
    ),
    run: database.prepare('SELECT body FROM run WHERE id = ?'),
    running: database.prepare(`SELECT body, owner FROM run WHERE status = 'running'`),
    oldRuns: database.prepare(
      `SELECT id, body FROM (
         SELECT *, row_number() OVER (kin ORDER BY created_at DESC) AS age,
           row_number() OVER (kin ORDER BY status IN ('success', 'warning') DESC, created_at DESC) AS good
         FROM run WINDOW kin AS (PARTITION BY job, kind, body ->> 'vault')
       ) AS aged WHERE ended_at < ? AND age > 1 AND good > 1`,
    ),
    askToCancel: database.prepare(`UPDATE run SET cancel = ? WHERE id = ? AND status IN ('queued', 'running')`),
    cancelAsked: database.prepare('SELECT cancel FROM run WHERE id = ?'),
    askToLimit: database.prepare(`UPDATE run SET rate = ? WHERE id = ? AND status IN ('queued', 'running')`),
    limitAsked: database.prepare('SELECT rate FROM run WHERE id = ?'),
    removeRun: database.prepare('DELETE FROM run WHERE id = ?'),
    // What did not change is not written, so that nobody is told of it.
    saveBackup: database.prepare(
      `INSERT INTO backup (vault, id, job, time, body) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (vault, id) DO UPDATE SET job = excluded.job, time = excluded.time, body = excluded.body
       WHERE backup.body <> excluded.body`,
    ),
    removeBackup: database.prepare('DELETE FROM backup WHERE vault = ? AND id = ?'),
    vaultIds: database.prepare('SELECT id FROM backup WHERE vault = ?'),
    backups: database.prepare('SELECT body FROM backup ORDER BY time, id'),
    vaultBackups: database.prepare('SELECT body FROM backup WHERE vault = ? ORDER BY time, id'),
    backupsPage: database.prepare(
      `SELECT body FROM backup WHERE (:job IS NULL OR job = :job) AND (:vault IS NULL OR vault = :vault)
         AND (:id IS NULL OR id = :id) AND time >= :since AND time <= :until AND time <= :at
         AND (:tag IS NULL OR EXISTS (SELECT 1 FROM json_each(body, '$.tags') WHERE value = :tag))
         AND (time, vault || '\n' || id) < (:at, :key) ORDER BY time DESC, vault DESC, id DESC LIMIT :limit`,
    ),
    saveUsage: database.prepare(
      `INSERT INTO usage (vault, at, bytes, objects, free) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (vault, at) DO UPDATE SET bytes = excluded.bytes, objects = excluded.objects, free = excluded.free`,
    ),
    usage: database.prepare('SELECT at, bytes, objects, free FROM usage WHERE vault = ? AND at >= ? ORDER BY at'),
    get: database.prepare('SELECT value FROM state WHERE key = ?'),
    set: database.prepare(
      'INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
  }
}

function runConditions({ job, vault, kind, status, since, until }: RunFilter): {
  where: string
  values: (string | number)[]
} {
  const conditions: [string, (string | number)[]][] = []
  if (job !== undefined) conditions.push(['job = ?', [job]])
  if (kind !== undefined) conditions.push(['kind = ?', [kind]])
  if (vault !== undefined) conditions.push([`body ->> 'vault' = ?`, [vault]])
  if (since !== undefined) conditions.push(['created_at >= ?', [since.getTime()]])
  if (until !== undefined) conditions.push(['created_at <= ?', [until.getTime()]])
  if (status !== undefined) conditions.push([`status IN (${status.map(() => '?').join(', ')})`, status])
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.map(([text]) => text).join(' AND ')}`
  return { where, values: conditions.flatMap(([, values]) => values) }
}

export function matches(backup: Backup, { job, id, tags, since, until, host }: BackupFilter): boolean {
  return (
    (job === undefined || backup.job === job) &&
    (id === undefined || backup.id === id) &&
    (host === undefined || backup.host === host) &&
    (since === undefined || backup.time >= since) &&
    (until === undefined || backup.time <= until) &&
    (tags === undefined || tags.every((tag) => backup.tags.includes(tag)))
  )
}
