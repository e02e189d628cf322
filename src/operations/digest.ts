/** When a digest is due, and what is in it. */
import { parseCron } from '../base/cron.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { Digest, DigestJob, DigestPeriod } from '../model/digest.ts'
import type { Job } from '../model/job.ts'
import type { VaultSettings } from '../model/settings.ts'
import { daysToFull } from '../policy/forecast.ts'
import { stateOf } from './incidents.ts'

/** On the clock of this machine: when somebody begins to work. */
const WHEN: Record<DigestPeriod, string> = { weekly: '0 8 * * MON', monthly: '0 8 1 * *' }
const LENGTH_MS: Record<DigestPeriod, number> = { weekly: 7 * 86_400_000, monthly: 31 * 86_400_000 }
const keyOf = (period: DigestPeriod): string => `digest ${period}`

/**
 * The time that one was due at, if it was not sent since. Of several that were missed only the last is due. The first time that anybody asks nothing is, as there is nothing to look back on.
 */
export function dueDigest(catalogue: Catalogue, period: DigestPeriod, now: Date): { from: Date; to: Date } | undefined {
  const noted = catalogue.get(keyOf(period))
  if (noted === undefined) {
    catalogue.set(keyOf(period), now.toISOString())
    return undefined
  }
  const times = parseCron(WHEN[period])
  const last = new Date(noted)
  let due: Date | undefined
  for (let at = times.next(last); at !== undefined && at <= now; at = times.next(at)) due = at
  if (due === undefined) return undefined
  return { from: new Date(due.getTime() - LENGTH_MS[period]), to: due }
}

/** Once it is out: what was not sent is due again. */
export function digestSent(catalogue: Catalogue, period: DigestPeriod, { to }: { to: Date }): void {
  catalogue.set(keyOf(period), to.toISOString())
}

interface Around {
  host: string
  version: string
  jobs: readonly Job[]
  vaults: readonly VaultSettings[]
}

export function digestOf(
  catalogue: Catalogue,
  period: DigestPeriod,
  { from, to }: { from: Date; to: Date },
  { host, version, jobs, vaults }: Around,
): Digest {
  const board = catalogue.board(from)
  return {
    period,
    from,
    to,
    host,
    version,
    jobs: jobs.map((job): DigestJob => {
      const figures = board.get(job.name)
      const runs = catalogue.runs({ job: job.name, kind: 'backup', since: from, until: to, limit: 10_000 })
      const count = (...statuses: string[]): number => runs.filter(({ status }) => statuses.includes(status)).length
      const sum = (name: string): number => runs.reduce((all, { summary }) => all + Number(summary?.[name] ?? 0), 0)
      const incidents = catalogue.incidents.list({ job: job.name, open: true })
      return {
        job: job.name,
        ...stateOf(incidents, (figures?.backups ?? 0) > 0),
        good: count('success', 'warning'),
        failed: count('failed', 'interrupted'),
        read: sum('total_bytes_processed'),
        stored: sum('data_added_packed'),
        ...(figures?.lastGood && { lastGood: figures.lastGood.at }),
        ...(figures?.proof && { proof: { level: figures.proof.level, at: figures.proof.at } }),
      }
    }),
    vaults: vaults.map(({ name, limits }) => {
      const usage = catalogue.usage(name, from)
      const [first, last] = [usage[0], usage.at(-1)]
      const days = daysToFull(usage, limits?.stop)
      return {
        vault: name,
        ...(last && { bytes: last.bytes }),
        ...(first && last && { growth: last.bytes - first.bytes }),
        ...(days !== undefined && { daysToFull: Math.round(days) }),
      }
    }),
    alerts: catalogue.incidents.list({ open: true, limit: 100 }),
    restores: catalogue.runs({ kind: 'restore', status: ['success', 'warning'], since: from, until: to, limit: 10_000 })
      .length,
  }
}
