/** Follows the log of a source and stores it in segments: docs/decisions/0010-lanes.md. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { AppError, isAppError, toAppError, type ErrorCode } from '../base/errors.ts'
import { concat } from '../base/bytes.ts'
import type { LanePiece, LaneReading, LaneSource, Segment, SegmentFacts } from '../model/lane.ts'
import type { ReportWarning } from '../model/progress.ts'
import type { Vault } from '../model/vault.ts'
import { chainsOf, type Chain } from '../policy/lane-chain.ts'
import { lineageOf, segmentName, type NamedSegment } from '../policy/lane-names.ts'
import { comparePositions } from '../policy/lane-positions.ts'
import { readSegment, readSegmentNames, shortSystem } from './segments.ts'
import { encodeSegment } from './segment-format.ts'

export interface Lane {
  job: string
  source: LaneSource
  vaults: readonly Vault[]
  /** What was committed is stored after so long at most. */
  sealMs: number
}

export interface LaneState {
  /** `waiting`: the source or a vault does not answer; it is tried again. */
  state: 'following' | 'waiting'
  position?: string
  /** Everything committed until then is stored. */
  until?: Date
  problem?: string
}

export interface LaneOptions {
  signal: AbortSignal
  onWarning: ReportWarning
  onState?: (state: LaneState) => void
  /** The log does not go on: points in time need a new backup. `first`: there was none before. */
  onNewLineage?: (why: { first: boolean; message: string }) => void
}

/** A segment of more than this is stored at once. */
const SEAL_BYTES = 8 * 1024 * 1024
/** So many small ones become one. */
const MERGE_COUNT = 60
const MERGE_BYTES = 8 * 1024 * 1024
/** How often it is written down that nothing happened. */
const IDLE_MS = 60_000
/** Soon after the beginning somebody makes the first backup, and waits for what it makes possible. */
const YOUNG_MS = 120_000
const TAIL_BYTES = 64 * 1024
const WAITS_MS = [500, 1000, 2000, 5000, 10_000, 30_000]
/** Trying again changes nothing. */
const FINAL: readonly ErrorCode[] = [
  'source.unsupported',
  'source.no-program',
  'config.invalid',
  'usage.invalid',
  'internal.bug',
]

/** Works until the signal aborts. Rejects only where trying again cannot help. */
export async function followLane(clock: Clock, lane: Lane, options: LaneOptions): Promise<void> {
  const { signal, onState, onNewLineage } = options
  let failures = 0
  let anew: string | undefined
  while (!signal.aborted) {
    try {
      await followOnce(clock, lane, {
        ...options,
        ...(anew !== undefined && { anew }),
        onStored: (state) => {
          failures = 0
          anew = undefined
          onState?.(state)
        },
        onNewLineage: (why) => onNewLineage?.(anew === undefined ? why : { first: false, message: anew }),
      })
    } catch (thrown) {
      if (signal.aborted) return
      const error = toAppError(thrown)
      if (FINAL.includes(error.code)) throw error
      if (error.code === 'lane.gap' && anew === undefined) {
        anew = error.message
        continue
      }
      onState?.({ state: 'waiting', problem: error.message })
      await clock.sleep(WAITS_MS[Math.min(failures, WAITS_MS.length - 1)] as number, signal).catch(() => undefined)
      failures += 1
    }
  }
}

interface OnceOptions extends LaneOptions {
  /** Why the log before is not gone on from. */
  anew?: string
  onStored: (state: LaneState) => void
}

async function followOnce(clock: Clock, lane: Lane, options: OnceOptions): Promise<void> {
  const { signal, onWarning } = options
  const last = await lastStored(lane, signal)
  const goesOn = last !== undefined && options.anew === undefined
  const reading = await lane.source.follow({
    ...(goesOn && {
      after: { system: last.facts.system, position: last.facts.to, tail: last.tail, extra: last.facts.extra },
    }),
    signal,
    onWarning,
  })
  try {
    const lineage = goesOn
      ? last.facts.lineage
      : lineageOf(shortSystem(reading.system), clock.now(), randomBytes(3).toString('hex'))
    if (!goesOn) options.onNewLineage?.({ first: last === undefined, message: options.anew ?? 'the lane begins here' })
    const until = goesOn ? last.until : reading.time
    await store(clock, lane, reading, { lineage, begins: !goesOn, until, options })
  } finally {
    await reading.close()
  }
}

