/** Which backup and which pieces of log bring a job to a moment: planned from the vault alone, before anything is written. */
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import { COPYING, type LaneEvent, type Point, type Segment, type SegmentFacts } from '../model/lane.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import {
  chainsOf,
  segmentsFrom,
  within,
  windowsOf,
  type BaseAt,
  type Chain,
  type Window,
} from '../policy/lane-chain.ts'
import type { NamedSegment } from '../policy/lane-names.ts'
import { comparePositions } from '../policy/lane-positions.ts'
import { basesOf, isGone, readSegment, readSegmentNames, whileMerging } from './segments.ts'

export interface LaneView {
  engine: string
  chains: Chain[]
  windows: Window[]
  bases: BaseAt[]
  segments: NamedSegment[]
}

export const viewLane = async (vault: Vault, job: string, cancel: Cancel = {}): Promise<LaneView | undefined> =>
  whileMerging(async () => look(vault, job, cancel))

async function look(vault: Vault, job: string, cancel: Cancel): Promise<LaneView | undefined> {
  const segments = await readSegmentNames(vault, job, cancel)
  const bases = basesOf(await vault.backups(cancel), job)
  const [some] = segments
  if (some === undefined) return undefined
  const engine = bases.at(-1)?.lane.engine ?? (await readFacts(vault, job, some, cancel)).engine
  const chains = chainsOf(engine, segments)
  return { engine, chains, windows: windowsOf(chains, bases), bases, segments }
}

export interface PointPlan {
  job: string
  engine: string
  point: Point
  chain: Chain
  /** Absent: the log itself holds a copy to begin with. */
  base?: BaseAt
  backup?: Backup
  /** In order. */
  segments: NamedSegment[]
}

/** Refuses what cannot be reached, and tells what can. */
export const planPoint = async (vault: Vault, job: string, asked: Asked, cancel: Cancel = {}): Promise<PointPlan> =>
  whileMerging(async () => plan(vault, job, asked, cancel))

async function plan(vault: Vault, job: string, asked: Asked, cancel: Cancel): Promise<PointPlan> {
  const view = await viewLane(vault, job, cancel)
  if (view === undefined || view.windows.length === 0)
    throw new AppError('restore.unreachable', `there are no points in time of ${job} in ${vault.name}`, {
      hint: `They come with a continuous log: \`holdfast lane ${job}\`, or \`schedule: continuous\` in the job, and a backup made while it runs.`,
    })
  const { engine, windows } = view
  const point =
    asked.kind === 'event' ? await pointOfEvent(vault, job, view, asked.event, cancel) : pointOf(engine, asked.text)
  const window = windows.findLast((one) => reaches(engine, one, point))
  if (window === undefined)
    throw new AppError('restore.unreachable', `${job} cannot be restored to ${describePoint(point)}`, {
      hint: `It can be restored ${windows.map(describeWindow).join(', or ')}.`,
    })
  const { chain } = window
  const start = startOf(engine, window, point, await endsWithinCopy(vault, job, chain, cancel))
  const segments =
    'base' in start
      ? segmentsFrom(chain, start.base.lane.from)
      : chain.segments.slice(chain.segments.indexOf(start.segment))
  const backup = 'base' in start ? (await vault.backups(cancel)).find(({ id }) => id === start.base.id) : undefined
  return {
    job,
    engine,
    point,
    chain,
    segments,
    ...('base' in start && { base: start.base }),
    ...(backup && { backup }),
  }
}

export type Asked = { kind: 'point'; text: string } | { kind: 'event'; event: string }

/** `latest`, a time, a place in the log, a transaction or a name. */
export function pointOf(engine: string, text: string): Point {
  if (text === 'latest') return { kind: 'latest' }
  const position = positionOf(engine, text)
  if (position !== undefined) return { kind: 'position', position }
  const xid = /^xid:(\d+)$/.exec(text)?.[1]
  if (xid !== undefined && engine === 'postgres') return { kind: 'xid', xid }
  const named = /^name:(.+)$/.exec(text)?.[1]
  if (named !== undefined) return nameIn(engine, named)
  const time = timeIn(text)
  if (time !== undefined) return { kind: 'time', time }
  if (/^\d{4}-\d/.test(text))
    throw new AppError('usage.invalid', `--at ${text} is no time that can be read`, {
      hint: 'Write it as 2026-03-15T14:03:20Z, 2026-03-15T14:03:20+01:00, or without a zone in that of this machine.',
    })
  return nameIn(engine, text)
}

function nameIn(engine: string, name: string): Point {
  if (engine === 'postgres') return { kind: 'name', name }
  throw new AppError('usage.invalid', `--at ${name} is neither a time nor a place in the log`, {
    hint: 'Write a time as 2026-03-15T14:03:20Z, or latest.',
  })
}

/** With a zone as it says; without one that of this machine. */
function timeIn(text: string): Date | undefined {
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,6})?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i.test(text)) return undefined
  const time = new Date(
    /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text.replace(' ', 'T').replace(',', '.').replace(/\s+/, ''),
  )
  return Number.isNaN(time.getTime()) ? undefined : time
}

