/**
 * The write-ahead log of a PostgreSQL server as a lane: by a slot, which keeps what is not stored yet. Segments end
 * anywhere, also within a file of log: what is stored is at most as old as `seal` of the job.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError, toAppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import type { FollowOptions, LanePiece, LaneReading, LaneSource } from '../../model/lane.ts'
import { formatLsn, parsePosition, positionOf, timeOfPg, type WalPosition } from './lsn.ts'
import {
  createSlot,
  dropSlot,
  IDLE_MS,
  nextLog,
  openReplication,
  readSlot,
  sendStatus,
  slotExists,
  startLog,
  timelineHistory,
  type Replication,
} from './replication.ts'
import { walScanner, type WalFact } from './wal-records.ts'
import { lossWatcher, type LossWatcher } from './wal-losses.ts'
import { openWire, type Wire } from './wire.ts'

const STATUS_MS = 5000
const LOOK_MS = 1000
/** Of the log that a server keeps for us this much is worth a word. */
const MUCH_BYTES = 1024 ** 3

export const slotName = (settings: PostgresSettings, job: string): string =>
  settings.slot ?? `holdfast_${job.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63)

export function postgresLane(settings: PostgresSettings, job: string): LaneSource {
  const slot = slotName(settings, job)
  return {
    engine: 'postgres',
    name: `postgres://${settings.host ?? 'localhost'} (slot ${slot})`,
    follow: async (options) => follow(settings, slot, options),
    async release({ signal, dryRun }) {
      await using replication = await openReplication(settings, signal ? { signal } : {})
      const ours = dryRun ? await slotExists(replication, slot) : await dropSlot(replication, slot)
      return ours ? [`the replication slot ${slot}`] : []
    },
  }
}

const gap = (why: string): AppError => new AppError('lane.gap', `the log does not go on: ${why}`)

async function follow(settings: PostgresSettings, slot: string, options: FollowOptions): Promise<LaneReading> {
  const { after, signal } = options
  const replication = await openReplication(settings, signal ? { signal } : {})
  try {
    const { system, now, segmentSize } = replication
    if (after !== undefined && after.system !== system)
      throw gap(`the server is another cluster now (${system}, and was ${after.system})`)
    let kept = await readSlot(replication, slot)
    if (kept === undefined) {
      await createSlot(replication, slot)
      kept = await readSlot(replication, slot)
    }
    const wanted = after === undefined ? undefined : parsePosition(after.position)
    if (wanted !== undefined) await refuseOtherHistory(replication, wanted)
    const fileOf = (lsn: bigint): bigint => lsn - (lsn % BigInt(segmentSize))
    const from = wanted ?? { timeline: now.timeline, lsn: fileOf(kept ?? now.lsn) }
    const begin = { timeline: from.timeline, lsn: fileOf(from.lsn) }
    const asked = await sideSession(settings, replication, signal).catch((error: unknown) => {
      options.onWarning({
        code: 'note',
        message: `how far the server is cannot be asked beside: ${toAppError(error).message}`,
      })
      return undefined
    })
    return reading({ replication, slot, from, begin, asked, options })
  } catch (error) {
    await replication[Symbol.asyncDispose]()
    throw error
  }
}

/** What we have must lie on the way to where the server is. */
async function refuseOtherHistory(replication: Replication, wanted: WalPosition): Promise<void> {
  const { now } = replication
  if (wanted.timeline === now.timeline) {
    if (wanted.lsn > now.lsn)
      throw gap(`the server is at ${formatLsn(now.lsn)}, before ${formatLsn(wanted.lsn)} that is stored`)
    return
  }
  const { left } = await timelineHistory(replication, now.timeline)
  const switched = left.get(wanted.timeline)
  if (switched === undefined || wanted.lsn > switched)
    throw gap(
      switched === undefined
        ? `timeline ${now.timeline} of the server does not come from timeline ${wanted.timeline}`
        : `timeline ${wanted.timeline} was left at ${formatLsn(switched)}, before ${formatLsn(wanted.lsn)} that is stored`,
    )
}

export async function serverTime(wire: Wire): Promise<Date> {
  const [[[millis = '0'] = []] = []] = await wire.query(
    'select floor(extract(epoch from clock_timestamp()) * 1000)::text',
  )
  return new Date(Number(millis))
}

/** A session for questions; the one with the log is busy. */
export async function sideSession(
  settings: PostgresSettings,
  { server }: Replication,
  signal: AbortSignal | undefined,
): Promise<Wire> {
  const database = settings.database ?? server.database ?? 'postgres'
  return openWire(server, { replication: false, database, idleMs: IDLE_MS, ...(signal && { signal }) })
}

