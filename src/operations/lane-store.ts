/** Stores what a reading of a log gives: sealed in time, merged where small, and only then told to the source. */
import type { Clock } from '../base/clock.ts'
import { AppError, toAppError } from '../base/errors.ts'
import { joinedBytes, type ReadableBytes } from '../base/held-bytes.ts'
import type { LanePiece, LaneReading, Segment, SegmentFacts } from '../model/lane.ts'
import { segmentName } from '../policy/lane-names.ts'
import type { Lane, LaneOptions } from './lane.ts'
import { removeSegment, storeSegment } from './segments.ts'

/** A segment of more than this is stored at once. */
const SEAL_BYTES = 8 * 1024 * 1024
/** So many small ones become one. */
const MERGE_COUNT = 60
const MERGE_BYTES = 8 * 1024 * 1024
/** How often it is written down that nothing happened. */
const IDLE_MS = 60_000
/** Soon after the beginning somebody makes the first backup, and waits for what it makes possible. */
const YOUNG_MS = 120_000
/** What came before a stop, or before the source failed, may take so long to be stored. */
const LAST_MS = 8000

interface Storing extends LaneOptions {
  lineage: string
  /** It is a new one. */
  begins: boolean
  until: Date
  onStored: () => void
}

interface Open {
  parts: ReadableBytes[]
  bytes: number
  to: string
  fromTime: Date | undefined
  toTime: Date | undefined
  events: SegmentFacts['events']
  extra: Record<string, string>
  base: boolean
  alone: boolean
  since: number
}

