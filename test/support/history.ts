/** A catalogue with a past: runs, backups and measurements of the last weeks, as if they had been made. */
import { join } from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { sqliteCatalogue } from '../../src/catalogue/sqlite.ts'
import type { Backup } from '../../src/model/backup.ts'
import { newRun, type RunStatus } from '../../src/model/run.ts'

export interface PastJob {
  name: string
  vault: string
  source: string
  path: string
  /** Bytes of content, and by how much it grows in a day. */
  bytes: number
  growth?: number
  everyHours?: number
  days?: number
  /** How the n-th run back ended; good unless told. */
  ended?: (back: number) => RunStatus | undefined
  provenDaysAgo?: number
}

const HOUR_MS = 3_600_000

/** Gives the number of runs. */
export function writePast(dataDir: string, jobs: readonly PastJob[], now = new Date()): number {
  const catalogue = sqliteCatalogue(join(dataDir, 'catalogue.db'), systemClock)
  let runs = 0
  try {
    for (const job of jobs) {
      const every = (job.everyHours ?? 24) * HOUR_MS
      const steps = Math.floor(((job.days ?? 30) * 24 * HOUR_MS) / every)
      for (let back = steps; back >= 0; back -= 1) {
        // A little before now, so that the newest is in the past.
        const at = new Date(now.getTime() - back * every - 4 * 60_000)
        const status = job.ended?.(back) ?? 'success'
        const id = `past-${job.name}-${back}`
        const sourceBytes = Math.round(job.bytes - ((job.growth ?? 0) * back * every) / (24 * HOUR_MS))
        const good = status === 'success' || status === 'warning'
        const backup = `${back % 7 === 0 ? 'full' : 'incremental'}-${at.toISOString().slice(0, 19).replaceAll(':', '-')}-${id.slice(-6)}`
        const stored = Math.round(sourceBytes * (back % 7 === 0 ? 0.4 : 0.02))
        const endedAt = new Date(at.getTime() + 20_000 + (sourceBytes / 2e8) * 1000)
        catalogue.saveRun({
          ...newRun({ id, kind: 'backup', job: job.name, status, createdAt: at }),
          vault: job.vault,
          trigger: 'schedule',
          startedAt: at,
          endedAt,
          stages: [{ stage: 'backup', startedAt: at, endedAt, status: good ? 'success' : 'failed' }],
          ...(good && {
            backupId: backup,
            summary: { total_files_processed: 412, total_bytes_processed: sourceBytes, data_added_packed: stored },
          }),
          ...(!good && {
            error: {
              code: 'storage.denied',
              message: 'these credentials may not write to the bucket',
              hint: 'Check the credentials, and that they may write there.',
            },
          }),
        })
        runs += 1
        if (!good) continue
        const made: Backup = {
          id: backup,
          job: job.name,
          vault: job.vault,
          source: job.source,
          type: back % 7 === 0 ? 'full' : 'incremental',
          time: at,
          ended: endedAt,
          needs: [],
          tags: [],
          paths: [job.path],
          files: 412,
          sourceBytes,
          storedBytes: stored,
          warnings: 0,
          proof: { level: 'V1', at: endedAt },
        }
        if (job.provenDaysAgo !== undefined && Math.abs(back * every - job.provenDaysAgo * 24 * HOUR_MS) < every / 2)
          made.proof = { level: 'V4', at: new Date(endedAt.getTime() + HOUR_MS) }
        catalogue.saveBackup(made)
      }
    }
    for (const vault of new Set(jobs.map((job) => job.vault)))
      for (let back = 30; back >= 0; back -= 1) {
        const own = jobs.filter((job) => job.vault === vault)
        const bytes = own.reduce((sum, job) => sum + job.bytes - (job.growth ?? 0) * back, 0)
        catalogue.saveUsage(vault, {
          at: new Date(now.getTime() - back * 24 * HOUR_MS),
          bytes: Math.round(bytes),
          objects: 1000,
        })
      }
    return runs
  } finally {
    catalogue.close()
  }
}