interface ReadingOptions {
  replication: Replication
  slot: string
  from: WalPosition
  begin: WalPosition
  asked: Wire | undefined
  options: FollowOptions
}

async function reading({ replication, slot, from, begin, asked, options }: ReadingOptions): Promise<LaneReading> {
  const { signal, after, onWarning, onSlot } = options
  const { system } = replication
  let timeline = begin.timeline
  let received = begin.lsn
  let stored = from.lsn
  let streaming = false
  let closed = false
  const losses: LossWatcher | undefined = asked && lossWatcher(asked, onWarning)
  const ending = new AbortController()
  const ended = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  let failure: unknown
  const beating = (async () => {
    for (;;) {
      await sleep(STATUS_MS, undefined, { signal: ended })
      if (streaming) sendStatus(replication, received, stored)
    }
  })().catch((error: unknown) => (failure ??= error))

  try {
    streaming =
      (await startLog(replication, slot, begin).catch((error: unknown) => {
        throw asGap(error)
      })) === 'stream'
  } catch (error) {
    ending.abort()
    asked?.destroy()
    await beating
    throw error
  }

  async function* pieces(): AsyncGenerator<LanePiece> {
    let scanner = walScanner(begin.lsn)
    const tail = after?.tail
    let known = from.lsn
    const questions = questionsOf(asked, slot, onSlot)
    let pending = nextLog(replication)
    pending.catch(() => {})
    let lookAt = performance.now() + LOOK_MS
    for (;;) {
      const wait = new AbortController()
      const looked =
        asked === undefined
          ? undefined
          : sleep(Math.max(0, lookAt - performance.now()), 'look' as const, { signal: wait.signal }).catch(
              () => 'look' as const,
            )
      const got = await (looked === undefined ? pending : Promise.race([pending, looked]))
      wait.abort()
      if (got === 'look') {
        lookAt = performance.now() + LOOK_MS
        const { lsn, time } = await questions.flushed()
        if (lsn <= received && received >= from.lsn)
          yield { bytes: new Uint8Array(0), to: positionOf({ timeline, lsn: received }), idleAt: time }
        continue
      }
      if (got.kind === 'log') {
        const { start, bytes } = got
        const facts = scanner.take(start, bytes)
        received = start + BigInt(bytes.length)
        if (start < from.lsn && tail !== undefined) known = compareTail(start, bytes, from.lsn, tail, known)
        // What is stored already was read for its records only.
        const old = from.lsn > start ? from.lsn - start : 0n
        const fresh = bytes.subarray(Number(old < BigInt(bytes.length) ? old : BigInt(bytes.length)))
        if (fresh.length > 0)
          yield await pieceOf(Buffer.from(fresh), facts, { timeline, lsn: received }, losses, from.lsn)
      } else if (got.kind === 'switch') {
        streaming = false
        const { next } = got
        const { text } = await timelineHistory(replication, next.timeline)
        const to = positionOf({ timeline: next.timeline, lsn: next.lsn })
        yield {
          bytes: new Uint8Array(0),
          to,
          alone: true,
          extra: { [`${next.timeline.toString(16).toUpperCase().padStart(8, '0')}.history`]: text },
        }
        timeline = next.timeline
        received = next.lsn
        const file = next.lsn - (next.lsn % BigInt(replication.segmentSize))
        await startLog(replication, slot, { timeline, lsn: file })
        scanner = walScanner(file)
        received = file
        streaming = true
        yield* untilSwitch(next.lsn, file)
      }
      pending = nextLog(replication)
      pending.catch(() => {})
    }

    /** The beginning of the new timeline's file is that of the old one: stored already. */
    async function* untilSwitch(at: bigint, file: bigint): AsyncGenerator<LanePiece> {
      let have = file
      while (have < at) {
        const got = await nextLog(replication)
        if (got.kind !== 'log') continue
        const facts = scanner.take(got.start, got.bytes)
        have = received = got.start + BigInt(got.bytes.length)
        if (have > at)
          yield await pieceOf(
            Buffer.from(got.bytes.subarray(Number(at - got.start))),
            facts,
            { timeline, lsn: have },
            losses,
            at,
          )
      }
    }
  }

  return {
    system,
    from: positionOf(from),
    // The slot may begin long before now: how far in time this is shows with the first commits.
    time: new Date(0),
    async *pieces() {
      try {
        yield* pieces()
      } catch (error) {
        throw asGap(failure !== undefined && !ended.aborted ? failure : error)
      }
    },
    async acknowledge(position) {
      const { lsn } = parsePosition(position)
      if (lsn > stored) stored = lsn
      if (streaming) sendStatus(replication, received > stored ? received : stored, stored)
    },
    async close() {
      if (closed) return
      closed = true
      ending.abort()
      await beating
      asked?.destroy()
      await replication[Symbol.asyncDispose]()
    },
  }
}

