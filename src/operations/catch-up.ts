/** What a vault of a job missed while it failed is copied from a sibling that has it, once it works again. */
import type { Backup } from '../model/backup.ts'
import type { Job } from '../model/job.ts'
import type { Run } from '../model/run.ts'
import type { Vault } from '../model/vault.ts'
import { copy } from './copy.ts'
import type { Deps } from './recorder.ts'

/** The vaults of one round begin one after the other: so far apart they are still of the same round. */
const ROUND_MS = 6 * 3_600_000
/** So many rounds are caught up on, the latest ones. */
const MOST = 30

/** When the runs into a vault failed since it last took a backup of the job; newest first, as the runs are. */
export function missedRounds(runs: readonly Run[], vault: string): Date[] {
  const missed: Date[] = []
  for (const run of runs) {
    if (run.vault !== vault) continue
    if (run.backupId !== undefined) break
    if (['failed', 'interrupted'].includes(run.status)) missed.push(run.startedAt ?? run.createdAt)
  }
  return missed.slice(0, MOST)
}

/** The backup that a sibling made in the same round: the nearest in time. */
export function backupOfRound(backups: readonly Backup[], at: Date): Backup | undefined {
  const distance = ({ time }: Backup): number => Math.abs(time.getTime() - at.getTime())
  const [nearest] = backups.toSorted((a, b) => distance(a) - distance(b))
  return nearest !== undefined && distance(nearest) <= ROUND_MS ? nearest : undefined
}

export interface CatchUp {
  job: Job
  /** By the names of vaults that took a backup now. */
  missed: ReadonlyMap<string, readonly Date[]>
  /** Backups from then on are of this round: none of them was missed. */
  since: Date
  open: (vault: string) => Promise<Vault>
  signal?: AbortSignal
}

/** Each copy is a run of its own; one that fails is told there, and does not touch the backup that was just made. */
export async function catchUp(deps: Deps, { job, missed, since, open, signal }: CatchUp): Promise<void> {
  const cancel = signal ? { signal } : {}
  for (const [name, rounds] of missed) {
    const wanted = new Set(rounds.map((at) => at.getTime()))
    for (const sibling of job.vaults.filter((other) => other !== name)) {
      if (wanted.size === 0 || signal?.aborted === true) break
      const [from, to] = [await open(sibling), await open(name)]
      const backups = (await from.backups(cancel)).filter(
        (backup) => backup.job === job.name && backup.time < since && backup.broken === undefined,
      )
      for (const at of [...wanted].sort((a, b) => a - b)) {
        const backup = backupOfRound(backups, new Date(at))
        if (backup === undefined) continue
        const { error } = await copy(deps, from, backup, to, cancel)
        if (error === undefined) wanted.delete(at)
      }
    }
  }
}
