/** Places in the write-ahead log: `0/16B3748`, and as positions of a lane: `1-00000000016B3748` (timeline first). */
import { AppError } from '../../base/errors.ts'

export function parseLsn(text: string): bigint {
  const found = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text)
  if (found === null) throw new AppError('source.failed', `${JSON.stringify(text)} is no place in a write-ahead log`)
  return (BigInt(`0x${found[1]}`) << 32n) | BigInt(`0x${found[2]}`)
}

export const formatLsn = (lsn: bigint): string =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`

export interface WalPosition {
  timeline: number
  lsn: bigint
}

export const positionOf = ({ timeline, lsn }: WalPosition): string =>
  `${timeline}-${lsn.toString(16).toUpperCase().padStart(16, '0')}`

export function parsePosition(text: string): WalPosition {
  const found = /^(\d+)-([0-9A-F]{16})$/.exec(text)
  if (found === null) throw new AppError('backup.damaged', `${JSON.stringify(text)} is no position of PostgreSQL`)
  return { timeline: Number(found[1]), lsn: BigInt(`0x${found[2]}`) }
}

/** The name of the file of log that holds the place. */
export function walFileName({ timeline, lsn }: WalPosition, segmentSize: number): string {
  const number = lsn / BigInt(segmentSize)
  const perId = 0x1_0000_0000n / BigInt(segmentSize)
  const hex = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0')
  return hex(BigInt(timeline)) + hex(number / perId) + hex(number % perId)
}

/** Microseconds since 2000, as PostgreSQL has times, to ours; rounded up: whoever compares must not be early. */
export const EPOCH_2000_US = 946_684_800_000_000n
export const timeOfPg = (micros: bigint): Date => new Date(Math.ceil(Number(micros + EPOCH_2000_US) / 1000))
