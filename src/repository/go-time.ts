/** Times as Go's RFC3339Nano: `2024-03-15T14:30:45.123456789+01:00`, zeros at the end of the fraction left out. */
import type { Timestamp } from '../model/entry.ts'

const DAY = 86_400
const MIN_YEAR_S = -62_167_219_200
const MAX_YEAR_S = 253_402_300_799
const TWO = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, '0'))
const MOST_DAYS = 20_000
const days = new Map<number, string>()

/** `YYYY-MM-DD` of a day counted from 1970. */
function dayText(day: number): string {
  const known = days.get(day)
  if (known !== undefined) return known
  const date = new Date(day * DAY * 1000)
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  const text = `${year}-${TWO[date.getUTCMonth() + 1]}-${TWO[date.getUTCDate()]}`
  if (days.size >= MOST_DAYS) days.clear()
  days.set(day, text)
  return text
}

/** Minutes east of UTC here at that instant, as restic on this machine would write it. */
export type ZoneOffset = (seconds: number) => number

export const localZone: ZoneOffset = (seconds) => -Math.round(new Date(seconds * 1000).getTimezoneOffset())

export function goTime({ s, ns }: Timestamp, zone: ZoneOffset = localZone): string {
  const seconds = Math.max(MIN_YEAR_S, Math.min(MAX_YEAR_S, s))
  const offset = zone(seconds)
  const local = seconds + offset * 60
  const day = Math.floor(local / DAY)
  const rest = local - day * DAY
  const hour = Math.floor(rest / 3600)
  const minute = Math.floor(rest / 60) % 60
  const text = `${dayText(day)}T${TWO[hour]}:${TWO[minute]}:${TWO[rest % 60]}${fraction(ns)}`
  if (offset === 0) return `${text}Z`
  const size = Math.abs(offset)
  return `${text}${offset < 0 ? '-' : '+'}${TWO[Math.floor(size / 60)]}:${TWO[size % 60]}`
}

function fraction(ns: number): string {
  if (ns === 0) return ''
  let digits = String(ns + 1_000_000_000)
  let end = 10
  while (digits.charCodeAt(end - 1) === 0x30) end -= 1
  digits = digits.slice(1, end)
  return `.${digits}`
}

const TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:Z|([+-])(\d\d):(\d\d))$/

/** Undefined for what is no such time. */
export function parseGoTime(text: string): Timestamp | undefined {
  const match = TIME.exec(text)
  if (match === null) return undefined
  const [, year, month, day, hour, minute, second, part = '', sign, zoneHour, zoneMinute] = match
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour), Number(minute), Number(second))
  const offset = (Number(zoneHour ?? 0) * 60 + Number(zoneMinute ?? 0)) * (sign === '-' ? -60 : 60)
  return { s: date.getTime() / 1000 - offset, ns: Number(part.padEnd(9, '0')) }
}

export const dateOf = ({ s, ns }: Timestamp): Date => new Date(s * 1000 + Math.floor(ns / 1e6))

/** A Date, to the millisecond. */
export function timestampOf(date: Date): Timestamp {
  const ms = date.getTime()
  const s = Math.floor(ms / 1000)
  return { s, ns: (ms - s * 1000) * 1e6 }
}
