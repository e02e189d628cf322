/** Windows and gaps of a lane, from the names of its segments and the labels of backups alone. Pure functions. */
import type { LaneBase } from '../model/lane.ts'
import { lineageParts, type NamedSegment } from './lane-names.ts'
import { comparePositions } from './lane-positions.ts'

/** Segments without a gap between them, in order. */
export interface Chain {
  engine: string
  lineage: string
  system: string
  began: Date
  segments: NamedSegment[]
  /** Where it begins and ends, and how far it is known in time. */
  from: string
  to: string
  until: Date
}

export interface BaseAt {
  id: string
  lane: LaneBase
  /** When the backup was made, by our clock. */
  time: Date
  broken?: boolean
}

/** A stretch of time, every moment of which can be restored. */
export interface Window {
  chain: Chain
  from: Date
  /** As `from`: a backup is all there is, as its log was not looked at since. */
  to: Date
  fromPosition: string
  toPosition: string
  bases: BaseAt[]
}

/** The longest ways through the segments of each lineage. A segment that lies within another (both from before and after a merge) is left out. */
export function chainsOf(engine: string, segments: readonly NamedSegment[]): Chain[] {
  const byLineage = new Map<string, NamedSegment[]>()
  for (const segment of segments) byLineage.set(segment.lineage, [...(byLineage.get(segment.lineage) ?? []), segment])
  const chains: Chain[] = []
  for (const [lineage, all] of byLineage) chains.push(...chainsOfLineage(engine, lineage, all))
  return chains.sort((a, b) => a.began.getTime() - b.began.getTime() || a.until.getTime() - b.until.getTime())
}

function chainsOfLineage(engine: string, lineage: string, all: readonly NamedSegment[]): Chain[] {
  /** How far an idle log was looked at. */
  const idle = new Map<string, number>()
  const next = new Map<string, NamedSegment>()
  const ends = new Set<string>()
  for (const segment of all) {
    if (segment.from === segment.to) {
      idle.set(segment.to, Math.max(idle.get(segment.to) ?? 0, segment.toTime.getTime()))
      continue
    }
    ends.add(segment.to)
    const known = next.get(segment.from)
    if (known === undefined || further(engine, segment, known)) next.set(segment.from, segment)
  }
  const { system, began } = lineageParts(lineage)
  const chains: Chain[] = []
  const starts = new Set([...next.keys(), ...idle.keys()].filter((from) => !ends.has(from)))
  for (const from of starts) {
    const own: NamedSegment[] = []
    let to = from
    let until = idle.get(from) ?? 0
    for (let segment = next.get(from); segment !== undefined; segment = next.get(to)) {
      own.push(segment)
      to = segment.to
      until = Math.max(until, segment.toTime.getTime(), idle.get(to) ?? 0)
    }
    chains.push({ engine, lineage, system, began, segments: own, from, to, until: new Date(until) })
  }
  return chains.filter(
    (chain) =>
      !chains.some(
        (other) =>
          other !== chain &&
          within(engine, chain.from, other) &&
          within(engine, chain.to, other) &&
          other.segments.length > 0,
      ),
  )
}

function further(engine: string, a: NamedSegment, b: NamedSegment): boolean {
  const order = comparePositions(engine, a.to, b.to)
  return order === undefined ? a.toTime > b.toTime : order > 0
}

export function within(engine: string, position: string, { from, to }: { from: string; to: string }): boolean {
  const [low, high] = [comparePositions(engine, from, position), comparePositions(engine, position, to)]
  return low !== undefined && high !== undefined && low <= 0 && high <= 0
}

/** Whether the log of the chain goes on from this backup. */
export function belongs(base: BaseAt, chain: Chain): boolean {
  const { lane } = base
  return (
    base.broken !== true &&
    lane.engine === chain.engine &&
    lane.system === chain.system &&
    // Numbers that began anew after a reset are not those of a backup from before.
    base.time >= chain.began &&
    within(chain.engine, lane.from, chain) &&
    within(chain.engine, lane.to, chain)
  )
}

