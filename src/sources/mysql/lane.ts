/**
 * The binary log of a MariaDB server as a lane, as a replica gets it. Segments are of whole transactions. That the log
 * goes on is proved by its last stored transaction, which has to come again, with its moment.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, isAppError } from '../../base/errors.ts'
import { heldBytes, joinedBytes, type HeldBytes } from '../../base/held-bytes.ts'
import type { MysqlSettings } from '../../model/databases.ts'
import {
  HELD_BYTES,
  LARGEST_SEGMENT,
  type FollowOptions,
  type LaneEvent,
  type LanePiece,
  type LaneReading,
  type LaneSource,
} from '../../model/lane.ts'
import {
  endsGroup,
  EVENT,
  gtidOf,
  hasSums,
  isDelete,
  parseEvent,
  queryOf,
  record,
  recordHead,
  tableIdOf,
  tableMapOf,
  type BinlogEvent,
  type Gtid,
} from './binlog.ts'
import { matchesAny } from '../names.ts'
import type { Connection } from './connection.ts'
import { advanced, gtidsOfPosition, holds, positionOfGtids } from './gtid.ts'
import { connect, serverOf } from './server.ts'

const LOOK_MS = 1000
const HEARTBEAT_NS = 10_000_000_000
/** Bytes of deleted rows of one table in one transaction that are worth a word. */
const MANY_BYTES = 8192
/** All servers of one job. A domain's numbers go on over a failover; `lane.gap` finds what does not. */
const SYSTEM = 'mariadb'

export function mariadbLane(settings: MysqlSettings): LaneSource {
  return {
    engine: 'mysql',
    name: `mysql://${settings.host ?? 'localhost'}`,
    follow: async (options) => follow(settings, options),
  }
}

const gap = (why: string): AppError => new AppError('lane.gap', `the binary log does not go on: ${why}`)

async function follow(settings: MysqlSettings, options: FollowOptions): Promise<LaneReading> {
  const { after, signal, onWarning } = options
  const server = await serverOf(settings)
  const asked = await connect(server, signal)
  let stream: Connection | undefined
  try {
    await refuseUnsuited(asked, onWarning)
    const [[now = ''] = []] = await asked.query('SELECT @@global.gtid_binlog_pos')
    const from = after?.position ?? positionOfGtids(now)
    const previous = after?.extra?.['previous']
    if (after !== undefined && previous === undefined) throw gap('what is stored does not tell its last transaction')
    stream = await connect(server, signal)
    await stream.run(
      `SET @master_binlog_checksum = @@global.binlog_checksum, @master_heartbeat_period = ${HEARTBEAT_NS},
       @mariadb_slave_capability = 4, @slave_connect_state = '${gtidsOfPosition(previous ?? from)}',
       @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0, NAMES utf8mb4`,
    )
    return reading(stream, asked, {
      from,
      options,
      isOurs: chosen(settings),
      ...(after !== undefined && { proof: after.extra?.['last'] ?? '' }),
    })
  } catch (error) {
    asked.destroy()
    stream?.destroy()
    throw error
  }
}

/** Databases of the job; what a restore of ours makes and drops is nobody's loss. */
function chosen({ database, databases, excludeDatabases = [] }: MysqlSettings): (name: string) => boolean {
  const wanted = [...(databases ?? []), ...(database === undefined ? [] : [database])]
  return (name) =>
    (wanted.length === 0 || matchesAny(wanted, name)) &&
    !matchesAny(excludeDatabases, name) &&
    !name.startsWith('holdfast_restore_')
}

async function refuseUnsuited(asked: Connection, onWarning: FollowOptions['onWarning']): Promise<void> {
  if (!asked.mariadb)
    throw new AppError('source.unsupported', 'points in time work with MariaDB; this is MySQL', {
      hint: 'Leave `binlog` out of the source of the job.',
    })
  const [[enabled, format, image] = []] = await asked.query(
    'SELECT @@global.log_bin, @@global.binlog_format, @@global.binlog_row_image',
  )
  if (enabled !== '1')
    throw new AppError('source.unsupported', 'the server writes no binary log', {
      hint: 'Set log_bin and a server_id of its own in the configuration of the server, and restart it.',
    })
  if (format === 'STATEMENT')
    onWarning({
      code: 'binlog',
      message:
        "binlog_format is STATEMENT: statements may give other rows when they are replayed; SET GLOBAL binlog_format = 'ROW'",
    })
  if (image !== 'FULL')
    onWarning({ code: 'note', message: `binlog_row_image is ${image}: SET GLOBAL binlog_row_image = 'FULL' is safer` })
}

