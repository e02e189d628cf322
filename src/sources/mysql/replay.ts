/**
 * Brings a restored database of MariaDB forward: its transactions, cut out of the stored log, become a binary log for
 * `mariadb-binlog`, whose statements run over a connection of our own.
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asBuffer } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import { findProgram, startProgram } from '../../base/program.ts'
import { streamOfReader } from '../../base/reader.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { LaneReplay, Point, Reached, ReplayOptions, Segment } from '../../model/lane.ts'
import { gtidOf, hasSums, parseEvent, EVENT, recordsOf, type BinlogEvent, type Gtid } from './binlog.ts'
import { chosenEvents, type Choice } from './binlog-choice.ts'
import { advanced, holds } from './gtid.ts'
import { connect, serverOf } from './server.ts'

const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e])

export interface MariadbReplaySettings {
  target: DatabaseTargetSettings
  /** The database of the backup, and what it is called where it goes. */
  from: string
  to: string
}

export function mariadbReplay(settings: MariadbReplaySettings): LaneReplay {
  return {
    async prepare(segments, how) {
      program()
      const judge = judgeOf(how)
      for await (const _ of groupsOf(segments, judge, how.signal)) if (judge.stopped()) break
      judge.end()
    },
    run: async (segments, how) => replay(settings, segments, how),
  }
}

function program(): string {
  const found = findProgram('mariadb-binlog') ?? findProgram('mysqlbinlog')
  if (found !== undefined) return found
  throw new AppError('source.no-program', 'the program mariadb-binlog is not installed', {
    hint: 'Install the client of MariaDB, such as the package mariadb-client.',
  })
}

interface Group {
  description: Buffer
  gtid: Gtid
  /** Read once, before the next one is asked for. */
  events: Iterable<BinlogEvent>
}

/** The transactions that the point has in it, in order. */
async function* groupsOf(
  segments: AsyncIterable<Segment>,
  judge: Judge,
  signal: AbortSignal | undefined,
): AsyncGenerator<Group> {
  let mark = 0
  let description: Buffer | undefined
  for await (const { facts, payload } of segments) {
    throwIfAborted(signal)
    description ??= Buffer.from(facts.extra['description'] ?? '', 'base64')
    const records = recordsOf(payload)
    let next = records.next()
    while (next.done !== true) {
      const { kind, bytes } = next.value
      next = records.next()
      // Both stand before the transaction that they are about.
      if (kind === 'M') mark = Number(bytes.readBigUInt64LE(0))
      else if (kind === 'F') description = Buffer.from(bytes)
      else if (kind !== 'E') throw new AppError('backup.damaged', `the log has a record ${kind} that is not known`)
      else {
        const summed = hasSums(description)
        const first = parseEvent(bytes, summed)
        if (first.type !== EVENT.gtid) continue
        const gtid = gtidOf(first)
        const wanted = judge.take(gtid, first.seconds, mark)
        if (judge.stopped()) return
        const events = (function* (): Generator<BinlogEvent> {
          yield first
          while (next.done !== true && next.value.kind === 'E') {
            const event = parseEvent(next.value.bytes, summed)
            if (event.type === EVENT.gtid) return
            next = records.next()
            yield event
          }
        })()
        if (wanted) yield { description, gtid, events }
        // Those that nobody wanted.
        for (const _ of events);
      }
    }
  }
}

interface Judge {
  /** Whether the transaction is wanted. */
  take(gtid: Gtid, seconds: number, mark: number): boolean
  stopped(): boolean
  end(): Reached
}