/** Bytes that are read again must be those that are stored: else the server was set back, and wrote another history. */
function compareTail(start: bigint, bytes: Buffer, from: bigint, tail: Uint8Array, known: bigint): bigint {
  const tailStart = from - BigInt(tail.length)
  const low = start > tailStart ? start : tailStart
  const end = start + BigInt(bytes.length)
  const high = end < from ? end : from
  if (low >= high) return known
  const mine = bytes.subarray(Number(low - start), Number(high - start))
  const theirs = tail.subarray(Number(low - tailStart), Number(high - tailStart))
  if (!mine.equals(theirs)) throw gap(`what the server has at ${formatLsn(low)} is not what is stored`)
  return high
}

async function pieceOf(
  bytes: Buffer,
  facts: readonly WalFact[],
  at: WalPosition,
  losses: LossWatcher | undefined,
  since: bigint,
): Promise<LanePiece> {
  const times = facts.flatMap((fact) => (fact.kind === 'commit' && fact.end > since ? [fact.micros] : []))
  const events =
    losses === undefined
      ? []
      : await losses.take(
          facts.filter(({ kind, end }) => kind === 'create' || end > since),
          at.timeline,
        )
  const least = times.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined)
  const most = times.reduce<bigint | undefined>((a, b) => (a === undefined || b > a ? b : a), undefined)
  return {
    bytes,
    to: positionOf(at),
    ...(least !== undefined && { firstTime: timeOfPg(least) }),
    ...(most !== undefined && { lastTime: timeOfPg(most) }),
    ...(events.length > 0 && { events }),
  }
}

function asGap(error: unknown): unknown {
  if (!isAppError(error)) return error
  const state = error.details['sqlstate']
  if (
    state === '58P01' ||
    /has already been removed|is not in this server's history|ahead of the WAL flush/.test(error.message)
  )
    return gap(error.message)
  if (state === '55006')
    return new AppError('run.locked', `another program follows this log: ${error.message}`, { cause: error })
  if (/invalidated|can no longer get changes/.test(error.message)) return gap(error.message)
  return error
}

interface Questions {
  /** All that was committed before `time` lies before `lsn`. */
  flushed(): Promise<{ lsn: bigint; time: Date }>
}

function questionsOf(asked: Wire | undefined, slot: string, onSlot: FollowOptions['onSlot']): Questions {
  let told = ''
  const name = slot.replaceAll("'", "''")
  return {
    async flushed() {
      if (asked === undefined) throw new AppError('internal.bug', 'nobody can be asked')
      const [
        [[millis = '0'] = []] = [],
        [[lsn = '0'] = []] = [],
        [[status = '', behind = '0', most = '-1'] = []] = [],
      ] = await asked.query(
        `select floor(extract(epoch from clock_timestamp()) * 1000)::text;
         select (case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_flush_lsn() end - '0/0')::text;
         select wal_status, (case when pg_is_in_recovery() then 0 else pg_current_wal_lsn() - restart_lsn end)::bigint::text,
                (select case setting when '-1' then -1 else setting::bigint * 1048576 end from pg_settings where name = 'max_slot_wal_keep_size')::text
         from pg_replication_slots where slot_name = '${name}'`,
      )
      const [kept, limit] = [Number(behind), Number(most)]
      const state = slotState(kept, limit, status)
      // Its growth alone is no news.
      if (state !== told)
        onSlot?.(
          state === ''
            ? undefined
            : `the server keeps ${formatSize(kept)} of log for the slot ${slot} (${status}), ${limit < 0 ? 'without a limit: its disk may fill up (max_slot_wal_keep_size)' : `and lets go at ${formatSize(limit)} (max_slot_wal_keep_size)`}`,
        )
      told = state
      return { lsn: BigInt(lsn), time: new Date(Number(millis)) }
    },
  }
}

/** Why what the server keeps is worth a word; empty: it is not. */
export function slotState(kept: number, limit: number, status: string): string {
  if (['extended', 'unreserved', 'lost'].includes(status)) return status
  if (limit >= 0 && kept > 0.8 * limit) return 'near its limit'
  return kept > MUCH_BYTES ? 'much' : ''
}
