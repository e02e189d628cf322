/** What runs, schedules and checks show to be wrong, or right again; and who is told. */
import type { App } from '../app.ts'
import { timesOfRecurrence } from '../jobs/scheduler.ts'
import type { Incident } from '../model/incident.ts'
import type { Job } from '../model/job.ts'
import type { Recurrence } from '../model/service.ts'
import { damageOf, findingsOf, needsReminder, type Expected, type VaultDamage } from '../operations/incidents.ts'
import { expectLane } from '../operations/lane-health.ts'
import type { JobRun } from '../operations/run-jobs.ts'
import { wantsLane } from './lanes.ts'
import { recurrencesOf } from './times.ts'

/** Runs that ended, and what they show to be wrong, or right again. */
export async function tellResults(app: App, job: Job, results: readonly JobRun[], signal: AbortSignal): Promise<void> {
  const reviewed = review(app, job)
  await tellSilent(app, reviewed)
  const isSilent = silentIn(app)
  const opened = reviewed.opened.filter((incident) => !isSilent(incident))
  // What is known to be wrong is not told with every run, but reminded of.
  const known = opened.length > 0 ? [] : (['failure', 'warning'] as const)
  await app.tell(results, { signal, known })
  for (const incident of opened) app.history().incidents.told(incident.id)
}

/** No run of a job tells of it. */
const silentIn =
  (app: App) =>
  ({ run, kind }: Incident): boolean =>
    run === undefined || (kind === 'damage' && app.history().run(run)?.kind === 'check')

async function tellSilent(app: App, { opened, closed }: { opened: Incident[]; closed: Incident[] }): Promise<void> {
  const isSilent = silentIn(app)
  for (const incident of opened.filter(isSilent)) {
    app.history().incidents.told(incident.id)
    const late = incident.kind === 'overdue' || incident.kind === 'proof' || incident.kind === 'space'
    await app.tellIncident(incident, late ? 'overdue' : 'failure')
  }
  for (const incident of closed.filter(isSilent)) await app.tellIncident(incident, 'recovered')
}

/** After a check of a vault: who keeps backups there hears what it found. */
export async function tellCheck(app: App, vault: string): Promise<void> {
  const damageIn = damageKnown(app)
  for (const job of Object.values(app.settings.jobs))
    if (job.enabled && job.vaults.includes(vault)) await tellSilent(app, review(app, job, damageIn))
}

/** Looked up once for each vault. */
function damageKnown(app: App): (vault: string) => VaultDamage | undefined {
  const known = new Map<string, VaultDamage | undefined>()
  return (vault) => {
    if (known.has(vault)) return known.get(vault)
    const used = (): string[] =>
      Object.values(app.settings.jobs)
        .filter(({ enabled, vaults }) => enabled && vaults.includes(vault))
        .map(({ name }) => name)
        .sort()
    const found = damageOf(app.history(), vault, used)
    known.set(vault, found)
    return found
  }
}

function review(app: App, job: Job, damageIn = damageKnown(app)): { opened: Incident[]; closed: Incident[] } {
  const catalogue = app.history()
  const now = app.clock.now()
  const expected = recurrencesOf(app).flatMap((one): Expected[] => {
    if (one.job !== job.name || one.kind !== 'backup') return []
    const state = catalogue.service.state(one.name)
    if (state === undefined) return []
    const paused = state.pausedUntil !== undefined && state.pausedUntil > now
    return [{ times: timesOfRecurrence(one), since: firstDue(app, one, state.cursor), paused }]
  })
  return catalogue.incidents.review(
    job.name,
    findingsOf(catalogue, job, expected, now, (vault) => app.settings.vaults[vault]?.limits ?? {}, damageIn),
  )
}

/** A schedule counts from its first time in the ledger: what is new is not overdue at once. */
function firstDue(app: App, { name }: Recurrence, cursor: Date): Date {
  const first = app.history().service.firstSlot(name)
  return first === undefined ? cursor : new Date(first.getTime() - 1)
}

/** What no run tells: runs that did not come, proofs that are too old, and what nobody acknowledged. */
export async function reviewAll(app: App): Promise<void> {
  const catalogue = app.history()
  const now = app.clock.now()
  const damageIn = damageKnown(app)
  for (const job of Object.values(app.settings.jobs).filter(({ enabled }) => enabled)) {
    if (wantsLane(app, job)) expectLane(app.deps, job.name)
    await tellSilent(app, review(app, job, damageIn))
  }
  await reviewLeftOut(app)
  reapQueued(app)
  for (const incident of catalogue.incidents.list({ open: true, limit: 1000 })) {
    if (!needsReminder(incident, now)) continue
    catalogue.incidents.told(incident.id)
    await app.tellIncident(incident, incident.kind === 'overdue' || incident.kind === 'proof' ? 'overdue' : 'failure')
  }
}

/** So long a run may be written down as waiting while nothing says so any more. */
const FORGOTTEN_MS = 10 * 60_000

/** Whose task is over, and whose end could not be written by the process that had it, does not wait any more. */
function reapQueued(app: App): void {
  const catalogue = app.history()
  const now = app.clock.now()
  const until = new Date(now.getTime() - FORGOTTEN_MS)
  const queued = catalogue.runs({ status: ['queued'], until, limit: 1000 })
  if (queued.length === 0) return
  const open = new Set(catalogue.service.tasks().map(({ run }) => run))
  for (const run of queued.filter(({ id }) => !open.has(id))) {
    const message = 'what became of it could not be written down'
    const error = {
      code: 'run.interrupted' as const,
      message,
      hint: 'See the log of the worker, and the runs after it.',
    }
    catalogue.saveRun({ ...run, status: 'interrupted', endedAt: now, error })
  }
}

/** A job that cannot be used does not run, so that no run tells of it; and what was wrong with jobs that are gone is over. */
async function reviewLeftOut(app: App): Promise<void> {
  const { incidents } = app.history()
  const left = new Map(app.leftOut().flatMap(({ kind, name, why }) => (kind === 'job' ? [[name, why]] : [])))
  for (const [job, why] of left) {
    const message = `the job cannot be used and does not run: ${why}`
    const { opened } = incidents.review(job, [{ kind: 'config', job, message }])
    for (const incident of opened) {
      incidents.told(incident.id)
      await app.tellIncident(incident, 'failure')
    }
  }
  const gone = incidents
    .list({ open: true, limit: 1000 })
    .filter(({ job }) => app.settings.jobs[job] === undefined && !left.has(job))
  for (const job of new Set(gone.map((one) => one.job))) incidents.review(job, [])
}