/** The log knows the second in which a statement began; marks tell that a transaction was committed later than that. */
function judgeOf({ base, point }: ReplayOptions): Judge {
  const after = base?.to ?? '0-0-0'
  let position = after
  let last: number | undefined
  let transactions = 0
  let done = false
  let ambiguous: string | undefined

  function take(gtid: Gtid, seconds: number, mark: number): boolean {
    const id = `${gtid.domain}-${gtid.server}-${gtid.sequence}`
    // What the backup holds already.
    if (holds(after, gtid)) return false
    const least = Math.max(seconds * 1000, mark)
    if (point.kind === 'time') {
      const limit = point.time.getTime()
      if (least >= limit) {
        done = true
        return false
      }
      if (limit % 1000 !== 0 && Math.floor(limit / 1000) === seconds) ambiguous ??= id
    } else if (point.kind === 'position' && !holds(point.position, gtid)) {
      done = true
      return false
    } else if (point.kind === 'before' && id === point.position) {
      done = true
      return false
    }
    position = advanced(position, gtid)
    transactions += 1
    last = least
    return true
  }

  return {
    take,
    stopped: () => done,
    end() {
      if (ambiguous !== undefined && point.kind === 'time')
        throw new AppError(
          'restore.unreachable',
          `whether ${ambiguous} was committed by ${point.time.toISOString()} cannot be told: the binary log knows whole seconds`,
          { hint: `Say a whole second, or a GTID such as ${ambiguous}.` },
        )
      const missing = missingOf(point, position, done)
      if (missing !== undefined) throw new AppError('restore.unreachable', missing)
      return { position, ...(last !== undefined && { time: new Date(last) }), transactions }
    },
  }
}

function missingOf(point: Point, position: string, stopped: boolean): string | undefined {
  if (point.kind === 'before' && !stopped) return `${point.position} is not in the log that is stored`
  if (point.kind !== 'position') return undefined
  for (const part of point.position.split('+')) {
    const [domain = '', , sequence = ''] = part.split('-')
    if (!holds(position, { domain: Number(domain), sequence: BigInt(sequence) }))
      return `${part} is not in the log that is stored, which ends at ${position}`
  }
  return undefined
}

/** So much of a log at a time: a file, as the program takes what comes by a pipe for the end where it comes in pieces. */
const BATCH_BYTES = 32 * 1024 * 1024

const WRITE_BYTES = 1024 * 1024

function binlogFile(path: string) {
  const fd = openSync(path, 'wx', 0o600)
  let parts: Uint8Array[] = []
  let inParts = 0
  let inFile = 0
  const flush = (): void => {
    const bytes = Buffer.concat(parts)
    for (let done = 0; done < bytes.length;)
      done += writeSync(fd, bytes, done, bytes.length - done, MAGIC.length + inFile + done)
    inFile += bytes.length
    parts = []
    inParts = 0
  }
  writeSync(fd, MAGIC)
  return {
    path,
    get length() {
      return inFile + inParts
    },
    append(bytes: Uint8Array): void {
      parts.push(bytes)
      inParts += bytes.length
      if (inParts >= WRITE_BYTES) flush()
    },
    flush,
    /** Forgets what came behind. */
    cut(length: number): void {
      flush()
      inFile = length
      ftruncateSync(fd, MAGIC.length + length)
    },
    close: () => closeSync(fd),
  }
}

