import { formatDuration } from '../base/units.ts'
import type { NotifyEvent } from '../model/notify.ts'
import type { RunReport } from '../model/report.ts'
import type { Run, RunStatus } from '../model/run.ts'

/** A state is colour, shape and word, so that each of them may be missing. */
export interface Look {
  tone: 'ok' | 'warn' | 'bad' | 'run' | 'mute'
  shape: string
  word: string
}

export const LOOKS: Record<RunStatus, Look> = {
  success: { tone: 'ok', shape: '✓', word: 'Good' },
  warning: { tone: 'warn', shape: '!', word: 'Warnings' },
  failed: { tone: 'bad', shape: '✕', word: 'Failed' },
  interrupted: { tone: 'bad', shape: '✕', word: 'Interrupted' },
  cancelled: { tone: 'mute', shape: '–', word: 'Cancelled' },
  skipped: { tone: 'mute', shape: '–', word: 'Skipped' },
  running: { tone: 'run', shape: '▶', word: 'Running' },
  queued: { tone: 'mute', shape: '○', word: 'Queued' },
}

/** Worst first. */
const SEVERITY: RunStatus[] = [
  'failed',
  'interrupted',
  'warning',
  'cancelled',
  'running',
  'queued',
  'success',
  'skipped',
]

export const isFailure = (run: Pick<Run, 'status'>): boolean => run.status === 'failed' || run.status === 'interrupted'

export function worstStatus(runs: readonly Pick<Run, 'status'>[]): RunStatus {
  return SEVERITY.find((status) => runs.some((run) => run.status === status)) ?? 'skipped'
}

export const worstFirst = (runs: readonly Run[]): Run[] =>
  [...runs].sort((a, b) => SEVERITY.indexOf(a.status) - SEVERITY.indexOf(b.status))

/** `shop-db → offsite` */
export const runTitle = (run: Run): string => (run.vault === undefined ? run.job : `${run.job} → ${run.vault}`)

export function durationOf(run: Run): number | undefined {
  return run.startedAt === undefined || run.endedAt === undefined
    ? undefined
    : run.endedAt.getTime() - run.startedAt.getTime()
}

export const showDuration = (ms: number | undefined): string => (ms === undefined ? '–' : formatDuration(ms))

/** `2024-03-15 14:30:45 UTC` */
export const showTime = (time: Date): string => `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** A figure of the outcome by its name in the summary. */
export function figure(run: Run, name: string): number | undefined {
  const value = run.summary?.[name]
  return typeof value === 'number' ? value : undefined
}

export const total = (runs: readonly Run[], name: string): number =>
  runs.reduce((sum, run) => sum + (figure(run, name) ?? 0), 0)

const NOUNS: Record<Run['kind'], [one: string, many: string]> = {
  backup: ['backup', 'backups'],
  restore: ['restore', 'restores'],
  verify: ['verification', 'verifications'],
  prune: ['clean-up', 'clean-ups'],
  check: ['check', 'checks'],
  copy: ['copy', 'copies'],
}

/** `3 backups`, `1 restore`; `runs` where they are of several kinds. */
export function countRuns(runs: readonly Run[]): string {
  const kinds = new Set(runs.map((run) => run.kind))
  const [kind] = kinds
  const [one, many] = kinds.size === 1 && kind !== undefined ? NOUNS[kind] : ['run', 'runs']
  return `${runs.length} ${runs.length === 1 ? one : many}`
}

/** One sentence about all of it. */
export function headline(runs: readonly Run[]): string {
  const failed = runs.filter(isFailure)
  const warned = runs.filter((run) => run.status === 'warning')
  const [only] = runs
  if (runs.length === 0 || only === undefined) return 'Nothing was to be done'
  if (failed.length > 0) {
    const jobs = [...new Set(failed.map((run) => run.job))]
    const verb = worstStatus(failed) === 'interrupted' ? 'was interrupted' : 'failed'
    if (jobs.length === 1 && failed.length === runs.length) return `${jobs[0]} ${verb}`
    return `${failed.length} of ${countRuns(runs)} failed: ${jobs.join(', ')}`
  }
  if (warned.length > 0) {
    const count = warned.reduce((sum, run) => sum + run.warningCount, 0)
    const jobs = [...new Set(warned.map((run) => run.job))].join(', ')
    return `${jobs} finished with ${count === 1 ? 'one warning' : `${count} warnings`}`
  }
  if (runs.some((run) => run.status === 'cancelled')) return `${only.job} was cancelled`
  const good = runs.filter((run) => run.status === 'success')
  if (good.length === 0) return `${countRuns(runs)} skipped`
  if (runs.length === 1) return `${only.job} is good`
  return good.length === runs.length
    ? `All ${countRuns(runs)} are good`
    : `${good.length} of ${countRuns(runs)} are good, the others were skipped`
}

/** The events that a report is; the first is the one to tell where only one is told. */
export function eventsOf(report: RunReport): NotifyEvent[] {
  const events: NotifyEvent[] = []
  if (report.runs.some(isFailure)) events.push('failure')
  else if (report.runs.some((run) => run.status === 'warning')) events.push('warning')
  if (report.runs.some((run) => run.status === 'success' && failedBefore(report, run))) events.push('recovered')
  if (events.length === 0 || events[0] === 'recovered') {
    if (report.runs.some((run) => run.status === 'success')) events.push('success')
  }
  return events
}

/** Whether the last run of the job before this report failed. */
function failedBefore({ recent, runs }: RunReport, run: Run): boolean {
  const own = new Set(runs.map((one) => one.id))
  const earlier = recent
    .find((one) => one.job === run.job)
    ?.runs.filter((one) => !own.has(one.id) && one.kind === run.kind)
  const last = earlier?.findLast((one) => !['skipped', 'cancelled'].includes(one.status))
  return last !== undefined && isFailure(last)
}
