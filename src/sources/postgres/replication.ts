/** What is asked of a server over the replication protocol: who it is, its slots, its log. */
import { AppError, isAppError } from '../../base/errors.ts'
import type { PostgresSettings } from '../../model/databases.ts'
import { serverOf, type Server } from './connect.ts'
import { EPOCH_2000_US, formatLsn, parseLsn, type WalPosition } from './lsn.ts'
import { openWire, rowOf, type Wire } from './wire.ts'

export interface Replication extends AsyncDisposable {
  readonly wire: Wire
  readonly server: Server
  readonly system: string
  /** Where the server is now. */
  readonly now: WalPosition
  readonly segmentSize: number
  /** Such as 150018. */
  readonly version: number
}

export const IDLE_MS = 90_000

export async function openReplication(
  settings: PostgresSettings,
  { signal }: { signal?: AbortSignal },
): Promise<Replication> {
  const server = await serverOf(settings)
  const wire = await openWire(server, { replication: true, idleMs: IDLE_MS, ...(signal && { signal }) })
  try {
    const version = versionOf(wire.parameters.get('server_version') ?? '')
    if (version < 150_000)
      throw new AppError(
        'source.unsupported',
        `${server.name} is PostgreSQL ${wire.parameters.get('server_version')}`,
        {
          hint: 'Physical backups and points in time need PostgreSQL 15 or newer; use method: logical.',
        },
      )
    const [[identity = []] = []] = await wire.query('IDENTIFY_SYSTEM')
    const [system, timeline, lsn] = identity
    if (system === undefined || timeline === undefined || lsn === undefined)
      throw new AppError('source.failed', `${server.name} does not tell who it is`)
    const [[[size = ''] = []] = []] = await wire.query('SHOW wal_segment_size')
    return {
      wire,
      server,
      system,
      version,
      now: { timeline: Number(timeline), lsn: parseLsn(lsn) },
      segmentSize: bytesOf(size),
      [Symbol.asyncDispose]: async () => wire[Symbol.asyncDispose](),
    }
  } catch (error) {
    wire.destroy()
    throw error
  }
}

/** `15.18 (Debian …)` and `18beta1` are 150018 and 180000. */
export function versionOf(text: string): number {
  const found = /^(\d+)(?:\.(\d+))?/.exec(text)
  return found === null ? 0 : Number(found[1]) * 10_000 + Number(found[2] ?? 0)
}

function bytesOf(text: string): number {
  const found = /^(\d+)(kB|MB|GB)$/.exec(text)
  const unit = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }[found?.[2] ?? '']
  if (found === null || unit === undefined) throw new AppError('source.failed', `wal_segment_size is ${text}`)
  return Number(found[1]) * unit
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

/** What a slot holds back from being removed: from its place on. Undefined where there is no such slot. */
export async function readSlot({ wire }: Replication, name: string): Promise<bigint | undefined> {
  const [[row = []] = []] = await wire.query(`READ_REPLICATION_SLOT ${quoted(name)}`)
  const [type, lsn] = row
  if (type === undefined) return undefined
  if (type !== 'physical')
    throw new AppError('source.failed', `the slot ${name} of the server is ${type}, and no lane can use it`, {
      hint: 'Name another one with `slot` in the source of the job.',
    })
  return lsn === undefined ? undefined : parseLsn(lsn)
}

export async function createSlot(replication: Replication, name: string): Promise<void> {
  try {
    await replication.wire.query(`CREATE_REPLICATION_SLOT ${quoted(name)} PHYSICAL RESERVE_WAL`)
  } catch (error) {
    if (isAppError(error) && error.details['sqlstate'] === '42710') return
    if (isAppError(error) && error.details['sqlstate'] === '53400')
      throw new AppError('source.failed', error.message, {
        cause: error,
        hint: 'Raise max_replication_slots of the server, or drop slots that nobody uses.',
      })
    throw error
  }
}

export async function dropSlot({ wire }: Replication, name: string): Promise<boolean> {
  try {
    await wire.query(`DROP_REPLICATION_SLOT ${quoted(name)}`)
    return true
  } catch (error) {
    if (isAppError(error) && error.details['sqlstate'] === '42704') return false
    throw error
  }
}

export async function slotExists({ wire }: Replication, name: string): Promise<boolean> {
  const [[row = []] = []] = await wire.query(`READ_REPLICATION_SLOT ${quoted(name)}`)
  return row[0] !== undefined
}

/** Which timelines led to this one: where each was left, by its number. */
export async function timelineHistory(
  { wire }: Replication,
  timeline: number,
): Promise<{ text: string; left: Map<number, bigint> }> {
  if (timeline === 1) return { text: '', left: new Map() }
  const [[[, text = ''] = []] = []] = await wire.query(`TIMELINE_HISTORY ${timeline}`)
  return { text, left: parseHistory(text) }
}

export function parseHistory(text: string): Map<number, bigint> {
  const left = new Map<number, bigint>()
  for (const line of text.split('\n')) {
    const found = /^(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line)
    if (found?.[1] !== undefined && found[2] !== undefined) left.set(Number(found[1]), parseLsn(found[2]))
  }
  return left
}

export type LogMessage =
  | { kind: 'log'; start: bigint; bytes: Buffer }
  | { kind: 'alive' }
  /** The timeline was left here. */
  | { kind: 'switch'; next: WalPosition }

/** Begins to stream. `sqlstate` 58P01: it was removed; 22023 and the like: there is no such place. */
export async function startLog(
  { wire }: Replication,
  slot: string,
  { timeline, lsn }: WalPosition,
): Promise<'stream' | 'nothing'> {
  wire.begin(`START_REPLICATION SLOT ${quoted(slot)} PHYSICAL ${formatLsn(lsn)} TIMELINE ${timeline}`)
  for (;;) {
    const { type } = await wire.next()
    if (type === 'W') return 'stream'
    // A timeline that ended exactly here.
    if (type === 'T') return 'nothing'
  }
}

export async function nextLog({ wire }: Replication): Promise<LogMessage> {
  const { type, body } = await wire.next()
  if (type === 'd') {
    const kind = body[0]
    if (kind === 0x77) return { kind: 'log', start: body.readBigUInt64BE(1), bytes: body.subarray(25) }
    return { kind: 'alive' }
  }
  if (type === 'c') {
    wire.copyDone()
    return { kind: 'switch', next: await nextTimeline(wire) }
  }
  throw new AppError('source.unreachable', `the log ended with an unknown message ${type}`)
}

async function nextTimeline(wire: Wire): Promise<WalPosition> {
  let next: WalPosition | undefined
  for (;;) {
    const { type, body } = await wire.next()
    if (type === 'D') {
      const [timeline, lsn] = rowOf(body)
      if (timeline !== undefined && lsn !== undefined) next = { timeline: Number(timeline), lsn: parseLsn(lsn) }
    } else if (type === 'Z') {
      if (next !== undefined) return next
      throw new AppError('source.unreachable', 'the server ended the log')
    }
  }
}

/** How far we have it, and how far it is stored: only the latter lets the server forget. */
export function sendStatus({ wire }: Replication, received: bigint, stored: bigint): void {
  const body = Buffer.alloc(34)
  body.write('r', 'latin1')
  body.writeBigUInt64BE(received, 1)
  body.writeBigUInt64BE(stored, 9)
  body.writeBigUInt64BE(stored, 17)
  body.writeBigInt64BE(BigInt(Date.now()) * 1000n - EPOCH_2000_US, 25)
  body[33] = 0
  wire.copyData(body)
}
