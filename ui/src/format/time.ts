import { signal } from '@preact/signals'
import { language } from '../app/language.ts'

/** The zone of whoever looks. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone

/** Moves on, so that "2 minutes ago" does too. */
export const now = signal(Date.now())
setInterval(() => {
  if (!document.hidden) now.value = Date.now()
}, 10_000)
document.addEventListener('visibilitychange', () => {
  now.value = Date.now()
})

const STEPS: [Intl.RelativeTimeFormatUnit, ms: number][] = [
  ['year', 365.25 * 86_400_000],
  ['month', 30.44 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
]

const relatives = new Map<string, Intl.RelativeTimeFormat>()

/** `2 hours ago`, `in 5 minutes` */
export function relative(time: string, from = now.value): string {
  const ms = new Date(time).getTime() - from
  let format = relatives.get(language.value)
  if (format === undefined) {
    format = new Intl.RelativeTimeFormat(language.value, { numeric: 'auto', style: 'short' })
    relatives.set(language.value, format)
  }
  for (const [unit, length] of STEPS)
    // Hours up to two days say more than "yesterday".
    if (Math.abs(ms) >= (unit === 'day' ? 2 * length : length)) return format.format(Math.trunc(ms / length), unit)
  return Math.abs(ms) < 45_000 ? format.format(0, 'second') : format.format(ms < 0 ? -1 : 1, 'minute')
}

const formatOf = (options: Intl.DateTimeFormatOptions) => {
  const made = new Map<string, Intl.DateTimeFormat>()
  return (time: string | number | Date, timeZone = zone): string => {
    const key = `${language.value} ${timeZone}`
    let format = made.get(key)
    if (format === undefined) {
      format = new Intl.DateTimeFormat(language.value, { ...options, timeZone })
      made.set(key, format)
    }
    return format.format(new Date(time))
  }
}

/** `21 Nov 2026, 18:44` */
export const moment = formatOf({
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  hourCycle: 'h23',
})
/** With seconds and the zone. */
export const exact = formatOf({
  weekday: 'short',
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
  timeZoneName: 'short',
})
export const day = formatOf({ weekday: 'short', day: 'numeric', month: 'short' })
export const date = formatOf({ dateStyle: 'medium' })
export const clock = formatOf({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
export const second = formatOf({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' })
export const month = formatOf({ month: 'long', year: 'numeric' })

/** 95_000 → `1 m 35 s` */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${seconds % 60} s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} m`
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`
}

/** `0:51`, `1:02:03`: for a list of stages. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const two = (n: number): string => String(n).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const rest = `${hours > 0 ? two(Math.floor(seconds / 60) % 60) : Math.floor(seconds / 60)}:${two(seconds % 60)}`
  return hours > 0 ? `${hours}:${rest}` : rest
}

/** How far the duration of something that began then has come. */
export const since = (from: string, until: string | undefined): number =>
  Math.max(0, (until === undefined ? now.value : new Date(until).getTime()) - new Date(from).getTime())
