/** What a vault costs a month, by the prices that its owner gives: an estimate, for what is stored and asked for. */
import type { Prices } from '../model/settings.ts'
import type { Requests } from '../model/storage.ts'
import type { Usage } from '../model/usage.ts'
import { growthPerDay } from './forecast.ts'

const DAY_MS = 86_400_000
const MONTH_DAYS = 30
/** Services count in decimal. */
const GB = 1e9

export interface Cost {
  currency: string
  /** A month of what is stored now. */
  stored: number
  /** A month of requests, as many as of late. */
  requests: number
  perMonth: number
  /** Until the budget of a month is used up, if it grows on like this; 0 when it is. */
  daysToBudget?: number
}

/** The requests of one run. */
export interface Asked {
  at: Date
  job: string
  requests: Requests
}

const NONE: Requests = { write: 0, read: 0, list: 0, remove: 0 }

export const sumOf = (asked: readonly Asked[]): Requests =>
  asked.reduce(
    (sum, { requests }) => ({
      write: sum.write + requests.write,
      read: sum.read + requests.read,
      list: sum.list + requests.list,
      remove: sum.remove + requests.remove,
    }),
    NONE,
  )

/** Of the last thirty days, or of the time since the first run, a day at least, as if a month had been like it. */
function requestsPerMonth(prices: Prices, asked: readonly Asked[], now: Date): number {
  const recent = asked.filter(({ at }) => now.getTime() - at.getTime() <= MONTH_DAYS * DAY_MS)
  const first = Math.min(...recent.map(({ at }) => at.getTime()))
  if (recent.length === 0) return 0
  const days = Math.min(MONTH_DAYS, Math.max(1, (now.getTime() - first) / DAY_MS))
  const { write, read, list } = sumOf(recent)
  const paid = write * (prices.writes ?? 0) + list * (prices.lists ?? prices.writes ?? 0) + read * (prices.reads ?? 0)
  return (paid / 1000) * (MONTH_DAYS / days)
}

export function costOf(prices: Prices, bytes: number, asked: readonly Asked[], now: Date): Cost {
  const stored = (bytes / GB) * (prices.storage ?? 0)
  const requests = requestsPerMonth(prices, asked, now)
  return { currency: prices.currency ?? 'USD', stored, requests, perMonth: stored + requests }
}

/** With the budget, by how the vault grew. */
export function vaultCost(
  prices: Prices,
  usage: readonly Usage[],
  asked: readonly Asked[],
  now: Date,
): Cost | undefined {
  const last = usage.at(-1)
  if (last === undefined) return undefined
  const cost = costOf(prices, last.bytes, asked, now)
  if (prices.budget === undefined) return cost
  const left = prices.budget - cost.perMonth
  if (left <= 0) return { ...cost, daysToBudget: 0 }
  const grows = ((growthPerDay(usage) ?? 0) / GB) * (prices.storage ?? 0)
  return grows > 0 ? { ...cost, daysToBudget: left / grows } : cost
}
