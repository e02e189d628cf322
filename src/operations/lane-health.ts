/** How a lane is, written down where every process sees it: who follows it and who tells people need not be the same. */
import * as z from 'zod'
import { formatDuration } from '../base/units.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { Finding } from '../model/incident.ts'
import type { Job } from '../model/job.ts'
import type { LaneState } from './lane.ts'
import type { Deps } from './recorder.ts'

/** Times are milliseconds since 1970. */
const shape = z.object({
  /** Somebody works on it, or wants it to be worked on. */
  at: z.number(),
  /** When more of the log was stored last, or when somebody began to wait for that. */
  good: z.number(),
  /** Everything committed until then is stored. */
  until: z.number().optional(),
  /** What has been in the way since `good`. */
  problem: z.string().optional(),
  /** What the server keeps for us is near the end of what it can or may keep. */
  slot: z.string().optional(),
  gap: z.object({ at: z.number(), message: z.string(), over: z.boolean() }).optional(),
})

export type LaneHealth = z.infer<typeof shape>

const keyOf = (job: string): string => `lane ${job}`
/** How often it is written down that nothing changed. */
const WRITE_MS = 15_000
/** An idle log is looked at once a minute. */
const DOWN_MS = 90_000
const SILENT_MS = 180_000
/** However soon moments can be restored again: that some cannot is worth being seen. */
const GAP_SHOWN_MS = 3_600_000

export function laneHealth(catalogue: Pick<Catalogue, 'get'>, job: string): LaneHealth | undefined {
  const text = catalogue.get(keyOf(job))
  if (text === undefined || text === '') return undefined
  const parsed = shape.safeParse(JSON.parse(text))
  return parsed.success ? parsed.data : undefined
}

/** It should be followed from now on: that nobody does will show. */
export function expectLane({ clock, catalogue }: Pick<Deps, 'clock' | 'catalogue'>, job: string): void {
  if (laneHealth(catalogue, job) !== undefined) return
  const at = clock.now().getTime()
  catalogue.set(keyOf(job), JSON.stringify({ at, good: at } satisfies LaneHealth))
}

/** It is not to be followed any more. */
export function forgetLane(catalogue: Pick<Catalogue, 'get' | 'set'>, job: string): void {
  if (laneHealth(catalogue, job) !== undefined) catalogue.set(keyOf(job), '')
}

export interface LaneReporter {
  state(state: LaneState): void
  /** Undefined: it is over. */
  slot(message: string | undefined): void
  gap(message: string): void
  /** Moments can be restored again. */
  gapOver(): void
}

export function laneReporter({ clock, catalogue }: Pick<Deps, 'clock' | 'catalogue'>, job: string): LaneReporter {
  const began = clock.now().getTime()
  const before = laneHealth(catalogue, job)
  // Whoever begins after a while has some time.
  const goesOn = before !== undefined && began - before.at < SILENT_MS
  let health: LaneHealth = { at: began, good: began, ...(goesOn ? before : before?.gap && { gap: before.gap }) }
  let written = ''
  const write = (change: Partial<LaneHealth>): void => {
    const last = health.at
    health = { ...health, ...change, at: clock.now().getTime() }
    const { at, good: _good, until: _until, ...rest } = health
    const text = JSON.stringify(rest)
    if (text === written && at - last < WRITE_MS) {
      health.at = last
      return
    }
    written = text
    catalogue.set(keyOf(job), JSON.stringify(health))
  }
  write({})
  return {
    state({ until, problem }) {
      const time = until?.getTime() ?? 0
      const further = time > (health.until ?? 0)
      if (further) write({ until: time, good: clock.now().getTime(), problem: undefined })
      else write(problem === undefined ? {} : { problem })
    },
    slot: (message) => write({ slot: message }),
    gap: (message) => write({ gap: { at: clock.now().getTime(), message, over: false } }),
    gapOver() {
      if (health.gap?.over === false) write({ gap: { ...health.gap, over: true } })
    },
  }
}

/** What is wrong with the lane of a job now. */
export function laneFindings(catalogue: Pick<Catalogue, 'get'>, job: Job, now: Date): Finding[] {
  const health = job.continuous === true ? laneHealth(catalogue, job.name) : undefined
  if (health === undefined) return []
  const { at, good, problem, slot, gap } = health
  const time = now.getTime()
  const ago = (then: number): string => formatDuration(time - then)
  const found: Finding[] = []
  if (problem !== undefined && time - good > DOWN_MS)
    found.push({
      kind: 'unreachable',
      job: job.name,
      message: `the log of the database has not been stored for ${ago(good)}: ${problem}`,
    })
  else if (time - at > SILENT_MS)
    found.push({
      kind: 'overdue',
      job: job.name,
      message: `nobody has followed the log of the database for ${ago(at)}`,
      hint: 'Start `holdfast server`, `holdfast worker`, or `holdfast lane JOB`.',
    })
  else if (time - good > SILENT_MS)
    found.push({
      kind: 'overdue',
      job: job.name,
      message: `what is stored of the log of the database is ${ago(health.until ?? good)} behind`,
    })
  if (slot !== undefined)
    found.push({
      kind: 'space',
      job: job.name,
      message: slot,
      hint: 'See why the lane is behind; `holdfast lane JOB --drop` removes the slot, and makes a gap.',
    })
  if (gap !== undefined && (!gap.over || time - gap.at < GAP_SHOWN_MS))
    found.push({
      kind: 'failure',
      job: job.name,
      message: `points in time have a gap${gap.over ? '' : ', and none after it can be restored yet'}: ${gap.message}`,
    })
  return found
}