async function replay(
  { target, from, to }: MariadbReplaySettings,
  segments: AsyncIterable<Segment>,
  how: ReplayOptions,
): Promise<Reached> {
  const { signal, onStep } = how
  const judge = judgeOf(how)
  const server = await serverOf(target.server)
  await using connection = await connect(server, signal)
  const scratch = mkdtempSync(join(tmpdir(), 'holdfast-binlog-'))
  const choice: Choice = { database: from, renamed: from !== to, skipped: 0 }
  const log = binlogFile(join(scratch, 'binlog'))
  let wanted: string[] = []
  let description: Buffer | undefined

  async function run(): Promise<void> {
    if (wanted.length === 0) return
    log.flush()
    const converting = startProgram({
      program: program(),
      args: ['--no-defaults', ...(from === to ? [] : [`--rewrite-db=${from}->${to}`]), log.path],
      failure: 'restore.failed',
      ...(signal && { signal }),
    })
    const seen: string[] = []
    try {
      for await (const statement of statementsOf(streamOfReader(converting.stdout), (id) => seen.push(id)))
        await connection.run(statement)
    } catch (error) {
      throw error instanceof AppError ? new AppError('restore.failed', error.message, { cause: error }) : error
    } finally {
      await converting.stop()
    }
    if (seen.join() !== wanted.join())
      throw new AppError('restore.failed', `mariadb-binlog gave ${seen.length} of ${wanted.length} transactions`)
    log.cut(0)
    wanted = []
    description = undefined
  }

  try {
    for await (const group of groupsOf(segments, judge, signal)) {
      const { length } = log
      const before = description
      if (description === undefined || !description.equals(group.description)) {
        description = Buffer.from(group.description)
        log.append(description)
      }
      const events = chosenEvents(group.events, choice, hasSums(group.description))
      let event = events.next()
      for (; event.done !== true; event = events.next()) log.append(event.value)
      if (!event.value) {
        log.cut(length)
        description = before
        continue
      }
      const { domain, server: of, sequence } = group.gtid
      wanted.push(`${domain}-${of}-${sequence}`)
      if (log.length >= BATCH_BYTES) await run()
    }
    await run()
  } finally {
    log.close()
    rmSync(scratch, { recursive: true, force: true })
  }
  if (choice.skipped > 0)
    onStep?.(`${choice.skipped} statements about users and their rights are in the log, and were left out`)
  return judge.end()
}

const DELIMITER = Buffer.from('/*!*/;\n')
const FIRST = Buffer.from('DELIMITER /*!*/;\n')
/**
 * The domain, server and number of a transaction are those of the server that it is brought to; `\C` speaks to the
 * vendor's client.
 */
const LEFT_OUT = /^(?:(?:\/\*M?!\d+ )?SET @@session\.(?:gtid_domain_id|gtid_seq_no|server_id)\s*=|\/\*M?!\\C )/i

/** What `mariadb-binlog` writes, statement by statement; `onGtid` hears of each transaction. */
async function* statementsOf(text: AsyncIterable<Uint8Array>, onGtid: (id: string) => void): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  /** What came since `rest` was looked through; a mark may lie on the border. */
  let more: Buffer[] = []
  let edge: Buffer = Buffer.alloc(0)
  let begun = false
  for await (const chunk of text) {
    more.push(asBuffer(chunk))
    const seam = Buffer.concat([edge, chunk])
    edge = seam.subarray(Math.max(0, seam.length - FIRST.length))
    if (!seam.includes(begun ? DELIMITER : FIRST)) continue
    rest = Buffer.concat([rest, ...more])
    more = []
    for (;;) {
      const mark = begun ? DELIMITER : FIRST
      const end = rest.indexOf(mark)
      if (end < 0) break
      const statement = cleaned(rest.subarray(0, end), onGtid)
      rest = rest.subarray(end + mark.length)
      // What stands before it are settings of its own client.
      if (begun && statement !== undefined) yield statement
      begun = true
    }
  }
  rest = Buffer.concat([rest, ...more])
  if (!begun || !rest.includes('# End of log file'))
    throw new AppError('restore.failed', 'mariadb-binlog ended before the end of the log')
}

/** Without the lines of comments before it, and between what it sets and what it runs. */
function cleaned(statement: Buffer, onGtid: (id: string) => void): Buffer | undefined {
  let at = 0
  while (at < statement.length && (statement[at] === 0x23 || statement[at] === 0x0a)) {
    const found = statement.indexOf(0x0a, at)
    const end = found < 0 ? statement.length : found
    const gtid = /\tGTID (\d+-\d+-\d+)/.exec(statement.toString('latin1', at, end))?.[1]
    if (gtid !== undefined) onGtid(gtid)
    at = end + 1
  }
  const rest = statement.subarray(at)
  const head = rest.toString('latin1', 0, 100)
  if (rest.length === 0 || LEFT_OUT.test(head)) return undefined
  return Buffer.from(rest)
}