interface LastStored {
  facts: SegmentFacts
  tail: Uint8Array
  until: Date
}

/** Where to go on: where every vault has everything. A vault that has nothing yet gets what comes from now on. */
async function lastStored({ job, source, vaults }: Lane, signal: AbortSignal): Promise<LastStored | undefined> {
  const { engine } = source
  let least: { vault: Vault; chain: Chain; segment: NamedSegment } | undefined
  for (const vault of vaults) {
    const chain = newestChain(engine, await readSegmentNames(vault, job, { signal }))
    const segment = chain?.segments.at(-1)
    if (chain === undefined || segment === undefined) continue
    const order = least === undefined ? -1 : comparePositions(engine, chain.to, least.chain.to)
    const newer = least !== undefined && chain.lineage !== least.chain.lineage && chain.began > least.chain.began
    if (newer || (least?.chain.lineage !== chain.lineage ? least === undefined : (order ?? 0) < 0))
      least = { vault, chain, segment }
  }
  if (least === undefined) return undefined
  const { facts, payload } = await readSegment(least.vault, job, least.segment.name, { signal })
  return { facts, tail: payload.subarray(Math.max(0, payload.length - TAIL_BYTES)), until: least.chain.until }
}

export function newestChain(engine: string, segments: readonly NamedSegment[]): Chain | undefined {
  const chains = chainsOf(engine, segments).filter((chain) => chain.segments.length > 0)
  return chains.reduce<Chain | undefined>((best, chain) => {
    if (best === undefined || chain.began > best.began) return chain
    return chain.began.getTime() === best.began.getTime() && chain.until > best.until ? chain : best
  }, undefined)
}

interface Storing {
  lineage: string
  /** It is a new one. */
  begins: boolean
  until: Date
  options: OnceOptions
}

interface Open {
  parts: Uint8Array[]
  bytes: number
  to: string
  fromTime: Date | undefined
  toTime: Date | undefined
  events: SegmentFacts['events']
  extra: Record<string, string>
  base: boolean
  since: number
}