export function windowsOf(chains: readonly Chain[], bases: readonly BaseAt[]): Window[] {
  const windows: Window[] = []
  for (const chain of chains) {
    const own = bases.filter((base) => belongs(base, chain))
    // Copies of everything within the log.
    const starts = [
      ...own.map(({ lane }) => ({ time: lane.time, position: lane.to })),
      ...chain.segments.filter(({ base }) => base).map(({ fromTime, from }) => ({ time: fromTime, position: from })),
    ].sort((a, b) => a.time.getTime() - b.time.getTime())
    const [first] = starts
    if (first === undefined) continue
    windows.push({
      chain,
      from: first.time,
      to: chain.until > first.time ? chain.until : first.time,
      fromPosition: first.position,
      toPosition: chain.to,
      bases: own.sort((a, b) => a.lane.time.getTime() - b.lane.time.getTime()),
    })
  }
  return windows
}

/** The segments that bring this position forward, the one that holds it first. */
export function segmentsFrom({ engine, segments }: Chain, position: string): NamedSegment[] {
  const first = segments.findIndex((segment) => {
    const order = comparePositions(engine, position, segment.to)
    return order !== undefined && order < 0
  })
  return first < 0 ? [] : segments.slice(first)
}

export interface Keeping {
  /** Backups that stay. */
  kept: readonly BaseAt[]
  /** Every moment from then on stays; absent: from the oldest kept backup on. */
  since?: Date
}

/** Segments that no kept backup, no moment that is to be kept, and nothing that may still come needs. */
export function needless(
  chains: readonly Chain[],
  { kept, since }: Keeping,
  all: readonly NamedSegment[],
): NamedSegment[] {
  const needed = new Set<string>()
  const newest = chains.at(-1)
  // However old: the newest moment that can be restored stays.
  const last = chains.findLast((chain) => startsOf(chain, kept).length > 0)
  for (const chain of chains) {
    const wanted = chain === last && since !== undefined && chain.until < since ? chain.until : since
    const from = neededFrom(chain, kept, wanted, chain === newest)
    if (from === undefined) continue
    for (const { name } of from.segments) needed.add(name)
    // How far an idle log was looked at.
    for (const { name, from: at, to, lineage } of all)
      if (at === to && lineage === chain.lineage && within(chain.engine, at, { from: from.position, to: chain.to }))
        needed.add(name)
  }
  return all.filter(({ name }) => !needed.has(name))
}

/** Where a restore may begin: backups and copies, oldest first. */
function startsOf(chain: Chain, kept: readonly BaseAt[]): { time: Date; position: string }[] {
  const bases = kept
    .filter((base) => belongs(base, chain))
    .map(({ lane }) => ({ time: lane.time, position: lane.from }))
  const copies = chain.segments
    .filter(({ base }) => base)
    .map(({ fromTime, from }) => ({ time: fromTime, position: from }))
  return [...bases, ...copies].sort((a, b) => a.time.getTime() - b.time.getTime())
}

/** The part of a chain that has to stay; undefined: none. */
function neededFrom(
  chain: Chain,
  kept: readonly BaseAt[],
  since: Date | undefined,
  newest: boolean,
): { position: string; segments: NamedSegment[] } | undefined {
  const starts = startsOf(chain, kept)
  const whole = { position: chain.from, segments: chain.segments }
  // A backup that is being made may lie anywhere in the newest one.
  if (starts.length === 0) return newest ? whole : undefined
  if (since !== undefined && chain.until < since) return undefined
  const oldest = kept.reduce<Date | undefined>(
    (least, { lane }) => (least === undefined || lane.time < least ? lane.time : least),
    undefined,
  )
  const horizon = since ?? (kept.some((base) => belongs(base, chain)) ? undefined : oldest)
  // Without a horizon, what there is of backups says it.
  const start = horizon === undefined ? starts[0] : (starts.findLast(({ time }) => time <= horizon) ?? starts[0])
  if (start === undefined) return undefined
  if (start.position === chain.from) return whole
  return { position: start.position, segments: segmentsFrom(chain, start.position) }
}
