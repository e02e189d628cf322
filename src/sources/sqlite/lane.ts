/**
 * The write-ahead log of an SQLite database as a lane. A read transaction of ours keeps others from beginning the log
 * anew before it is copied: held at a place in the log it bars that; held with the log wholly in the database it bars
 * the next copying into it (docs/decisions/0010-lanes.md). Where nothing bars it, as while this does not run, salts and sums tell
 * whether the log still goes on; if not, everything is copied once more.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, errno } from '../../base/errors.ts'
import type { SqliteSettings } from '../../model/databases.ts'
import {
  COPYING,
  HELD_BYTES,
  LARGEST_SEGMENT,
  type FollowOptions,
  type LanePiece,
  type LaneReading,
  type LaneSource,
} from '../../model/lane.ts'
import { BUSY_LOOK_MS, BUSY_MS, hold, whileBusy, type Holder } from './lane-locks.ts'
import {
  copyRecord,
  endOfWal,
  FRAME_HEAD,
  parseWalHead,
  startOf,
  transactionRecord,
  transactionsOf,
  WAL_HEAD,
  type WalHead,
  type WalPlace,
} from './wal.ts'

/** How exactly the moment of a commit is known. */
const LOOK_MS = 50
/** A log of this size is put into the database, so that it begins anew: sooner than writers do it by themselves. */
const LONG_WAL = 1024 * 1024
const VERY_LONG_WAL = 64 * 1024 * 1024
/** How long writers may have to wait until what they wrote is stored. */
const WAIT_MS = 500
const LONG_WAIT_MS = 5000
const AGAIN_MS = 2000
const COPY_BYTES = 4 * 1024 * 1024
/** Of transactions, at once. */
const AT_ONCE_BYTES = 16 * 1024 * 1024
const LONGEST = {
  held: HELD_BYTES,
  most: LARGEST_SEGMENT - 1024,
  tooLong: () => gap('a transaction is too long to be stored'),
}
/** So much log after a copy is worth another one. */
const COPY_AGAIN = 256 * 1024 * 1024

export function sqliteLane({ file, files = [] }: SqliteSettings): LaneSource {
  const [path, other] = [...(file === undefined ? [] : [file]), ...files]
  if (path === undefined || other !== undefined)
    throw new AppError('config.invalid', 'a lane follows one SQLite database', {
      hint: 'Make a job for each file.',
    })
  return { engine: 'sqlite', name: path, copies: true, follow: async (options) => follow(path, options) }
}

const gap = (why: string): AppError => new AppError('lane.gap', `the log does not go on: ${why}`)

/** What a segment tells of the place where it ends. */
interface Known {
  generation: string
  number: number
  place: WalPlace
  /** When it was looked at last, milliseconds since 1970. */
  looked: number
}

async function follow(path: string, { after, signal }: FollowOptions): Promise<LaneReading> {
  // Closed last: closing any descriptor of the file takes the locks of this process away.
  const main = opened(path)
  let holder: Holder | undefined
  try {
    holder = await whileBusy(path, () => hold(path), signal)
    const system = 'sqlite'
    const known = after === undefined ? undefined : knownOf(after.position, after.extra)
    if (after !== undefined && known === undefined) throw gap('the copy of the database is not whole')
    if (known !== undefined) refuseGap(path, known.place)
    return reading({ path, main, holder, system, known, signal })
  } catch (error) {
    holder?.close()
    closeSync(main)
    throw error
  }
}

function opened(path: string): number {
  try {
    return openSync(path, 'r')
  } catch (cause) {
    const code = errno(cause) === 'EACCES' ? 'source.denied' : 'source.not-found'
    throw new AppError(code, `cannot read ${path}: ${errno(cause)}`, { cause })
  }
}

function knownOf(position: string, extra: Record<string, string> | undefined): Known | undefined {
  const [generation = '', number = ''] = position.split('-')
  const values = (extra?.[COPYING] ?? '').split(' ').map(Number)
  const [salt1, salt2, frames, sum1, sum2] = values
  if (salt1 === undefined || salt2 === undefined || frames === undefined || sum1 === undefined || sum2 === undefined)
    return undefined
  return {
    generation,
    number: Number(number),
    place: { salt1, salt2, frames, sum1, sum2 },
    looked: Number(extra?.['looked'] ?? 0),
  }
}

