/**
 * A lane: the log of a database, stored in small segments beside the backups while the database works. A backup that
 * tells where in the log it lies (its label `lane`), and segments without a gap from there on, can be restored to any
 * moment in between. docs/decisions/0010-lanes.md.
 *
 * A position is a word of the engine: `1-000000000A0012B8` (timeline and LSN), `0-1-42` (GTID).
 * Equal positions of one lineage mean the same place in the same log; that is what joins segments.
 */
import type { ReadableBytes } from '../base/held-bytes.ts'
import type { ReportWarning } from './progress.ts'
import type { OpenEntries, Target, TrialCheck, TrialOptions } from './source.ts'

/** Something that took data away, noticed while the log was stored. */
export interface LaneEvent {
  /** Unique in its lineage; `restore --before` takes it. Its position. */
  id: string
  kind: 'drop' | 'truncate' | 'delete'
  /** `public.orders`, where it is known. */
  what: string
  /** Of a mass delete. */
  rows?: number
  time: Date
}

/** What the name of a segment tells: enough to know windows and gaps from a listing alone. */
export interface SegmentInfo {
  /** The system whose log it is, and when following it began anew; see `lineageOf`. */
  lineage: string
  /** The end of the segment before, and where the next one goes on. The same twice: nothing happened until `toTime`. */
  from: string
  to: string
  /** Of the first and the last thing in it, by the clock of the source; `toTime` of an idle one: looked at then. */
  fromTime: Date
  toTime: Date
  hasEvents: boolean
  /** It begins with a copy of everything: a restore may begin here. */
  base: boolean
}

export interface SegmentFacts extends SegmentInfo {
  engine: string
  /** See LaneBase. */
  system: string
  events: LaneEvent[]
  /** What the engine keeps beside the bytes, such as files of timelines. */
  extra: Record<string, string>
}

/** Of `extra`: empty where a segment ends within a copy of everything. */
export const COPYING = 'wal'

export interface Segment {
  facts: SegmentFacts
  /** Whoever asked for the segment closes it; what gives several does so before the next one. */
  payload: ReadableBytes
}

/** The label `lane` of a backup: how it hangs together with a lane. */
export interface LaneBase {
  engine: string
  /** What makes positions comparable: the identifier of the cluster or server. */
  system: string
  /** From here on the log is needed. */
  from: string
  /** From here on a restore is of one moment. */
  to: string
  /** Of `to`, by the clock of the source. */
  time: Date
}

/** One transaction may be that long, in bytes. A longer one makes a gap. */
export const LARGEST_SEGMENT = 1024 * 1024 * 1024
/** Of a longer one, the rest lies in a temporary file while it is stored or restored. */
export const HELD_BYTES = 8 * 1024 * 1024

/** Part of a log as its source gives it. */
export interface LanePiece {
  /** They belong to whoever got the piece. */
  bytes: ReadableBytes
  /** Where it ends: a place where a segment may end. */
  to: string
  /** Of the first and last commit in it; absent where it has none. */
  firstTime?: Date
  lastTime?: Date
  events?: LaneEvent[]
  extra?: Record<string, string>
  /** Nothing more was there at this moment, by the clock of the source. */
  idleAt?: Date
  /** It begins with a copy of everything; see SegmentInfo. Seals what was before. */
  base?: boolean
  /** Seal now. */
  seal?: boolean
  /** A segment of its own, never joined with others: the log goes over to another history. */
  alone?: boolean
}

/** The log of a source, as it is written. */
export interface LaneSource {
  readonly engine: string
  readonly name: string
  /** It stores a copy of everything itself where it begins: no backup is needed beside it. */
  readonly copies?: boolean
  /**
   * Follows the log from `after`, or from now. Rejects with `lane.gap` where the log does not go on there: what was
   * purged, another history. It has to be proved, not supposed.
   */
  follow(options: FollowOptions): Promise<LaneReading>
  /** Removes what the lane keeps on the server (a replication slot). Gives what it removed, or would remove, in words. */
  release?(options: { signal?: AbortSignal; dryRun: boolean }): Promise<string[]>
}

export interface FollowOptions {
  /** `tail`: what was stored last before it, to compare with what is there now. */
  after?: { system: string; position: string; tail?: Uint8Array; extra?: Record<string, string> }
  signal?: AbortSignal
  onWarning: ReportWarning
  /** What the server keeps for the lane is near the end of what it can or may keep; undefined: that is over. */
  onSlot?: (message: string | undefined) => void
}

export interface LaneReading {
  readonly system: string
  /** Where it begins: `after`, or now. */
  readonly from: string
  /** Everything that was committed until then lies before `from`, by the clock of the source; 1970 where that is not known. */
  readonly time: Date
  pieces(): AsyncIterable<LanePiece>
  /** Everything up to here is stored in every vault: the server may forget it. */
  acknowledge(position: string): Promise<void>
  close(): Promise<void>
}

/** Where a restore stops. */
export type Point =
  | { kind: 'latest' }
  /** Everything that was committed until then, and nothing later. */
  | { kind: 'time'; time: Date }
  /** Up to and with what ends or lies at this position. */
  | { kind: 'position'; position: string }
  /** Up to and with this transaction. */
  | { kind: 'xid'; xid: string }
  /** A named restore point. */
  | { kind: 'name'; name: string }
  /** Everything before what begins at this position. */
  | { kind: 'before'; position: string }

export interface Reached {
  position: string
  /** Of the last commit that is in it. */
  time?: Date
  transactions: number
}

export interface ReplayOptions {
  base: LaneBase | undefined
  point: Point
  /** How far in time the log is known: nothing was committed between its last commit and then. */
  until: Date
  signal?: AbortSignal
  onStep?: (what: string) => void
}

/** Where a restore to a point goes: first the backup, then the log. */
export interface PointTarget {
  target: Target
  replay: LaneReplay
}

/** Brings a restored backup forward to a point. */
export interface LaneReplay {
  /** Whether the point is in the log, before anything is written. Rejects as `run` does. */
  prepare?(segments: AsyncIterable<Segment>, how: ReplayOptions): Promise<void>
  /** `segments` in order, from the one that holds `base.to` on. Rejects with `restore.unreachable` if the point is not in them. */
  run(segments: AsyncIterable<Segment>, how: ReplayOptions): Promise<Reached>
}

/** Shows that a moment can be restored, in a scratch place that it makes and removes itself. */
export interface PointTrial {
  run(from: PointTrialFrom, options: TrialOptions): Promise<{ checks: TrialCheck[]; reached?: Reached }>
}

export interface PointTrialFrom {
  /** Of the backup; absent where the log holds a copy. */
  open?: OpenEntries
  /** From the beginning, at each call. */
  segments(): AsyncIterable<Segment>
  how: ReplayOptions
}