async function store(clock: Clock, lane: Lane, reading: LaneReading, storing: Storing): Promise<void> {
  const { source, job, vaults, sealMs } = lane
  const { lineage, options } = storing
  const { signal, onWarning, onStored } = options
  let { until } = storing
  let from = reading.from
  let open: Open | undefined
  let idleName: string | undefined
  const began = clock.monotonic()
  let idleAt = began
  let small: Segment[] = []
  let mayRemove = true

  const put = async (segment: Segment): Promise<string> => {
    const name = segmentName(segment.facts)
    if (name === undefined)
      throw new AppError('source.unsupported', `the position ${segment.facts.to} is too long for a name`)
    const bytes = encodeSegment(segment)
    // One vault after the other would add up their times.
    await Promise.all(vaults.map(async (vault) => vault.lanes.put(job, name, bytes, { signal })))
    return name
  }
  const remove = async (name: string | undefined): Promise<void> => {
    if (name === undefined || !mayRemove) return
    for (const vault of vaults)
      await vault.lanes.remove(job, name, { signal }).catch((error: unknown) => {
        if (isAppError(error, 'storage.not-found')) return
        // It stays and does no harm.
        mayRemove = false
        onWarning({ code: 'note', message: `small pieces of log stay: ${toAppError(error).message}` })
      })
  }

  async function seal(known: Date | undefined): Promise<void> {
    if (open === undefined) return
    const { parts, to, events, extra, base } = open
    const end = latest(until, open.toTime, known)
    const facts: SegmentFacts = {
      engine: source.engine,
      system: reading.system,
      lineage,
      from,
      to,
      fromTime: open.fromTime ?? until,
      toTime: end,
      hasEvents: events.length > 0,
      events,
      extra,
      base,
    }
    const segment = { facts, payload: concat(parts) }
    await put(segment)
    await reading.acknowledge(to)
    from = to
    until = end
    open = undefined
    const old = idleName
    idleName = undefined
    idleAt = clock.monotonic()
    await remove(old)
    onStored({ state: 'following', position: to, until })
    if (base) small = []
    small.push(segment)
    await merge()
  }

  async function merge(): Promise<void> {
    const bytes = small.reduce((sum, { payload }) => sum + payload.length, 0)
    if (small.length < MERGE_COUNT && bytes < MERGE_BYTES) return
    const [first] = small
    const last = small.at(-1)
    if (small.length > 1 && first !== undefined && last !== undefined) {
      const events = small.flatMap(({ facts }) => facts.events)
      const facts: SegmentFacts = {
        ...first.facts,
        to: last.facts.to,
        toTime: last.facts.toTime,
        events,
        hasEvents: events.length > 0,
        extra: Object.assign({}, ...small.map(({ facts: { extra } }) => extra)) as Record<string, string>,
      }
      await put({ facts, payload: concat(small.map(({ payload }) => payload)) })
      for (const { facts: old } of small) await remove(segmentName(old))
    }
    small = []
  }

  const look = async (at: Date): Promise<string> =>
    put({
      facts: {
        engine: source.engine,
        system: reading.system,
        lineage,
        from,
        to: from,
        fromTime: at,
        toTime: at,
        hasEvents: false,
        events: [],
        extra: {},
        base: false,
      },
      payload: new Uint8Array(0),
    })

  /** Nothing came: then at least that is known. */
  async function idle(at: Date): Promise<void> {
    // Once soon after something came, then now and then.
    const soon = idleName === undefined || clock.monotonic() - began < YOUNG_MS
    const wait = soon ? 2 * sealMs : IDLE_MS
    if (at <= until || clock.monotonic() - idleAt < wait) {
      if (at > until) onStored({ state: 'following', position: from, until })
      return
    }
    idleAt = clock.monotonic()
    const old = idleName
    idleName = await look(at)
    until = at
    await remove(old)
    onStored({ state: 'following', position: from, until })
  }

  // Seen from the beginning: the backup that it needs can be made.
  if (storing.begins) idleName = await look(until)
  onStored({ state: 'following', position: from, until })
  const iterator = reading.pieces()[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<LanePiece>> | undefined
  try {
    for (;;) {
      next ??= iterator.next()
      next.catch(() => {})
      const wait = open === undefined ? undefined : Math.max(0, open.since + sealMs - clock.monotonic())
      const got = await (wait === undefined ? next : firstOf(next, wait))
      if (got === undefined) {
        await seal(undefined)
        continue
      }
      next = undefined
      if (got.done === true) return
      const piece = got.value
      if (piece.base === true) await seal(undefined)
      if (piece.idleAt !== undefined && piece.to === (open?.to ?? from)) {
        if (open === undefined) await idle(piece.idleAt)
        else if (clock.monotonic() - open.since >= sealMs) await seal(piece.idleAt)
        continue
      }
      if (piece.to === (open?.to ?? from) && piece.bytes.length === 0) {
        if (piece.seal === true) await seal(undefined)
        continue
      }
      open = added(open, piece, clock.monotonic())
      if (open.bytes >= SEAL_BYTES || piece.seal === true) await seal(undefined)
    }
  } catch (error) {
    if (signal.aborted) await finish()
    throw error
  } finally {
    await iterator.return?.()
  }

  /** Asked to stop: what came is stored still, if that is quickly done. */
  async function finish(): Promise<void> {
    if (open === undefined) return
    const { to } = open
    open = undefined
    onWarning({ code: 'note', message: `stopped at ${from}; what came until ${to} is read again` })
  }
}

function added(open: Open | undefined, piece: LanePiece, now: number): Open {
  const { bytes, to, firstTime, lastTime, events = [], extra = {}, base } = piece
  const before = open ?? {
    parts: [],
    bytes: 0,
    to,
    fromTime: undefined,
    toTime: undefined,
    events: [],
    extra: {},
    base: base === true,
    since: now,
  }
  before.parts.push(bytes)
  before.bytes += bytes.length
  before.to = to
  if (firstTime !== undefined && (before.fromTime === undefined || firstTime < before.fromTime))
    before.fromTime = firstTime
  if (lastTime !== undefined) before.toTime = latest(before.toTime ?? lastTime, lastTime)
  before.events.push(...events)
  Object.assign(before.extra, extra)
  return before
}

function latest(first: Date, ...others: (Date | undefined)[]): Date {
  return others.reduce<Date>((best, one) => (one !== undefined && one > best ? one : best), first)
}

async function firstOf<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)))
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