const textOf = ({ salt1, salt2, frames, sum1, sum2 }: WalPlace): string => [salt1, salt2, frames, sum1, sum2].join(' ')

/**
 * The log that is there must be the one that was read, with the very frame that was read last. It may have begun anew
 * once: then that frame is still there, not written over yet, and none of the same log stands behind it.
 */
function refuseGap(path: string, place: WalPlace): void {
  const fd = openWal(path)
  if (fd === undefined) throw gap('it was removed')
  try {
    const head = parseWalHead(bytesAt(fd, 0, WAL_HEAD))
    const same = head?.salt1 === place.salt1 && head.salt2 === place.salt2
    const anew = head?.salt1 === (place.salt1 + 1) >>> 0 && place.frames > 0
    if (head === undefined || (!same && !anew)) throw gap('it was begun anew while nobody read it')
    if (place.frames === 0) return
    const frame = FRAME_HEAD + head.pageSize
    const isOf = (bytes: Buffer): boolean =>
      bytes.length === FRAME_HEAD && bytes.readUInt32BE(8) === place.salt1 && bytes.readUInt32BE(12) === place.salt2
    const last = bytesAt(fd, WAL_HEAD + (place.frames - 1) * frame, FRAME_HEAD)
    if (!isOf(last) || last.readUInt32BE(16) !== place.sum1 || last.readUInt32BE(20) !== place.sum2)
      throw gap(same ? 'what was read last is not in it' : 'it was begun anew, and is long already')
    if (anew && isOf(bytesAt(fd, WAL_HEAD + place.frames * frame, FRAME_HEAD)))
      throw gap('it went on and was begun anew while nobody read it')
  } finally {
    closeSync(fd)
  }
}

/** Locks of the log lie in another file: it may be opened and closed. */
function openWal(path: string): number | undefined {
  try {
    return openSync(`${path}-wal`, 'r')
  } catch (error) {
    if (errno(error) === 'ENOENT') return undefined
    throw error
  }
}

function bytesAt(fd: number, from: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const got = readSync(fd, bytes, done, length - done, from + done)
    if (got === 0) break
    done += got
  }
  return bytes.subarray(0, done)
}

interface ReadingOptions {
  path: string
  main: number
  holder: Holder
  system: string
  known: Known | undefined
  signal: AbortSignal | undefined
}

