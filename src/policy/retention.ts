import type { Retention, RetentionDecision, RetentionItem } from '../model/retention.ts'
import { before, type Periods, periodsOf } from './calendar.ts'

export interface RetentionContext {
  now: Date
  /** IANA name of the zone whose calendar counts, such as `Europe/Berlin`. */
  timezone: string
}

const DAY_MS = 86_400_000

/**
 * Says of each backup whether to keep it, and why; in the order given. Rules mean what they mean to `restic forget`:
 * the newest backup of each of the last N periods that have one is kept, and the oldest of all while periods are left.
 *
 * - Only restorable backups count for a rule. A broken one goes once a restorable one is newer.
 * - What a kept one needs is kept.
 * - The newest restorable one is kept, and at least `minimum` of them.
 * - With no rule, everything is kept.
 */
export function planRetention(
  items: readonly RetentionItem[],
  retention: Retention,
  { now, timezone }: RetentionContext,
): RetentionDecision[] {
  const reasons = new Map<string, string[]>(items.map(({ id }) => [id, []]))
  const keep = (item: RetentionItem, reason: string): void => void reasons.get(item.id)?.push(reason)
  const newestFirst = [...items].sort((a, b) => b.time.getTime() - a.time.getTime() || (a.id < b.id ? 1 : -1))
  const broken = brokenOnes(items)
  const restorable = newestFirst.filter(({ id }) => !broken.has(id))

  for (const item of items) if (item.hold === true) keep(item, 'hold')
  const newest = restorable[0]
  if (newest !== undefined) keep(newest, 'newest restorable')
  if (!hasRule(retention)) {
    for (const item of items) keep(item, 'no retention rule')
  } else {
    keepByPeriod(restorable, retention, timezone, keep)
    keepByAge(restorable, retention, now, keep)
    keepByTag(restorable, retention, keep)
    keepBroken(newestFirst, newest, keep)
    keepMinimum(restorable, retention, reasons, keep)
  }
  keepNeeded(items, reasons)
  return items.map(({ id }) => {
    const found = reasons.get(id) ?? []
    return found.length > 0
      ? { id, keep: true, reasons: found }
      : { id, keep: false, reasons: [broken.get(id) ?? 'not needed by any rule'] }
  })
}

type Keep = (item: RetentionItem, reason: string) => void

/** Whether anything in it lets go of a backup; `minimum` alone does not. */
export function hasRule(retention: Retention): boolean {
  const { last, hourly, daily, weekly, monthly, yearly, days, within, tags } = retention
  return (
    [last, hourly, daily, weekly, monthly, yearly, days].some((count) => (count ?? 0) !== 0) ||
    (within ?? '') !== '' ||
    (tags ?? []).length > 0
  )
}

/** Id → why it cannot be restored, for all that are broken or need one that is. */
function brokenOnes(items: readonly RetentionItem[]): Map<string, string> {
  const known = new Map(items.map((item) => [item.id, item]))
  const found = new Map<string, string>()
  for (const { id, broken } of items) if (broken !== undefined) found.set(id, `broken: ${broken}`)
  if (found.size === 0) return found
  const own = new Set(found.keys())
  for (const item of items) {
    if (own.has(item.id)) continue
    const culprit = [...needsOf(item, known)].find((id) => own.has(id))
    if (culprit !== undefined) found.set(item.id, `broken: needs ${culprit}, which is broken`)
  }
  return found
}

/** Every backup that one needs, directly or not. */
function needsOf(item: RetentionItem, known: ReadonlyMap<string, RetentionItem>): Set<string> {
  const found = new Set<string>()
  const open = [...item.needs]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (found.has(id)) continue
    found.add(id)
    open.push(...(known.get(id)?.needs ?? []))
  }
  return found
}

const PERIODS: readonly ['hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly', keyof Periods][] = [
  ['hourly', 'hour'],
  ['daily', 'day'],
  ['weekly', 'week'],
  ['monthly', 'month'],
  ['yearly', 'year'],
]

/** A count of -1 means all, as with restic. */
function keepByPeriod(restorable: readonly RetentionItem[], retention: Retention, timezone: string, keep: Keep): void {
  const last = retention.last ?? 0
  for (const [at, item] of restorable.entries()) if (last === -1 || at < last) keep(item, `last ${at + 1}`)
  const rules = PERIODS.filter(([rule]) => (retention[rule] ?? 0) !== 0)
  if (rules.length === 0) return
  const periods = restorable.map((item) => periodsOf(item.time, timezone))
  for (const [rule, period] of rules) {
    let left = retention[rule] ?? 0
    let previous: string | undefined
    for (const [at, item] of restorable.entries()) {
      if (left === 0) break
      const name = periods[at]?.[period]
      const oldest = at === restorable.length - 1
      if (name === previous && !oldest) continue
      keep(item, name === previous ? `oldest, ${rule} ${name}` : `${rule} ${name}`)
      previous = name
      if (left > 0) left -= 1
    }
  }
}

function keepByAge(restorable: readonly RetentionItem[], { days, within }: Retention, now: Date, keep: Keep): void {
  if ((days ?? 0) > 0) {
    const since = now.getTime() - (days ?? 0) * DAY_MS
    for (const item of restorable) if (item.time.getTime() >= since) keep(item, `last ${days} days`)
  }
  const newest = restorable[0]
  if (within === undefined || within === '' || newest === undefined) return
  // A clock that was wrong once must not make all else old.
  const since = before(newest.time < now ? newest.time : now, within)
  for (const item of restorable) if (item.time > since) keep(item, `within ${within}`)
}

function keepByTag(restorable: readonly RetentionItem[], { tags = [] }: Retention, keep: Keep): void {
  if (tags.length === 0) return
  for (const item of restorable) {
    const tag = tags.find((wanted) => item.tags.includes(wanted))
    if (tag !== undefined) keep(item, `tag ${tag}`)
  }
}

/** What is damaged may still hold what nothing newer has: it goes once a newer one is whole. */
function keepBroken(newestFirst: readonly RetentionItem[], newest: RetentionItem | undefined, keep: Keep): void {
  for (const item of newestFirst) {
    if (item === newest) return
    keep(item, newest === undefined ? 'no backup is restorable' : `newer than the newest restorable`)
  }
}

function keepMinimum(
  restorable: readonly RetentionItem[],
  { minimum = 0 }: Retention,
  reasons: ReadonlyMap<string, string[]>,
  keep: Keep,
): void {
  const isKept = (item: RetentionItem): boolean => (reasons.get(item.id) ?? []).length > 0
  let missing = minimum - restorable.filter(isKept).length
  for (const item of restorable) {
    if (missing <= 0) return
    if (isKept(item)) continue
    keep(item, `minimum ${minimum}`)
    missing -= 1
  }
}

/** A kept backup keeps what it needs, and says so there: `needed by ID`, the first such one. */
function keepNeeded(items: readonly RetentionItem[], reasons: Map<string, string[]>): void {
  const known = new Map(items.map((item) => [item.id, item]))
  const kept = items.filter(({ id }) => (reasons.get(id) ?? []).length > 0)
  const told = new Set<string>()
  for (const item of kept) {
    const open = [...item.needs]
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (told.has(id) || id === item.id) continue
      told.add(id)
      reasons.get(id)?.push(`needed by ${item.id}`)
      open.push(...(known.get(id)?.needs ?? []))
    }
  }
}
