/** What a vault takes, in all and by job, and how it grows. */
import type { Requests } from '../model/storage.ts'
import type { Vault, Cancel } from '../model/vault.ts'
import type { Asked } from '../policy/cost.ts'
import type { Deps } from './recorder.ts'

export interface JobStats {
  job: string
  backups: number
  fulls: number
  storedBytes: number
  sourceBytes: number
  oldest: Date
  newest: Date
  /** Stored bytes a day over the time between the first and the last backup. */
  growthPerDay: number
}

export interface VaultStats {
  vault: string
  backups: number
  storedBytes: number
  /** Bytes of content that all backups together stand for. */
  restorableBytes: number
  free?: number
  total?: number
  jobs: JobStats[]
}

const DAY_MS = 86_400_000

/** What the runs into a vault asked of its storage since then; those of before are not known to the catalogue for ever. */
export function askedOf({ catalogue }: Pick<Deps, 'catalogue'>, vault: string, since: Date): Asked[] {
  return catalogue.runs({ vault, since, limit: 10_000 }).flatMap(({ job, createdAt, summary }): Asked[] => {
    const requests = summary?.['requests']
    return isRequests(requests) ? [{ at: createdAt, job, requests }] : []
  })
}

const KINDS = ['write', 'read', 'list', 'remove'] as const

const isRequests = (value: unknown): value is Requests =>
  typeof value === 'object' && value !== null && KINDS.every((kind) => typeof Reflect.get(value, kind) === 'number')

export async function stats(vault: Vault, options: Cancel & { job?: string } = {}): Promise<VaultStats> {
  const jobs = new Map<string, JobStats>()
  for (const backup of await vault.backups(options)) {
    if (options.job !== undefined && backup.job !== options.job) continue
    const row = jobs.get(backup.job) ?? {
      job: backup.job,
      backups: 0,
      fulls: 0,
      storedBytes: 0,
      sourceBytes: 0,
      oldest: backup.time,
      newest: backup.time,
      growthPerDay: 0,
    }
    row.backups += 1
    row.fulls += backup.type === 'full' ? 1 : 0
    row.storedBytes += backup.storedBytes ?? 0
    row.sourceBytes += backup.sourceBytes ?? 0
    row.newest = backup.time
    jobs.set(backup.job, row)
  }
  const rows = [...jobs.values()].map((row) => {
    const days = (row.newest.getTime() - row.oldest.getTime()) / DAY_MS
    return { ...row, growthPerDay: days >= 1 ? Math.round(row.storedBytes / days) : 0 }
  })
  const space = await vault.storage.can.space?.()
  const sum = (pick: (row: JobStats) => number): number => rows.reduce((total, row) => total + pick(row), 0)
  return {
    vault: vault.name,
    backups: sum(({ backups }) => backups),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    restorableBytes: sum(({ sourceBytes }) => sourceBytes),
    ...space,
    jobs: rows.sort((a, b) => a.job.localeCompare(b.job)),
  }
}
