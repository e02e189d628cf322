/** Figures of all jobs by two scans, kept until something changes. */
import type { Database } from './database.ts'
import type { ProofLevel } from '../model/backup.ts'
import type { JobFigures, RunMark, VaultFigures } from '../model/board.ts'
import type { RunStatus } from '../model/run.ts'

interface RunRow {
  id: string
  job: string
  status: RunStatus
  created_at: number
  ended_at: number | null
}

interface BackupRow {
  vault: string
  id: string
  job: string
  time: number
  level: ProofLevel | null
  proved: string | null
  /** A text in PostgreSQL. */
  source: number | string | null
  stored: number | string | null
}

const SIZES = 20
/** Of the time that making it took: at most a tenth of a core goes into it. */
const REST = 9
const GOOD: readonly RunStatus[] = ['success', 'warning']

export function boardOf(database: Database): (since: Date) => Map<string, JobFigures> {
  const sql = {
    newest: database.prepare(`SELECT coalesce(max(id), 0) AS id FROM event`),
    changed: database.prepare(
      `SELECT 1 FROM event WHERE id > ? AND type IN ('run.created', 'run.stage', 'run.finished', 'backup.added', 'backup.removed') LIMIT 1`,
    ),
    recent: database.prepare(
      `SELECT id, job, status, created_at, ended_at FROM run WHERE kind = 'backup' AND created_at >= ? ORDER BY created_at`,
    ),
    /** Of jobs that ran earlier only. */
    last: database.prepare(
      `SELECT id, job, status, created_at, ended_at FROM run WHERE job = ? AND kind = 'backup'
         AND (? = 0 OR status IN ('success', 'warning')) ORDER BY created_at DESC LIMIT 1`,
    ),
    jobs: database.prepare('SELECT DISTINCT job FROM run'),
    open: database.prepare(`SELECT id, job FROM run WHERE status IN ('queued', 'running') ORDER BY created_at`),
    backups: database.prepare(
      `SELECT vault, id, job, time, body ->> '$.proof.level' AS level, body ->> '$.proof.at' AS proved,
         body ->> '$.sourceBytes' AS source, body ->> '$.storedBytes' AS stored FROM backup ORDER BY time`,
    ),
  }
  const open = new Set<string>()
  let kept: { event: number; since: number; until: number; board: Map<string, JobFigures> } | undefined

  return (since) => {
    const begun = performance.now()
    const event = (sql.newest.get() as { id: number }).id
    if (kept?.since === since.getTime()) {
      // What took long is not made anew with every change: that would be all that is done while many runs work.
      if (begun < kept.until || sql.changed.get(kept.event) === undefined) return markOpen(kept.board)
    }
    const board = new Map<string, JobFigures>()
    const of = (job: string): JobFigures => {
      const figures = board.get(job) ?? empty()
      board.set(job, figures)
      return figures
    }
    for (const row of sql.recent.iterate(since.getTime())) {
      const run = markOf(row as RunRow)
      const figures = of((row as RunRow).job)
      figures.recent.push(run)
      figures.lastRun = run
      if (GOOD.includes(run.status)) figures.lastGood = run
    }
    for (const { job } of sql.jobs.all() as { job: string }[]) {
      const figures = of(job)
      figures.lastRun ??= lastOf(job, false)
      figures.lastGood ??= lastOf(job, true)
    }
    for (const row of sql.backups.iterate()) count(of((row as BackupRow).job), row as BackupRow)
    const now = performance.now()
    kept = { event, since: since.getTime(), until: now + REST * (now - begun), board }
    return markOpen(board)
  }

  /** What works now is asked each time: whoever has started a run wants to see it. */
  function markOpen(board: Map<string, JobFigures>): Map<string, JobFigures> {
    for (const job of open) delete board.get(job)?.open
    open.clear()
    for (const { id, job } of sql.open.all() as { id: string; job: string }[]) {
      const figures = board.get(job) ?? empty()
      board.set(job, figures)
      figures.open = id
      open.add(job)
    }
    return board
  }

  function lastOf(job: string, good: boolean): RunMark | undefined {
    const row = sql.last.get(job, good ? 1 : 0) as RunRow | undefined
    return row && markOf(row)
  }
}

const empty = (): JobFigures => ({
  recent: [],
  backups: 0,
  sourceBytes: 0,
  storedBytes: 0,
  sizes: [],
  vaults: new Map(),
})

const markOf = ({ id, status, created_at, ended_at }: RunRow): RunMark => ({
  id,
  status,
  at: new Date(created_at),
  ...(ended_at !== null && { endedAt: new Date(ended_at) }),
})

function count(figures: JobFigures, row: BackupRow): void {
  const vault: VaultFigures = figures.vaults.get(row.vault) ?? { backups: 0, storedBytes: 0 }
  figures.vaults.set(row.vault, vault)
  vault.backups += 1
  vault.storedBytes += Number(row.stored ?? 0)
  vault.newest = figures.newest = new Date(row.time)
  figures.backups += 1
  figures.sourceBytes += Number(row.source ?? 0)
  figures.storedBytes += Number(row.stored ?? 0)
  if (row.source !== null) figures.sizes = [...figures.sizes, Number(row.source)].slice(-SIZES)
  if (row.level === null || row.proved === null || row.level < 'V3') return
  const proof = { level: row.level, at: new Date(row.proved), backup: row.id }
  for (const one of [vault, figures]) if (one.proof === undefined || one.proof.at <= proof.at) one.proof = proof
}
