/** Rows of the overview as text. Each is made again only when something in it changed: of a thousand jobs few do. */
import type { JobFigures } from '../../model/board.ts'
import type { Job } from '../../model/job.ts'
import { stateOf } from '../../operations/incidents.ts'
import type { Api } from '../handler.ts'
import { jobShort, stripOf, type JobShort, type JobsSeen } from './jobs.ts'

/** Zones of those who look; more at a time are rare, and cost only time. */
const ZONES = 8

export interface JobRow {
  job: JobShort
  text: string
}

interface Kept extends JobRow {
  /** All that it was made of. */
  of: readonly unknown[]
  /** Until then nothing in it changes by time alone. */
  until: number
}

const byName = new Intl.Collator()
const kept = new WeakMap<Api, Map<string, Map<string, Kept>>>()

/** Of all jobs, by name. `dayOf` is that of the zone. */
export function jobRows(api: Api, seen: JobsSeen, timezone: string, dayOf: (time: Date) => number): JobRow[] {
  const rows = rowsOf(api, timezone)
  const { jobs } = api.app.settings
  for (const name of rows.keys()) if (jobs[name] === undefined) rows.delete(name)
  const today = dayOf(seen.now)
  return Object.values(jobs)
    .sort((a, b) => byName.compare(a.name, b.name))
    .map((job) => {
      const figures = seen.board.get(job.name)
      const of = partsOf(api, job, figures, seen, today)
      const before = rows.get(job.name)
      if (before !== undefined && before.until > seen.now.getTime() && before.of.every((one, n) => one === of[n]))
        return before
      const row = made(api, job, figures, seen, dayOf)
      rows.set(job.name, { ...row, of })
      return row
    })
}

function rowsOf(api: Api, timezone: string): Map<string, Kept> {
  const zones = kept.get(api) ?? new Map<string, Map<string, Kept>>()
  kept.set(api, zones)
  const rows = zones.get(timezone) ?? new Map<string, Kept>()
  zones.delete(timezone)
  zones.set(timezone, rows)
  if (zones.size > ZONES) zones.delete(zones.keys().next().value ?? '')
  return rows
}

/** The board makes its figures anew when runs or backups change; only what works is written into them. */
function partsOf(
  api: Api,
  job: Job,
  figures: JobFigures | undefined,
  seen: JobsSeen,
  today: number,
): readonly unknown[] {
  const { state, why } = stateOf(seen.incidents.get(job.name) ?? [], (figures?.backups ?? 0) > 0)
  const recurrence = seen.states.get(`${job.name}/backup`)
  return [
    job,
    figures,
    figures?.open,
    state,
    why,
    recurrence?.pausedUntil?.getTime(),
    recurrence?.pauseReason,
    api.app.isManaged('jobs', job.name),
    today,
  ]
}

function made(
  api: Api,
  job: Job,
  figures: JobFigures | undefined,
  seen: JobsSeen,
  dayOf: (time: Date) => number,
): Omit<Kept, 'of'> {
  const short = jobShort(api, job, seen)
  const text = JSON.stringify({
    ...short,
    strip: stripOf(figures?.recent ?? [], seen.now, dayOf),
    sizes: figures?.sizes ?? [],
  })
  const until = Math.min(short.next?.getTime() ?? Infinity, short.paused?.until?.getTime() ?? Infinity)
  return { job: short, text, until }
}