/** Ends by an error only: that of the source or of a vault, or the signal's. */
export async function storeReading(
  clock: Clock,
  { source, job, vaults, sealMs }: Lane,
  reading: LaneReading,
  storing: Storing,
): Promise<never> {
  const { lineage, signal, onWarning } = storing
  let { until } = storing
  let from = reading.from
  let open: Open | undefined
  let idleName: string | undefined
  const began = clock.monotonic()
  let idleAt = began
  let small: Segment[] = []
  let mayRemove = true

  const following = (): void => storing.onState?.({ state: 'following', position: from, until })
  const factsOf = (facts: Pick<SegmentFacts, 'from' | 'to' | 'fromTime' | 'toTime'> & Partial<SegmentFacts>) => ({
    engine: source.engine,
    system: reading.system,
    lineage,
    events: [],
    extra: {},
    base: false,
    ...facts,
    hasEvents: (facts.events ?? []).length > 0,
  })
  const remove = async (name: string | undefined): Promise<void> => {
    if (name === undefined || !mayRemove) return
    for (const vault of vaults)
      await removeSegment(vault, job, { name, parts: 1 }, { signal }).catch((error: unknown) => {
        // It stays and does no harm.
        mayRemove = false
        onWarning({ code: 'note', message: `small pieces of log stay: ${toAppError(error).message}` })
      })
  }

  /** Stores what is open, so that nothing that came is read again. */
  async function put(known: Date | undefined, during: AbortSignal): Promise<Segment | undefined> {
    if (open === undefined) return undefined
    const { parts, to, events, extra, base, fromTime, toTime } = open
    const facts = factsOf({
      from,
      to,
      fromTime: fromTime ?? until,
      toTime: latest(until, toTime, known),
      events,
      extra,
      base,
    })
    const segment = { facts, payload: inMemory(parts) }
    await storeSegment(vaults, job, segment, { signal: during })
    from = to
    until = facts.toTime
    open = undefined
    // One that is that long is not merged, and not asked for again.
    if (segment.payload.length >= MERGE_BYTES) segment.payload.close?.()
    storing.onStored()
    await reading.acknowledge(to)
    return segment
  }

  async function seal(known?: Date): Promise<void> {
    const alone = open?.alone === true
    const segment = await put(known, signal)
    if (segment === undefined) return
    const old = idleName
    idleName = undefined
    idleAt = clock.monotonic()
    await remove(old)
    following()
    if (segment.facts.base) small = []
    // A long one is not written a second time.
    if (alone || segment.payload.length >= MERGE_BYTES) return merge()
    small.push(segment)
    if (small.length >= MERGE_COUNT || small.reduce((sum, { payload }) => sum + payload.length, 0) >= MERGE_BYTES)
      await merge()
  }

  /** Less than twice MERGE_BYTES: each of them was shorter. */
  async function merge(): Promise<void> {
    const merged = small
    small = []
    const [first] = merged
    const last = merged.at(-1)
    if (first === undefined || last === undefined || first === last) return
    const facts = factsOf({
      ...first.facts,
      to: last.facts.to,
      toTime: last.facts.toTime,
      events: merged.flatMap(({ facts: { events } }) => events),
      extra: Object.assign({}, ...merged.map(({ facts: { extra } }) => extra)) as Record<string, string>,
    })
    await storeSegment(vaults, job, { facts, payload: joinedBytes(merged.map(({ payload }) => payload)) }, { signal })
    for (const { facts: old } of merged) await remove(segmentName(old))
  }

  const look = async (at: Date): Promise<string> => {
    const facts = factsOf({ from, to: from, fromTime: at, toTime: at })
    return storeSegment(vaults, job, { facts, payload: new Uint8Array(0) }, { signal })
  }

  /** Nothing came: then at least that is known. */
  async function idle(at: Date): Promise<void> {
    if (at <= until) return
    // Once soon after something came, then now and then.
    const soon = idleName === undefined || clock.monotonic() - began < YOUNG_MS
    if (clock.monotonic() - idleAt >= (soon ? 2 * sealMs : IDLE_MS)) {
      idleAt = clock.monotonic()
      const old = idleName
      idleName = await look(at)
      until = at
      storing.onStored()
      await remove(old)
    }
    following()
  }

  async function take(piece: LanePiece): Promise<void> {
    if (piece.base === true || piece.alone === true) await seal()
    const nothing = piece.to === (open?.to ?? from)
    if (piece.idleAt !== undefined && nothing) {
      if (open === undefined) await idle(piece.idleAt)
      else if (clock.monotonic() - open.since >= sealMs) await seal(piece.idleAt)
      return
    }
    // A long transaction, which may be too long, takes nothing along.
    if (piece.bytes.length >= SEAL_BYTES)
      await seal().catch((error: unknown) => {
        piece.bytes.close?.()
        throw error
      })
    if (!nothing || piece.bytes.length > 0) open = added(open, piece, clock.monotonic())
    if (piece.seal === true || piece.alone === true || (open !== undefined && open.bytes >= SEAL_BYTES)) await seal()
  }

  // Seen from the beginning: the backup that it needs can be made.
  if (storing.begins) idleName = await look(until)
  following()
  const iterator = reading.pieces()[Symbol.asyncIterator]()
  let next: Promise<IteratorResult<LanePiece>> | undefined
  /** The next piece, or undefined when what is open has to be stored first. Rejects as the source does. */
  const received = async (): Promise<IteratorResult<LanePiece> | undefined> => {
    next ??= iterator.next()
    next.catch(() => {})
    const wait = open === undefined ? undefined : Math.max(0, open.since + sealMs - clock.monotonic())
    const got = await (wait === undefined ? next : firstOf(next, wait))
    if (got !== undefined) next = undefined
    return got
  }
  let sourceEnded = false
  try {
    for (;;) {
      sourceEnded = true
      const got = await received()
      if (got?.done === true) throw new AppError('source.unreachable', `${source.name} ended its log`)
      sourceEnded = false
      if (got === undefined) await seal()
      else await take(got.value)
    }
  } catch (error) {
    // A vault that failed just now is not asked again at once.
    if (sourceEnded || signal.aborted) await last()
    throw error
  } finally {
    for (const bytes of open?.parts ?? []) bytes.close?.()
    await iterator.return?.()
  }

  /** The source gives no more, as it was told to stop or is gone: what came may be all that there will ever be of it. */
  async function last(): Promise<void> {
    const to = open?.to
    try {
      await put(undefined, AbortSignal.timeout(LAST_MS))
    } catch (error) {
      // Stored it is; that the source cannot be told does no harm.
      if (open === undefined) return
      const why = toAppError(error).message
      onWarning({ code: 'note', message: `stopped at ${from}; what came until ${to} is read again: ${why}` })
    }
  }
}

/** Many small ones become one; a long one is alone. */
function inMemory(parts: readonly ReadableBytes[]): ReadableBytes {
  const [first] = parts
  if (parts.length === 1 && first !== undefined) return first
  const all = joinedBytes(parts)
  return all.subarray(0, all.length)
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
    alone: piece.alone === true,
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
