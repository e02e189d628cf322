/** What a vault of a job missed while it failed is copied from a sibling that has it, once it works again. */
import type { Job } from '../model/job.ts'
import type { Run } from '../model/run.ts'
import type { Vault } from '../model/vault.ts'
import { COPY_OF, copy } from './copy.ts'
import type { Deps } from './recorder.ts'

/** The vaults of one round begin one after the other: so far apart they are still of the same round. */
const ROUND_MS = 6 * 3_600_000
/** So many rounds are caught up on, the latest ones. */
const MOST = 30
/** A copy that failed so often is not tried again by itself. */
const ATTEMPTS = 5

/** A backup that a sibling made in a round in which the vault failed. */
export interface Missed {
  vault: string
  id: string
}

const began = (run: Run): number => (run.startedAt ?? run.createdAt).getTime()

/** The runs of a job by the rounds that they were of: in each a vault has its turn once. Oldest first. */
function roundsOf(runs: readonly Run[]): Run[][] {
  const rounds: Run[][] = []
  for (const run of runs.toSorted((a, b) => began(a) - began(b))) {
    const last = rounds.at(-1)
    const first = last?.[0]
    if (
      last === undefined ||
      first === undefined ||
      last.some(({ vault }) => vault === run.vault) ||
      began(run) - began(first) > ROUND_MS
    )
      rounds.push([run])
    else last.push(run)
  }
  return rounds
}

/**
 * What a vault missed, oldest first, each with the siblings that have it. Where all failed, as when the source cannot be
 * read, nothing was missed. `copies`: the runs that copied into the vault; what one of them made is not missed any more.
 */
export function missedBy(vault: string, runs: readonly Run[], copies: readonly Run[]): Missed[][] {
  const tries = (of: Missed): { done: boolean; failed: number } => {
    const mine = copies.filter(({ vault: to, summary }) => to === vault && summary?.[COPY_OF] === nameOf(of))
    return {
      done: mine.some(({ status }) => status === 'success' || status === 'warning'),
      failed: mine.filter(({ status }) => status === 'failed').length,
    }
  }
  const missed: Missed[][] = []
  for (const round of roundsOf(runs)) {
    const own = round.find((run) => run.vault === vault)
    if (own === undefined || !['failed', 'interrupted'].includes(own.status) || own.backupId !== undefined) continue
    const made = round.flatMap((run): Missed[] =>
      run.vault !== undefined && run.backupId !== undefined ? [{ vault: run.vault, id: run.backupId }] : [],
    )
    if (made.some((one) => tries(one).done)) continue
    const promising = made.filter((one) => tries(one).failed < ATTEMPTS)
    if (promising.length > 0) missed.push(promising)
  }
  return missed.slice(-MOST)
}

const nameOf = ({ vault, id }: Missed): string => `${vault}/${id}`

export interface CatchUp {
  job: Job
  /** By the names of vaults that took a backup now. */
  missed: ReadonlyMap<string, readonly Missed[][]>
  open: (vault: string) => Promise<Vault>
  signal?: AbortSignal
}

/** Each copy is a run of its own; one that fails is told there, and does not touch the backup that was just made. */
export async function catchUp(deps: Deps, { job, missed, open, signal }: CatchUp): Promise<void> {
  const cancel = signal ? { signal } : {}
  for (const [name, rounds] of missed)
    for (const round of rounds)
      for (const { vault, id } of round.filter((one) => one.vault !== name && job.vaults.includes(one.vault))) {
        if (signal?.aborted === true) return
        const [from, to] = [await open(vault), await open(name)]
        const backup = (await from.backups(cancel)).find((one) => one.id === id && one.broken === undefined)
        if (backup === undefined) continue
        const { error } = await copy(deps, from, backup, to, cancel)
        if (error === undefined) break
      }
}
