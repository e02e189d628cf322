/** Jobs as lists and pages show them. */
import { systemTimezone } from '../../base/zone.ts'
import { redact } from '../../base/redact.ts'
import type { JobFigures, RunMark } from '../../model/board.ts'
import type { Incident } from '../../model/incident.ts'
import type { Job, SourceSettings } from '../../model/job.ts'
import type { RecurrenceState } from '../../model/service.ts'
import { dueAfter } from '../../service/times.ts'
import { stateOf } from '../../operations/incidents.ts'
import type { Served } from '../contract/index.ts'
import { cronText } from '../cron-text.ts'
import type { Api } from '../handler.ts'

export type JobShort = Served<'GET /api/v1/jobs'>['answer']['items'][number]

/** Whoever pauses without an end means: until somebody lets it go on. */
export const FOREVER = new Date(8.64e15)
const STRIP_DAYS = 30
const DAY_MS = 86_400_000

/** What all jobs are looked at with, read once for all of them. */
export interface JobsSeen {
  board: Map<string, JobFigures>
  incidents: Map<string, Incident[]>
  states: Map<string, RecurrenceState>
  now: Date
}

export function seeJobs({ app }: Api): JobsSeen {
  const catalogue = app.history()
  const now = app.clock.now()
  const incidents = new Map<string, Incident[]>()
  for (const incident of catalogue.incidents.list({ open: true, limit: 10_000 }))
    incidents.set(incident.job, [...(incidents.get(incident.job) ?? []), incident])
  // By the day, so that the figures can be kept.
  const since = new Date((Math.floor(now.getTime() / DAY_MS) - STRIP_DAYS - 1) * DAY_MS)
  return { board: catalogue.board(since), incidents, states: catalogue.service.states(), now }
}

export function jobShort({ app }: Api, job: Job, seen: JobsSeen): JobShort {
  const { name, schedule } = job
  const figures = seen.board.get(name)
  const { state, why } = stateOf(seen.incidents.get(name) ?? [], (figures?.backups ?? 0) > 0)
  const recurrence = seen.states.get(`${name}/backup`)
  const pausedUntil = recurrence?.pausedUntil
  const paused = pausedUntil !== undefined && pausedUntil > seen.now
  const next = job.enabled && schedule ? dueAfter({ schedule }, seen.now, pausedUntil, 1)[0] : undefined
  const timezone = schedule?.timezone ?? systemTimezone()
  return {
    name,
    enabled: job.enabled,
    managed: app.isManaged('jobs', name),
    state,
    ...(why !== undefined && { why }),
    source: sourceShown(job.source),
    vaults: job.vaults,
    type: job.type,
    continuous: job.continuous === true,
    ...(schedule && { schedule: { cron: schedule.cron, timezone, text: cronText(schedule.cron) } }),
    ...(next && { next }),
    ...(paused && {
      paused: {
        ...(pausedUntil.getTime() !== FOREVER.getTime() && { until: pausedUntil }),
        ...(recurrence?.pauseReason !== undefined && { reason: recurrence.pauseReason }),
      },
    }),
    ...(figures?.open !== undefined && { running: figures.open }),
    ...(figures?.lastRun && { lastRun: markShown(figures.lastRun) }),
    ...(figures?.lastGood && { lastGood: markShown(figures.lastGood) }),
    ...(figures?.proof && { proof: figures.proof }),
    backups: figures?.backups ?? 0,
    ...(figures?.sizes.at(-1) !== undefined && { size: figures.sizes.at(-1) }),
  }
}

const markShown = ({ id, status, at, endedAt }: RunMark): RunMark => ({ id, status, at, ...(endedAt && { endedAt }) })

/** What is backed up, for people: no secret is in it. */
export function sourceShown(source: SourceSettings): { type: string; name: string } {
  const { type } = source
  if (type === 'files') return { type, name: source.paths.join(', ') }
  if (type === 'sqlite') return { type, name: [source.file, ...(source.files ?? [])].filter(Boolean).join(', ') }
  if (type === 'command')
    return {
      type,
      name: redact((Array.isArray(source.command) ? source.command : [source.command]).join(' ')).slice(0, 80),
    }
  if (type === 's3db') return { type, name: 's3db database' }
  const { host, port, database, databases } = source
  const names = [...(database === undefined ? [] : [database]), ...(databases ?? [])]
  const server =
    host === undefined ? (source.url === undefined ? 'localhost' : 'by URL') : `${host}${port ? `:${port}` : ''}`
  return { type, name: `${server}${names.length > 0 ? `/${names.join(',')}` : ''}` }
}

export type Cell = 'o' | 'w' | 'b' | 'r' | 'm' | '-'
const WORST: readonly Cell[] = ['-', 'o', 'w', 'r', 'b']
const CELLS: Partial<Record<RunMark['status'], Cell>> = {
  success: 'o',
  warning: 'w',
  failed: 'b',
  interrupted: 'b',
  running: 'r',
  cancelled: 'w',
}

/** The worst of each of the last 30 days of the zone, the oldest first. */
export function stripOf(runs: readonly RunMark[], now: Date, dayOf: (time: Date) => number): Cell[] {
  const today = dayOf(now)
  const strip: Cell[] = Array.from({ length: STRIP_DAYS }, () => '-')
  for (const { at, status } of runs) {
    const index = STRIP_DAYS - 1 - (today - dayOf(at))
    const cell = CELLS[status]
    const before = strip[index]
    if (cell !== undefined && before !== undefined && WORST.indexOf(cell) > WORST.indexOf(before)) strip[index] = cell
  }
  return strip
}