interface Mark {
  /** Asked of the server before the position: what is not in it was committed later. */
  time: Date
  position: string
}

interface Group {
  gtid: Gtid
  seconds: number
  /** Its records. */
  body: HeldBytes
  events: LaneEvent[]
  tables: Map<string, string>
  deleted: Map<string, number>
}

async function reading(
  stream: Connection,
  asked: Connection,
  {
    from,
    options,
    proof,
    isOurs,
  }: { from: string; options: FollowOptions; proof?: string; isOurs: (database: string) => boolean },
): Promise<LaneReading> {
  const { signal } = options
  const ending = new AbortController()
  const dump = Buffer.alloc(11)
  dump[0] = 0x12
  dump.writeUInt32LE(4, 1)
  // Annotations too.
  dump.writeUInt16LE(2, 5)
  dump.writeUInt32LE(randomInt(0x4000_0000, 0x7fff_ffff), 7)
  let mark: Mark | undefined
  let failure: unknown
  const look = async (): Promise<Mark> => {
    const [[micros = '0'] = []] = await asked.query('SELECT FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000)')
    const [[position = ''] = []] = await asked.query('SELECT @@global.gtid_binlog_pos')
    return { time: new Date(Number(micros)), position: positionOfGtids(position) }
  }

  let group: Group | undefined

  async function* pieces(): AsyncGenerator<LanePiece> {
    let position = from
    let description: Buffer | undefined
    let told = true
    let summed = false
    let unproved = proof
    let written = 0
    const events = stream.events(dump)
    const next = async (): Promise<{ event: Buffer | undefined }> => ({ event: (await events.next()).value })
    let pending = next()
    pending.catch(() => {})
    let looking: Promise<Mark> | undefined
    let lookAt = performance.now()
    for (;;) {
      const wait = Math.max(0, lookAt - performance.now())
      looking ??= sleep(wait, undefined, { signal: ending.signal }).then(look)
      looking.catch(() => {})
      const got = await Promise.race([pending, looking])
      if ('time' in got) {
        looking = undefined
        lookAt = performance.now() + LOOK_MS
        mark = got
        // Everything that was committed before is here: nothing else was going on.
        if (group === undefined && unproved === undefined && got.position === position)
          yield { bytes: new Uint8Array(0), to: position, idleAt: got.time }
        continue
      }
      pending = next()
      pending.catch(() => {})
      if (got.event === undefined) throw new AppError('source.unreachable', 'the server ended the binary log')
      const bytes = got.event
      const type = bytes[4] as number
      if (type === EVENT.formatDescription) {
        summed = hasSums(bytes)
        description = Buffer.from(bytes)
        told = false
        continue
      }
      const event = parseEvent(Buffer.from(bytes), summed)
      if (event.type === EVENT.gtid) {
        // One begins only where the one before has ended, by whatever event.
        if (group !== undefined) yield* completed(group)
        group = begun(event)
        continue
      }
      if (group === undefined || event.artificial || isHousekeeping(event.type)) continue
      add(group, event)
      if (!endsGroup(event, group.gtid.standalone)) continue
      const done = group
      group = undefined
      yield* completed(done)
    }

    function* completed(done: Group): Generator<LanePiece> {
      const id = `${done.gtid.domain}-${done.gtid.server}-${done.gtid.sequence}`
      if (unproved !== undefined) {
        done.body.close()
        if (`${id} ${done.seconds}` !== unproved) throw gap(`${id} of another moment follows what is stored`)
        unproved = undefined
        return
      }
      if (holds(position, done.gtid)) {
        done.body.close()
        throw gap(`${id} comes again: the server was set back`)
      }
      const previous = position
      position = advanced(position, done.gtid)
      const parts: Buffer[] = []
      if (!told && description !== undefined) {
        parts.push(record('F', description))
        told = true
      }
      if (mark !== undefined && mark.time.getTime() > written && !holds(mark.position, done.gtid)) {
        written = mark.time.getTime()
        const time = Buffer.alloc(8)
        time.writeBigUInt64LE(BigInt(written))
        parts.push(record('M', time))
      }
      const time = new Date(Math.max(done.seconds * 1000, written))
      const losses = done.events.filter(({ what }) => isOurs(what.split('.')[0] ?? ''))
      yield {
        bytes: joinedBytes([...parts, done.body]),
        to: position,
        firstTime: time,
        lastTime: time,
        extra: {
          previous,
          last: `${id} ${done.seconds}`,
          description: (description ?? Buffer.alloc(0)).toString('base64'),
        },
        ...(losses.length > 0 && { events: losses.map((one) => ({ ...one, id })) }),
      }
    }
  }

  return {
    system: SYSTEM,
    from,
    time: new Date(0),
    async *pieces() {
      try {
        yield* pieces()
      } catch (error) {
        throw asGap(failure ?? error)
      } finally {
        group?.body.close()
        group = undefined
      }
    },
    // The server keeps its log by its own rule.
    acknowledge: async () => {},
    async close() {
      ending.abort()
      stream.destroy()
      asked.destroy()
      failure ??= signal?.reason
    },
  }
}