/** Places as each engine's own tools write them. */
function positionOf(engine: string, text: string): string | undefined {
  if (engine === 'postgres') {
    const found = /^(?:lsn:)?([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
    if (found === null) return undefined
    // Timelines share what lies before they part; the order is that of places.
    return `0-${`${(found[1] ?? '').padStart(8, '0')}${(found[2] ?? '').padStart(8, '0')}`.toUpperCase()}`
  }
  if (engine === 'mysql' && /^\d+-\d+-\d+([,+]\d+-\d+-\d+)*$/.test(text)) return text.replaceAll(',', '+')
  return undefined
}

function reaches(engine: string, window: Window, point: Point): boolean {
  const { chain, from, fromPosition, toPosition } = window
  switch (point.kind) {
    case 'latest':
      return true
    case 'time':
      return point.time >= from && point.time <= chain.until
    case 'position':
    case 'before':
      return within(engine, point.position, { from: fromPosition, to: toPosition })
    // Whether it is there shows when the log is read.
    case 'xid':
    case 'name':
      return true
  }
}

/** The newest copy of everything that is whole and not behind the point. */
function startOf(
  engine: string,
  { chain, bases }: Window,
  point: Point,
  unfinished: boolean,
): { base: BaseAt } | { segment: NamedSegment } {
  const before = (time: Date, position: string): boolean => {
    if (point.kind === 'time') return time <= point.time
    if (point.kind !== 'position' && point.kind !== 'before') return true
    const order = comparePositions(engine, position, point.position)
    return order !== undefined && order <= 0
  }
  // Where the place is not known before, the whole window has to be looked through.
  const first = point.kind === 'xid' || point.kind === 'name'
  const fit = bases.filter(({ lane }) => before(lane.time, lane.to))
  const base = first ? fit[0] : fit.at(-1)
  const all = chain.segments.filter(({ base: copy }) => copy)
  const copies = (unfinished ? all.slice(0, -1) : all).filter(({ fromTime, from }) => before(fromTime, from))
  const segment = first ? copies[0] : copies.at(-1)
  if (segment !== undefined && (base === undefined || segment.fromTime > base.lane.time)) return { segment }
  if (base !== undefined) return { base }
  throw new AppError('restore.unreachable', `no backup lies before ${describePoint(point)}`)
}

async function pointOfEvent(vault: Vault, job: string, view: LaneView, asked: string, cancel: Cancel): Promise<Point> {
  const events = await readEvents(vault, job, view, cancel)
  const found = events.filter(({ id }) => id === asked || id.endsWith(asked))
  const exact =
    found.find(({ id }) => id === asked) ?? (new Set(found.map(({ id }) => id)).size === 1 ? found[0] : undefined)
  if (exact !== undefined) return { kind: 'before', position: exact.id }
  throw new AppError(
    'restore.unreachable',
    `${found.length === 0 ? 'no event' : 'more than one event'} is called ${asked}`,
  )
}

/** The lane was stopped while it copied everything once more: what lies before that is as good as ever. */
async function endsWithinCopy(vault: Vault, job: string, { segments }: Chain, cancel: Cancel): Promise<boolean> {
  const last = segments.at(-1)
  if (last === undefined || segments.filter(({ base }) => base).length < 2) return false
  return (await readFacts(vault, job, last, cancel)).extra[COPYING] === ''
}

async function readFacts(vault: Vault, job: string, one: NamedSegment, cancel: Cancel): Promise<SegmentFacts> {
  const { facts, payload } = await readSegment(vault, job, one, cancel)
  payload.close?.()
  return facts
}

/** Oldest first. */
export async function readEvents(vault: Vault, job: string, view: LaneView, cancel: Cancel = {}): Promise<LaneEvent[]> {
  const seen = new Map<string, LaneEvent>()
  const wanted = new Set(view.chains.flatMap(({ segments }) => segments.filter(({ hasEvents }) => hasEvents)))
  for (const one of wanted) {
    const facts = await readFacts(vault, job, one, cancel)
    for (const event of facts.events) seen.set(`${event.id} ${event.kind} ${event.what}`, event)
  }
  return [...seen.values()].sort((a, b) => a.time.getTime() - b.time.getTime())
}

/** The pieces of a plan. One that was merged with others meanwhile is had from those. */
export async function* readPlan(vault: Vault, plan: PointPlan, cancel: Cancel = {}): AsyncGenerator<Segment> {
  let segments = plan.segments
  let at = segments[0]?.from
  for (let index = 0; index < segments.length; index += 1) {
    const one = segments[index] as NamedSegment
    let segment: Segment
    try {
      segment = await readSegment(vault, plan.job, one, cancel)
    } catch (error) {
      if (!isGone(error) || at === undefined) throw error
      const chains = chainsOf(plan.engine, await readSegmentNames(vault, plan.job, cancel))
      const position = at
      const chain = chains.find(
        ({ lineage, from, to }) => lineage === plan.chain.lineage && within(plan.engine, position, { from, to }),
      )
      const rest = chain === undefined ? [] : segmentsFrom(chain, position)
      if (rest.length === 0 || rest[0]?.name === one.name) throw error
      segments = rest
      index = -1
      continue
    }
    at = segment.facts.to
    try {
      yield segment
    } finally {
      segment.payload.close?.()
    }
  }
}

export function describePoint(point: Point): string {
  switch (point.kind) {
    case 'latest':
      return 'the end of the log'
    case 'time':
      return point.time.toISOString()
    case 'position':
      return `the place ${point.position}`
    case 'before':
      return `just before ${point.position}`
    case 'xid':
      return `transaction ${point.xid}`
    case 'name':
      return `the restore point ${point.name}`
  }
}

/** The time of a backup alone is no moment that can be asked for: what was committed between it and then is not known. */
const describeWindow = ({ from, to, bases }: Window): string =>
  from.getTime() === to.getTime()
    ? `to the end of what is stored (--at latest), which is the backup ${bases.at(-1)?.id ?? ''}`
    : `to any moment from ${from.toISOString()} to ${to.toISOString()}`