function reading({ path, main, holder, system, known, signal }: ReadingOptions): LaneReading {
  const generation = known?.generation ?? `g${randomBytes(5).toString('hex')}`
  let number = known?.number ?? 0
  const position = (): string => `${generation}-${number}`
  const from = position()
  let stored = from
  const ending = new AbortController()
  const ended = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal])
  let closed = false

  async function* pieces(): AsyncGenerator<LanePiece> {
    let place = known?.place
    let since = 0
    let looked = known?.looked ?? Date.now()
    let nextTurn = 0
    /** Bytes of the log that are in use. */
    let length = 0

    /** What was committed since, with the moments between which it was: as much as one holds at once. */
    function fresh(): { found: LanePiece[]; more: boolean } {
      const fd = openWal(path)
      const began = Date.now()
      const found: LanePiece[] = []
      let taken = 0
      let more = false
      if (fd === undefined) {
        if (place !== undefined && place.frames > 0) throw gap('it was removed')
        looked = began
        return { found, more }
      }
      try {
        const head = parseWalHead(bytesAt(fd, 0, WAL_HEAD))
        if (head !== undefined) {
          place = goOn(head, place)
          const frame = FRAME_HEAD + head.pageSize
          const now = Date.now()
          const read = (at: number, most: number): Buffer => bytesAt(fd, at, most)
          for (const transaction of transactionsOf(read, head, place, LONGEST)) {
            place = transaction.end
            taken += transaction.pages.size
            number += 1
            const record = transactionRecord(transaction, head.pageSize, looked, now)
            since += record.length
            found.push({
              bytes: record,
              to: position(),
              firstTime: new Date(now),
              lastTime: new Date(now),
              extra: { [COPYING]: textOf(place), looked: String(now) },
            })
            if (taken < AT_ONCE_BYTES) continue
            more = true
            break
          }
          length = place.frames * frame
        }
      } finally {
        closeSync(fd)
      }
      if (!more) looked = began
      return { found, more }
    }

    /**
     * Puts the log into the database, so that the next writer begins it anew. What it holds has to be stored before: writers wait
     * for that, a moment, or another time is tried.
     */
    async function* turn(ms: number): AsyncGenerator<LanePiece, boolean> {
      for (const until = Date.now() + BUSY_MS; !holder.lock(ms);) {
        if (Date.now() > until) return false
        // What is committed meanwhile is seen as soon as ever.
        if (place !== undefined && Date.now() - looked >= LOOK_MS) yield* fresh().found
        await sleep(BUSY_LOOK_MS, undefined, { signal: ended })
      }
      try {
        let more = place !== undefined
        while (more) {
          const rest = fresh()
          yield* rest.found
          more = rest.more
        }
        if (stored !== position() && place !== undefined) yield { bytes: new Uint8Array(0), to: position(), seal: true }
        if (!holder.locked() || (place !== undefined && stored !== position())) return false
        const whole = holder.settle()
        const head = headOf(path)
        if (head !== undefined) place = endOf(path, head)
        return whole
      } finally {
        holder.unlock()
      }
    }

    /** Everything as of now: nobody writes to the database itself while our reader stands beside the whole log. */
    async function* copy(): AsyncGenerator<LanePiece> {
      for (const until = Date.now() + BUSY_MS; !(yield* turn(BUSY_MS));) {
        if (Date.now() > until)
          throw new AppError('source.unreachable', `somebody reads ${path} for long: it cannot be copied now`)
        await sleep(200, undefined, { signal: ended })
      }
      const first = bytesAt(main, 0, 100)
      const stored = first.readUInt16BE(16)
      const pageSize = stored === 1 ? 65_536 : stored
      const time = new Date()
      const total = Math.floor(fstatSync(main).size / pageSize)
      const step = Math.max(1, Math.floor(COPY_BYTES / pageSize))
      for (let page = 0; page < total; page += step) {
        const pages = bytesAt(main, page * pageSize, Math.min(step, total - page) * pageSize)
        number += 1
        const last = page + step >= total
        yield {
          bytes: copyRecord(page + 1, pageSize, total, pages),
          to: position(),
          firstTime: time,
          lastTime: time,
          ...(page === 0 && { base: true }),
          extra: { [COPYING]: last ? textOf(place ?? NOWHERE) : '', looked: String(time.getTime()) },
        }
      }
      since = 0
      looked = time.getTime()
    }

    if (known === undefined) yield* copy()
    for (;;) {
      const { found, more } = fresh()
      yield* found
      if (more) continue
      if (found.length === 0) yield { bytes: new Uint8Array(0), to: position(), idleAt: new Date(looked) }
      if (since > Math.max(COPY_AGAIN, 2 * fstatSync(main).size)) yield* copy()
      else if (length > LONG_WAL && Date.now() > nextTurn) {
        const whole = yield* turn(length > VERY_LONG_WAL ? LONG_WAIT_MS : WAIT_MS)
        nextTurn = Date.now() + (whole ? 0 : AGAIN_MS)
      }
      await sleep(LOOK_MS, undefined, { signal: ended })
    }
  }

  return {
    system,
    from,
    time: new Date(0),
    pieces,
    async acknowledge(position) {
      stored = position
    },
    async close() {
      if (closed) return
      closed = true
      ending.abort()
      holder.close()
      closeSync(main)
    },
  }
}

const NOWHERE: WalPlace = { salt1: 0, salt2: 0, frames: 0, sum1: 0, sum2: 0 }

/** The log may have begun anew once since, by somebody who found it wholly in the database. */
function goOn(head: WalHead, place: WalPlace | undefined): WalPlace {
  if (place === undefined || (place.salt1 === 0 && place.frames === 0)) return startOf(head)
  if (head.salt1 === place.salt1 && head.salt2 === place.salt2) return place
  if (head.salt1 === (place.salt1 + 1) >>> 0) return startOf(head)
  throw gap('it was begun anew more than once')
}

function headOf(path: string): WalHead | undefined {
  const fd = openWal(path)
  if (fd === undefined) return undefined
  try {
    return parseWalHead(bytesAt(fd, 0, WAL_HEAD))
  } finally {
    closeSync(fd)
  }
}

/** The end of what is committed in the log. */
function endOf(path: string, head: WalHead): WalPlace {
  const fd = openWal(path)
  if (fd === undefined) return startOf(head)
  try {
    return endOfWal((at, most) => bytesAt(fd, at, most), head)
  } finally {
    closeSync(fd)
  }
}