const isHousekeeping = (type: number): boolean =>
  (
    [EVENT.rotate, EVENT.stop, EVENT.heartbeat, EVENT.checkpoint, EVENT.gtidList, EVENT.startEncryption] as number[]
  ).includes(type)

function begun(event: BinlogEvent): Group {
  const body = heldBytes(HELD_BYTES)
  body.append(recordHead('E', event.bytes.length))
  body.append(event.bytes)
  return {
    gtid: gtidOf(event),
    seconds: event.seconds,
    body,
    events: [],
    tables: new Map(),
    deleted: new Map(),
  }
}

function add(group: Group, event: BinlogEvent): void {
  group.body.append(recordHead('E', event.bytes.length))
  group.body.append(event.bytes)
  if (group.body.length > LARGEST_SEGMENT) throw gap('a transaction is too long to be stored')
  const time = new Date(event.seconds * 1000)
  if (event.type === EVENT.tableMap) {
    const { id, database, table } = tableMapOf(event)
    group.tables.set(id, `${database}.${table}`)
  } else if (isDelete(event.type)) {
    const name = group.tables.get(tableIdOf(event)) ?? ''
    const before = group.deleted.get(name) ?? 0
    const now = before + event.body.length
    group.deleted.set(name, now)
    if (before < MANY_BYTES && now >= MANY_BYTES) group.events.push({ id: '', kind: 'delete', what: name, time })
  } else if (event.type === EVENT.query) {
    const { database, text } = queryOf(event)
    const loss = lossOf(text)
    if (loss !== undefined) group.events.push({ id: '', kind: loss.kind, what: qualified(loss, database), time })
  }
}

const qualified = ({ what, whole }: Loss, database: string): string => {
  const plain = what.replaceAll('`', '')
  return whole || plain.includes('.') || database === '' ? plain : `${database}.${plain}`
}

interface Loss {
  kind: LaneEvent['kind']
  what: string
  /** It is a database. */
  whole: boolean
}

/** What a statement took away. Comments are not in the way. */
export function lossOf(text: string): Loss | undefined {
  const bare = text.replaceAll(/\/\*[^]*?\*\//g, ' ').trim()
  const name = '(`[^`]+`(?:\\.`[^`]+`)?|[\\w$.]+)'
  const found = (pattern: string): RegExpExecArray | null => new RegExp(pattern, 'i').exec(bare)
  const dropped = found(`^DROP\\s+(TABLE|DATABASE|SCHEMA)\\s+(?:IF\\s+EXISTS\\s+)?${name}`)
  if (dropped?.[2] !== undefined)
    return { kind: 'drop', what: dropped[2], whole: dropped[1]?.toUpperCase() !== 'TABLE' }
  const truncated = found(`^TRUNCATE\\s+(?:TABLE\\s+)?${name}`)
  if (truncated?.[1] !== undefined) return { kind: 'truncate', what: truncated[1], whole: false }
  const deleted = found(`^DELETE\\s+FROM\\s+${name}\\s*;?$`)
  if (deleted?.[1] !== undefined) return { kind: 'delete', what: deleted[1], whole: false }
  return undefined
}

function asGap(error: unknown): unknown {
  if (!isAppError(error)) return error
  // 1236: what was asked for is not in the log.
  if (error.details['number'] === 1236 && !/server.id/i.test(error.message)) return gap(error.message)
  return error
}
