/**
 * The client/server protocol of MySQL and MariaDB, as bytes: packets of a 3-byte length (little-endian), a sequence number
 * and a payload. A payload of 0xffffff bytes goes on in the next packet.
 */
import { AppError } from '../../base/errors.ts'

export const HEADER = 4
export const FULL_PACKET = 0xff_ff_ff

/** Capabilities that we use, by their bits. */
export const CAN = {
  longPassword: 1,
  longFlag: 4,
  connectWithDb: 8,
  protocol41: 0x200,
  ssl: 0x800,
  transactions: 0x2000,
  secureConnection: 0x8000,
  multiResults: 0x2_0000,
  pluginAuth: 0x8_0000,
} as const

export function packet(sequence: number, payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(HEADER + payload.length)
  out.writeUIntLE(payload.length, 0, 3)
  out[3] = sequence
  out.set(payload, HEADER)
  return out
}

export interface Greeting {
  version: string
  connectionId: number
  capabilities: number
  /** 20 bytes for the usual plugins. */
  nonce: Buffer
  plugin: string
}

export function parseGreeting(payload: Buffer): Greeting {
  if (payload[0] === 0xff) throw serverError(payload)
  if (payload[0] !== 10)
    throw new AppError('source.unreachable', 'what answers there is no MySQL or MariaDB server', {
      details: { permanent: true },
    })
  const versionEnd = payload.indexOf(0, 1)
  let at = versionEnd + 1
  const connectionId = payload.readUInt32LE(at)
  const first = payload.subarray(at + 4, at + 12)
  at += 13
  const low = payload.readUInt16LE(at)
  const high = payload.length >= at + 7 ? payload.readUInt16LE(at + 5) : 0
  const length = payload[at + 7] ?? 0
  at += 18
  const second = payload.subarray(at, at + Math.max(12, length - 9))
  at += Math.max(13, length - 8)
  const end = payload.indexOf(0, at)
  return {
    // MariaDB puts 5.5.5- before its version, for old replicas.
    version: payload.toString('latin1', 1, versionEnd).replace(/^5\.5\.5-(?=\d+\.\d+\.\d+-MariaDB)/i, ''),
    connectionId,
    capabilities: (low | (high << 16)) >>> 0,
    nonce: Buffer.concat([first, second]),
    plugin: payload.toString('latin1', at, end === -1 ? payload.length : end) || 'mysql_native_password',
  }
}

/** utf8mb4_general_ci: known to all servers since 5.5. */
const CHARSET = 45

/** The first packet of the client; without a user it only asks for TLS. */
export function hello(
  capabilities: number,
  login?: { user: string; answer: Uint8Array; database?: string; plugin: string },
): Buffer {
  const head = Buffer.alloc(32)
  head.writeUInt32LE(capabilities >>> 0, 0)
  head.writeUInt32LE(0x4000_0000, 4)
  head[8] = CHARSET
  if (login === undefined) return head
  const text = (value: string): Buffer => Buffer.from(`${value}\0`)
  return Buffer.concat([
    head,
    text(login.user),
    Buffer.from([login.answer.length]),
    login.answer,
    ...(login.database === undefined ? [] : [text(login.database)]),
    text(login.plugin),
  ])
}

export interface Column {
  name: string
  /** As the protocol numbers types. */
  type: number
  charset: number
}

/** A column definition: six texts, then the fixed part. */
export function parseColumn(payload: Buffer): Column {
  let at = 0
  let name = ''
  for (let text = 0; text < 6; text += 1) {
    const { value, next } = lengthAt(payload, at)
    if (text === 4) name = payload.toString('utf8', next, next + value)
    at = next + value
  }
  return { name, charset: payload.readUInt16LE(at + 1), type: payload[at + 7] ?? 0 }
}

/** A length-encoded integer; -1 stands for NULL. */
export function lengthAt(payload: Buffer, at: number): { value: number; next: number } {
  const first = payload[at] ?? 0
  if (first < 0xfb) return { value: first, next: at + 1 }
  if (first === 0xfb) return { value: -1, next: at + 1 }
  if (first === 0xfc) return { value: payload.readUInt16LE(at + 1), next: at + 3 }
  if (first === 0xfd) return { value: payload.readUIntLE(at + 1, 3), next: at + 4 }
  return { value: payload.readUInt32LE(at + 1) + payload.readUInt32LE(at + 5) * 2 ** 32, next: at + 9 }
}

/** The fields of a text row; NULL as undefined. */
export function parseRow(payload: Buffer, count: number): (string | undefined)[] {
  const row: (string | undefined)[] = []
  let at = 0
  for (let column = 0; column < count; column += 1) {
    const { value, next } = lengthAt(payload, at)
    row.push(value === -1 ? undefined : payload.toString('utf8', next, next + value))
    at = next + Math.max(value, 0)
  }
  return row
}

export const isEof = (payload: Buffer): boolean => payload[0] === 0xfe && payload.length < 9

const DENIED = new Set([1044, 1045, 1130, 1142, 1227, 1370, 1698, 1820, 1862, 3118, 4151])
const BUSY = new Set([1040, 1129, 1203, 1226])

/** An error that the server told, by its number. */
export function serverError(payload: Buffer): AppError {
  const number = payload.readUInt16LE(1)
  const text = payload.toString('utf8', payload[3] === 0x23 ? 9 : 3)
  const options = { details: { number } }
  if (DENIED.has(number)) return new AppError('source.denied', text, options)
  if (number === 1049) return new AppError('source.not-found', text, options)
  if (BUSY.has(number)) return new AppError('source.unreachable', text, options)
  if (number === 1412)
    return new AppError('source.incomplete', `a table was altered during the backup: ${text}`, {
      ...options,
      hint: 'Run the backup again when no schema change is under way.',
    })
  return new AppError('source.incomplete', `the server says (${number}): ${text}`, options)
}

export const errorNumber = (error: unknown): number | undefined =>
  error instanceof AppError && typeof error.details['number'] === 'number' ? error.details['number'] : undefined
