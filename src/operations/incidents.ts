/** What is wrong with a job, from its runs, its schedule and its proofs; and who has to hear of it. */
import type { CronTimes } from '../base/cron.ts'
import { formatDuration, parseDuration } from '../base/units.ts'
import { PROOF_LEVELS } from '../model/backup.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { Finding, Incident, IncidentKind } from '../model/incident.ts'
import type { Job } from '../model/job.ts'
import type { Run } from '../model/run.ts'
import { laneFindings } from './lane-health.ts'
import { spaceFinding, type UsageLimits } from './usage.ts'

/** A schedule of the job, with the time from which it counts. */
export interface Expected {
  times: CronTimes
  since: Date
  paused: boolean
}

/** A run may wait for others, and take a while, before it counts as overdue. */
const OVERDUE_MS = 60 * 60_000
/** How often who did not acknowledge is told again. */
export const REMIND_MS = 24 * 60 * 60_000

export function findingsOf(
  catalogue: Catalogue,
  job: Job,
  expected: readonly Expected[],
  now: Date,
  limitsOf: (vault: string) => UsageLimits = () => ({}),
  damageIn: (vault: string) => VaultDamage | undefined = () => undefined,
): Finding[] {
  const runs = catalogue.runs({ job: job.name, limit: 200 })
  const findings = ['backup', 'verify'].flatMap((kind) =>
    job.vaults.flatMap((vault) => {
      const last = runs.find((run) => run.kind === kind && (run.vault ?? job.vaults[0]) === vault && counts(run))
      return last === undefined ? [] : ofRun(job, vault, last)
    }),
  )
  const good = runs.find(({ kind, status }) => kind === 'backup' && ['success', 'warning'].includes(status))
  const spaces = job.vaults.flatMap(
    (vault) => spaceFinding(job.name, vault, catalogue.usage(vault, new Date(0)), limitsOf(vault), now) ?? [],
  )
  const silent = [...laneFindings(catalogue, job, now), ...overdue(job, expected, good, now)]
  const damaged = job.vaults.flatMap((vault) => {
    const damage = damageIn(vault)
    return damage?.jobs.includes(job.name) === true ? ofRun(job, vault, damage.run) : []
  })
  return unlike([...spaces, ...findings, ...damaged, ...silent, ...unproved(catalogue, job, now)])
}

/** What a check of a vault found, and no later one that looks as closely has shown to be over. */
export interface VaultDamage {
  run: Run
  jobs: string[]
}

const LOOKED_BACK = 50

/** `used`: the jobs that keep their backups there. What touches none of them is told to the first. */
export function damageOf(catalogue: Catalogue, vault: string, used: () => string[]): VaultDamage | undefined {
  let seen = -1
  for (const run of catalogue.runs({ job: '', vault, kind: 'check', limit: LOOKED_BACK })) {
    if (!counts(run)) continue
    const { readData, jobs } = run.summary ?? {}
    const read = typeof readData === 'number' ? readData : 0
    if (run.error === undefined) seen = Math.max(seen, read)
    if (run.error?.code !== 'backup.damaged') continue
    // What was found by reading some of it is over when all of it is read, and well.
    if (seen >= (read > 0 ? 1 : 0)) return undefined
    const known = used()
    const touched = Array.isArray(jobs) ? known.filter((job) => jobs.includes(job)) : []
    return { run, jobs: touched.length > 0 ? touched : known.slice(0, 1) }
  }
  return undefined
}

/** Of a backup and a proof that fail alike, one. An incident is known by these two. */
const unlike = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((one) => [`${one.kind} ${one.vault ?? ''}`, one])).values(),
]

const counts = ({ status }: Run): boolean => ['success', 'warning', 'failed', 'interrupted'].includes(status)

function ofRun({ name: job }: Job, vault: string, run: Run): Finding[] {
  const base = { job, vault, run: run.id }
  if (run.status === 'warning') {
    const [first] = run.warnings
    const more = run.warningCount > 1 ? ` and ${run.warningCount - 1} more` : ''
    return [{ ...base, kind: 'warning', message: `${first?.message ?? 'warnings'}${more}` }]
  }
  if (run.error === undefined) return []
  const { code, message, hint } = run.error
  return [{ ...base, kind: kindOf(code), message, ...(hint !== '' && { hint }) }]
}

function kindOf(code: string): IncidentKind {
  if (code.endsWith('.damaged')) return 'damage'
  if (code === 'storage.unreachable' || code === 'source.unreachable') return 'unreachable'
  return code.startsWith('config.') ? 'config' : 'failure'
}

function overdue({ name: job }: Job, expected: readonly Expected[], good: Run | undefined, now: Date): Finding[] {
  for (const { times, since, paused } of expected) {
    if (paused) continue
    const due = times.next(new Date(Math.max(since.getTime(), good?.createdAt.getTime() ?? 0)))
    if (due === undefined || now.getTime() - due.getTime() < OVERDUE_MS) continue
    const last =
      good === undefined ? 'there is no good run yet' : `the last good run was ${ago(good.createdAt, now)} ago`
    return [{ kind: 'overdue', job, message: `a run was due ${ago(due, now)} ago, and ${last}` }]
  }
  return []
}

/** Twice the time between restore tests without one that held. */
function unproved(catalogue: Catalogue, job: Job, now: Date): Finding[] {
  const { restoreTest } = job.verify
  if (restoreTest === undefined) return []
  const backups = catalogue.backups({ job: job.name })
  const [oldest] = backups
  if (oldest === undefined) return []
  const enough = PROOF_LEVELS.indexOf(restoreTest.level)
  const proofs = backups.filter(({ proof }) => PROOF_LEVELS.indexOf(proof.level) >= enough)
  const last = Math.max(oldest.time.getTime(), ...proofs.map(({ proof }) => proof.at.getTime()))
  if (now.getTime() - last < 2 * parseDuration(restoreTest.every)) return []
  const since = proofs.length === 0 ? 'never' : `for ${ago(new Date(last), now)} not`
  return [{ kind: 'proof', job: job.name, message: `${since} proved to ${restoreTest.level}` }]
}

const ago = (then: Date, now: Date): string => formatDuration(now.getTime() - then.getTime())

/** Who is wrong longest without anybody saying that it is known. */
export function needsReminder(incident: Incident, now: Date): boolean {
  const { kind, acknowledgedAt, snoozedUntil, toldAt, openedAt } = incident
  if (kind === 'warning' || acknowledgedAt !== undefined || (snoozedUntil !== undefined && snoozedUntil > now))
    return false
  return now.getTime() - (toldAt ?? openedAt).getTime() >= REMIND_MS
}

export type JobState = 'ok' | 'warning' | 'bad' | 'unknown'

const BAD: readonly IncidentKind[] = ['failure', 'damage', 'unreachable', 'config', 'overdue']

/** The worst wins, and says why. */
export function stateOf(incidents: readonly Incident[], hasBackup: boolean): { state: JobState; why?: string } {
  const bad = incidents.find(({ kind }) => BAD.includes(kind))
  if (bad !== undefined) return { state: 'bad', why: `${bad.kind}: ${bad.message}` }
  const [other] = incidents
  if (other !== undefined) return { state: 'warning', why: `${other.kind}: ${other.message}` }
  return hasBackup ? { state: 'ok' } : { state: 'unknown', why: 'no backup yet' }
}
