/** From finished runs to the report of them. */
import type { Backup } from '../model/backup.ts'
import type { RecentRuns, RunReport } from '../model/report.ts'
import type { Run } from '../model/run.ts'
import { hostOf, type Deps } from './recorder.ts'
import type { JobRun } from './run-jobs.ts'

/** How many earlier runs the strip of a job shows. */
const STRIP = 30

export function reportOf(deps: Deps, version: string, results: readonly JobRun[]): RunReport {
  const runs = results.map(({ run }) => run)
  const pruned = results.flatMap(({ vault, result }) => (result?.pruned ? [{ vault, ...result.pruned }] : []))
  return assembled(
    deps,
    version,
    runs,
    results.flatMap(({ result }) => result?.backup ?? []),
    pruned,
  )
}

/** Of the newest run of each job and vault, from the catalogue alone. */
export function reportOfLastRuns(deps: Deps, version: string, job?: string): RunReport {
  const newest = new Map<string, Run>()
  for (const run of deps.catalogue.runs({ kind: 'backup', limit: 1000, ...(job !== undefined && { job }) })) {
    const key = `${run.job}\0${run.vault ?? ''}`
    if (!newest.has(key)) newest.set(key, run)
  }
  const runs = [...newest.values()].sort((a, b) => a.job.localeCompare(b.job))
  const ids = new Set(runs.flatMap(({ backupId }) => backupId ?? []))
  const backups = deps.catalogue.backups().filter(({ id }) => ids.has(id))
  return assembled(deps, version, runs, backups, [])
}

function assembled(
  deps: Deps,
  version: string,
  runs: Run[],
  backups: Backup[],
  pruned: RunReport['pruned'],
): RunReport {
  const now = deps.clock.now()
  const times = runs.map(({ createdAt }) => createdAt.getTime())
  return {
    host: hostOf(deps),
    version,
    startedAt: times.length > 0 ? new Date(Math.min(...times)) : now,
    endedAt: new Date(Math.max(now.getTime(), ...runs.map(({ endedAt }) => endedAt?.getTime() ?? 0))),
    runs,
    backups,
    pruned,
    recent: [...new Set(runs.map(({ job }) => job))].map((job) => recentOf(deps, job)),
  }
}

function recentOf(deps: Deps, job: string): RecentRuns {
  const runs = deps.catalogue.runs({ job, kind: 'backup', limit: STRIP }).toReversed()
  return {
    job,
    runs: runs.map(({ id, kind, status, createdAt, endedAt }) => ({
      id,
      kind,
      status,
      at: createdAt,
      ...(endedAt && { durationMs: endedAt.getTime() - createdAt.getTime() }),
    })),
  }
}
