import type { Clock } from '../base/clock.ts'
import { localText, systemTimezone } from '../base/zone.ts'
import { WEEKDAYS, type Bandwidth, type BandwidthRates, type BandwidthTime } from '../model/bandwidth.ts'

const MINUTE_MS = 60_000
const DAY_MINUTES = 24 * 60

/** The lowest rate of the plans at a moment, in bytes a second; undefined: none limits. */
export function rateAt(plans: readonly Bandwidth[], direction: keyof BandwidthRates, now: Date): number | undefined {
  const rates = plans.map((plan) => {
    if (typeof plan === 'number') return plan
    const zone = plan.timezone ?? systemTimezone()
    const special = plan.times?.find((time) => holds(time, zone, now))
    return (special ?? plan)[direction]
  })
  const limits = rates.filter((rate) => rate !== undefined)
  return limits.length === 0 ? undefined : Math.min(...limits) * 1024
}

/** The same as it changes: looked up once a minute. Undefined if it never limits. */
export function rateOf(
  plans: readonly Bandwidth[],
  direction: keyof BandwidthRates,
  clock: Clock,
): (() => number | undefined) | undefined {
  const ever = plans.some(
    (plan) => typeof plan === 'number' || [plan, ...(plan.times ?? [])].some((rates) => rates[direction] !== undefined),
  )
  if (!ever) return undefined
  let until = -Infinity
  let rate: number | undefined
  return () => {
    const now = clock.now()
    if (now.getTime() >= until || now.getTime() < until - MINUTE_MS) {
      rate = rateAt(plans, direction, now)
      until = (Math.floor(now.getTime() / MINUTE_MS) + 1) * MINUTE_MS
    }
    return rate
  }
}

function holds({ between, days }: BandwidthTime, zone: string, now: Date): boolean {
  const [date = '', time = ''] = localText(zone, now).split(' ')
  const minute = minuteOf(time)
  const [from = 0, to = 0] = between.split('-').map(minuteOf)
  const today = new Date(`${date}T00:00:00Z`).getUTCDay()
  const on = (day: number): boolean => days === undefined || days.includes(WEEKDAYS[(day + 7) % 7] ?? 'sun')
  if (from < to) return minute >= from && minute < to && on(today)
  return (minute >= from && on(today)) || (minute < to && on(today - 1))
}

function minuteOf(text: string): number {
  const [hours = 0, minutes = 0] = text.trim().split(':').map(Number)
  return (hours * 60 + minutes) % DAY_MINUTES
}
