import { AppError } from '../base/errors.ts'

/** The calendar periods that an instant falls into, in one time zone, as names that sort by time. */
export interface Periods {
  /** `2024-03-31T02+02:00`: with the offset, since an hour comes twice when summer time ends. */
  hour: string
  /** `2024-03-31` */
  day: string
  /** `2024-W13`: ISO 8601, Monday first; the year is that of its Thursday. */
  week: string
  /** `2024-03` */
  month: string
  /** `2024` */
  year: string
}

const DAY_MS = 86_400_000

/** Making a formatter costs more than thousands of uses. */
const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const known = formatters.get(timezone)
  if (known !== undefined) return known
  try {
    const made = new Intl.DateTimeFormat('en-CA-u-ca-iso8601-nu-latn', {
      timeZone: timezone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      hourCycle: 'h23',
      timeZoneName: 'longOffset',
    })
    formatters.set(timezone, made)
    return made
  } catch (error) {
    throw new AppError('config.invalid', `${JSON.stringify(timezone)} is no time zone`, {
      cause: error,
      hint: 'Write it as in Europe/Berlin, or UTC.',
    })
  }
}

export function periodsOf(time: Date, timezone: string): Periods {
  const part: Partial<Record<Intl.DateTimeFormatPartTypes, string>> = {}
  for (const { type, value } of formatterOf(timezone).formatToParts(time)) part[type] = value
  const year = (part.year ?? '').padStart(4, '0')
  const month = `${year}-${part.month}`
  const day = `${month}-${part.day}`
  const offset = (part.timeZoneName ?? '').replace('GMT', '')
  return { hour: `${day}T${part.hour}${offset}`, day, week: isoWeek(day), month, year }
}

/** `2024-12-30` → `2025-W01` */
export function isoWeek(day: string): string {
  const date = new Date(`${day}T00:00:00Z`)
  const weekday = (date.getUTCDay() + 6) % 7
  const thursday = new Date(date.getTime() + (3 - weekday) * DAY_MS)
  const year = thursday.getUTCFullYear()
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / (7 * DAY_MS))
  return `${year}-W${String(week).padStart(2, '0')}`
}

const SPAN = /(\d+)([ymwdh])/gy

/** The instant that lies `span` before `time`. Spans are written as restic does: `2y5m7d3h`, m being months; `w` too. */
export function before(time: Date, span: string): Date {
  const parts = [...span.matchAll(SPAN)]
  if (parts.length === 0 || parts.map(([text]) => text).join('') !== span.trim())
    throw new AppError('usage.invalid', `cannot read ${JSON.stringify(span)} as a span of time`, {
      hint: 'Write it as 14d, 8w, 6m or 1y6m; m means months.',
    })
  const sum = (unit: string): number =>
    parts.filter(([, , of]) => of === unit).reduce((total, [, count]) => total + Number(count), 0)
  const earlier = new Date(time)
  earlier.setUTCFullYear(earlier.getUTCFullYear() - sum('y'), earlier.getUTCMonth() - sum('m'), earlier.getUTCDate())
  return new Date(earlier.getTime() - (sum('w') * 7 + sum('d')) * DAY_MS - sum('h') * 3_600_000)
}
