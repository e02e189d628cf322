/** Who hears of what: reports, messages of runs and incidents, digests. */
import { AppError, toAppError } from './base/errors.ts'
import type { Clock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import { VERSION } from './base/version.ts'
import type { Catalogue } from './model/catalogue.ts'
import type { Digest, DigestPeriod } from './model/digest.ts'
import type { Incident } from './model/incident.ts'
import type { Job } from './model/job.ts'
import type { Notifier, NotifyEvent } from './model/notify.ts'
import type { RunReport } from './model/report.ts'
import { newRun } from './model/run.ts'
import type { NotifySettings, ReportSettings, Settings } from './model/settings.ts'
import type { Deps } from './operations/recorder.ts'
import type { JobRun } from './operations/run-jobs.ts'

export interface TellOptions {
  signal?: AbortSignal
  /** Events that were told before, and are not told again. */
  known?: readonly NotifyEvent[]
}

export interface Telling {
  notifier(name: string): Promise<Notifier>
  /** Sends a test message through it: by its name, or as it would be. */
  testNotifier(notifier: string | NotifySettings, options?: { signal?: AbortSignal }): Promise<void>
  /** Writes the report as configured, or where `where` says; gives the files. */
  writeReport(report: RunReport, where?: ReportSettings): Promise<string[]>
  /** Tells the job's notifiers of something that no run tells. Gives what could not be sent. */
  tellIncident(incident: Incident, event: NotifyEvent): Promise<AppError[]>
  /** What a week or month was, up to then. */
  digest(period: DigestPeriod, span: { from: Date; to: Date }): Promise<Digest>
  /** It as a page that needs nothing beside itself. */
  digestPage(digest: Digest): Promise<string>
  /** Sends the digests that are due to those who want them. */
  tellDigests(): Promise<void>
  /** Tells those who want to hear of starts. Never rejects. */
  tellStart(job: Job, runId: string): Promise<void>
  /** Tells the notifiers of the report's jobs; gives what could not be sent. */
  notify(report: RunReport, options?: TellOptions): Promise<AppError[]>
  /** Report and messages about runs that ended. Neither makes a backup fail; what went wrong with them is given. */
  tell(results: readonly JobRun[], options?: TellOptions): Promise<{ written: string[]; errors: AppError[] }>
}

interface Around {
  settings: Settings
  clock: Clock
  log: Log
  deps: Deps
  history: () => Catalogue
  host: string
}

/** How soon a digest that nobody got is sent again. */
const DIGEST_AGAIN_MS = 15 * 60_000

export function telling({ settings, clock, log, deps, history, host }: Around): Telling {
  const digestFailed = new Map<DigestPeriod, number>()
  const self: Telling = {
    async notifier(name) {
      const notifier = settings.notify[name]
      if (notifier === undefined) throw new AppError('config.invalid', `there is no notifier ${name}`)
      const { openNotifier } = await import('./notify/open.ts')
      return openNotifier(notifier)
    },
    async testNotifier(which, cancel = {}) {
      const { testNotification } = await import('./notify/compose.ts')
      const notifier =
        typeof which === 'string' ? await self.notifier(which) : (await import('./notify/open.ts')).openNotifier(which)
      await notifier.send(testNotification(host, clock.now()), cancel)
    },
    async writeReport(report, where = settings.report) {
      if (where === undefined) return []
      const { writeReport } = await import('./notify/write-report.ts')
      return writeReport(report, where, report.startedAt)
    },
    async tellIncident(incident, event) {
      // Of a job that cannot be used nobody knows whom it would tell.
      const names = settings.jobs[incident.job]?.notify ?? Object.keys(settings.notify)
      const wanted = names.filter((name) => settings.notify[name]?.on.includes(event) === true)
      if (wanted.length === 0) return []
      const { incidentNotification } = await import('./notify/compose.ts')
      const message = incidentNotification(incident, event, host, clock.now())
      const sending = wanted.map(async (name) => (await self.notifier(name)).send(message))
      const errors = (await Promise.allSettled(sending)).flatMap((one) =>
        one.status === 'rejected' ? [toAppError(one.reason)] : [],
      )
      for (const { code, message: text } of errors) log.error(text, { code })
      return errors
    },
    async digest(period, span) {
      const { digestOf } = await import('./operations/digest.ts')
      const around = { host: host, version: VERSION }
      const jobs = Object.values(settings.jobs).filter(({ enabled }) => enabled)
      return digestOf(history(), period, span, { ...around, jobs, vaults: Object.values(settings.vaults) })
    },
    async tellDigests() {
      const { digestSent, dueDigest } = await import('./operations/digest.ts')
      for (const period of ['weekly', 'monthly'] as const) {
        const names = Object.keys(settings.notify).filter((name) => settings.notify[name]?.on.includes(period) === true)
        const span = dueDigest(history(), period, clock.now())
        if (span === undefined) continue
        if (names.length === 0) {
          digestSent(history(), period, span)
          continue
        }
        if (clock.monotonic() - (digestFailed.get(period) ?? -Infinity) < DIGEST_AGAIN_MS) continue
        const { digestNotification } = await import('./notify/digest.ts')
        const message = digestNotification(await self.digest(period, span))
        const sending = names.map(async (name) => (await self.notifier(name)).send(message))
        const sent = await Promise.allSettled(sending)
        for (const one of sent)
          if (one.status === 'rejected')
            log.error(toAppError(one.reason).message, { code: toAppError(one.reason).code })
        // Nobody got it: once more later. Who got it is not told twice because another one did not.
        if (sent.some(({ status }) => status === 'fulfilled')) digestSent(history(), period, span)
        else digestFailed.set(period, clock.monotonic())
      }
    },
    async tellStart(job, id) {
      const names = job.notify.filter((name) => settings.notify[name]?.on.includes('start') === true)
      if (names.length === 0) return
      const { startNotification } = await import('./notify/compose.ts')
      const run = newRun({ id, kind: 'backup', job: job.name, status: 'running', createdAt: clock.now() })
      const sending = names.map(async (name) => (await self.notifier(name)).send(startNotification(run, host)))
      for (const one of await Promise.allSettled(sending))
        if (one.status === 'rejected') log.warn(`a start could not be told: ${toAppError(one.reason).message}`)
    },
    async notify(report, cancel = {}) {
      const wantedBy = (job: string): string[] => settings.jobs[job]?.notify ?? []
      const names = [...new Set(report.runs.flatMap(({ job }) => wantedBy(job)))]
      if (names.length === 0) return []
      const { notifyAll } = await import('./notify/dispatch.ts')
      const opened = await Promise.allSettled(names.map(async (name) => self.notifier(name)))
      const notifiers = opened.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
      const refused = opened.flatMap((one) => (one.status === 'rejected' ? toAppError(one.reason) : []))
      const deliveries = await notifyAll(report, notifiers, { wantedBy, ...cancel })
      return [...refused, ...deliveries.flatMap(({ error }) => error ?? [])]
    },
    async tell(results, cancel = {}) {
      const nobody = settings.report === undefined && Object.keys(settings.notify).length === 0
      if (results.length === 0 || nobody) return { written: [], errors: [] }
      const { reportOf } = await import('./operations/tell.ts')
      const report = reportOf(deps, VERSION, results)
      const errors: AppError[] = []
      const written = await self.writeReport(report).catch((thrown: unknown) => {
        const { message } = toAppError(thrown)
        errors.push(new AppError('notify.failed', `the report could not be written: ${message}`, { cause: thrown }))
        return []
      })
      errors.push(...(await self.notify(report, cancel)))
      for (const { code, message } of errors) log.error(message, { code })
      return { written, errors }
    },
    digestPage: async (digest) => (await import('./notify/digest.ts')).digestHtml(digest),
  }
  return self
}
