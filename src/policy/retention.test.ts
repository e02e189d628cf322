import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Retention, RetentionItem } from '../model/retention.ts'
import { periodsOf } from './calendar.ts'
import { planRetention } from './retention.ts'

const NOW = new Date('2024-03-31T12:00:00Z')
const context = { now: NOW, timezone: 'Europe/Berlin' }

const item = (id: string, time: string | Date, more: Partial<RetentionItem> = {}): RetentionItem => ({
  id,
  time: new Date(time),
  tags: [],
  needs: [],
  ...more,
})

/** One at 03:00 UTC on each of `count` days, the last on the day of NOW; ids are dates. */
const daily = (count: number): RetentionItem[] =>
  Array.from({ length: count }, (_, at) => {
    const time = new Date(Date.UTC(2024, 2, 31 - (count - 1 - at), 3))
    return item(time.toISOString().slice(0, 10), time)
  })

const kept = (items: RetentionItem[], retention: Retention, over = context): string[] =>
  planRetention(items, retention, over)
    .filter(({ keep }) => keep)
    .map(({ id }) => id)

const reasonsOf = (items: RetentionItem[], retention: Retention, id: string): string[] =>
  planRetention(items, retention, context).find((decision) => decision.id === id)?.reasons ?? []

test('with no rule everything is kept, also with a minimum alone', () => {
  for (const retention of [{}, { minimum: 2 }, { last: 0, tags: [] }]) assert.equal(kept(daily(9), retention).length, 9)
})

test('last keeps the newest N', () => {
  assert.deepEqual(kept(daily(9), { last: 2 }), ['2024-03-30', '2024-03-31'])
  assert.deepEqual(reasonsOf(daily(9), { last: 2 }, '2024-03-30'), ['last 2'])
  assert.deepEqual(reasonsOf(daily(9), { last: 2 }, '2024-03-29'), ['not needed by any rule'])
})

test('the newest of each of the last N days that have one is kept, however old they are', () => {
  const items = [
    item('a', '2023-01-01T10:00:00Z'),
    item('b', '2023-01-01T11:00:00Z'),
    item('c', '2023-05-05T10:00:00Z'),
    item('d', '2023-09-09T10:00:00Z'),
    item('e', '2023-09-09T11:00:00Z'),
  ]
  assert.deepEqual(kept(items, { daily: 2 }), ['c', 'e'])
  assert.deepEqual(reasonsOf(items, { daily: 2 }, 'c'), ['daily 2023-05-05'])
})

test('while periods are left, the oldest is kept too, as restic does', () => {
  const items = [
    item('a', '2024-03-30T08:00:00Z'),
    item('b', '2024-03-30T09:00:00Z'),
    item('c', '2024-03-30T10:00:00Z'),
  ]
  assert.deepEqual(kept(items, { daily: 3 }), ['a', 'c'])
  assert.deepEqual(reasonsOf(items, { daily: 3 }, 'a'), ['oldest, daily 2024-03-30'])
  assert.deepEqual(kept(items, { daily: 1 }), ['c'])
})

test('a year of nightly backups thins out to days, weeks, months and years', () => {
  const items = daily(400)
  const plan = kept(items, { daily: 7, weekly: 4, monthly: 12, yearly: 3 })
  assert.deepEqual(plan, [
    '2023-02-26',
    '2023-04-30',
    '2023-05-31',
    '2023-06-30',
    '2023-07-31',
    '2023-08-31',
    '2023-09-30',
    '2023-10-31',
    '2023-11-30',
    '2023-12-31',
    '2024-01-31',
    '2024-02-29',
    '2024-03-10',
    '2024-03-17',
    '2024-03-24',
    '2024-03-25',
    '2024-03-26',
    '2024-03-27',
    '2024-03-28',
    '2024-03-29',
    '2024-03-30',
    '2024-03-31',
  ])
})

test('hourly keeps both of the hours that summer time makes of one, and loses none where it skips one', () => {
  const autumn = [
    item('a', '2024-10-27T00:10:00Z'),
    item('b', '2024-10-27T01:10:00Z'),
    item('c', '2024-10-27T02:10:00Z'),
  ]
  assert.deepEqual(kept([item('0', '2024-10-26T00:00:00Z'), ...autumn], { hourly: 3 }), ['a', 'b', 'c'])
  const spring = [
    item('a', '2024-03-31T00:10:00Z'),
    item('b', '2024-03-31T01:10:00Z'),
    item('c', '2024-03-31T01:50:00Z'),
  ]
  assert.deepEqual(kept([item('0', '2024-03-30T00:00:00Z'), ...spring], { hourly: 2 }), ['a', 'c'])
})

test('the zone decides which day a backup belongs to', () => {
  const items = [
    item('a', '2024-03-14T22:30:00Z'),
    item('b', '2024-03-14T23:30:00Z'),
    item('c', '2024-03-15T12:00:00Z'),
  ]
  assert.deepEqual(kept(items, { daily: 2 }, { now: NOW, timezone: 'UTC' }), ['b', 'c'])
  assert.deepEqual(kept(items, { daily: 2 }), ['a', 'c'])
})

test('days counts back from now, within counts back from the newest', () => {
  const items = daily(30).slice(0, 20)
  assert.deepEqual(kept(items, { days: 13 }), ['2024-03-19', '2024-03-20', '2024-03-21'])
  assert.deepEqual(kept(items, { within: '2d' }), ['2024-03-20', '2024-03-21'])
})

test('a clock that once ran ahead does not make all else too old', () => {
  const items = [...daily(3), item('future', '2099-01-01T00:00:00Z')]
  assert.deepEqual(kept(items, { within: '2d' }), ['2024-03-30', '2024-03-31', 'future'])
})

test('any of the tags keeps, and holds keep whatever the rules say', () => {
  const items = daily(6)
  Object.assign(items[1] ?? {}, { tags: ['release', 'x'] })
  Object.assign(items[3] ?? {}, { hold: true })
  assert.deepEqual(kept(items, { tags: ['release', 'audit'] }), ['2024-03-27', '2024-03-29', '2024-03-31'])
  assert.deepEqual(reasonsOf(items, { last: 1 }, '2024-03-29'), ['hold'])
  assert.deepEqual(reasonsOf(items, { tags: ['release'] }, '2024-03-27'), ['tag release'])
})

test('what a kept one needs is kept, through any number of steps', () => {
  const items = [
    item('full', '2024-03-01T00:00:00Z'),
    item('incr-1', '2024-03-02T00:00:00Z', { needs: ['full'] }),
    item('other', '2024-03-03T00:00:00Z'),
    item('incr-2', '2024-03-04T00:00:00Z', { needs: ['incr-1'] }),
  ]
  assert.deepEqual(kept(items, { last: 1 }), ['full', 'incr-1', 'incr-2'])
  assert.deepEqual(reasonsOf(items, { last: 1 }, 'full'), ['needed by incr-2'])
})

test('a broken backup uses up no rule, and goes when a restorable one is newer', () => {
  const items = daily(5)
  Object.assign(items[3] ?? {}, { broken: 'part 2 is missing' })
  assert.deepEqual(kept(items, { last: 2 }), ['2024-03-29', '2024-03-31'])
  assert.deepEqual(reasonsOf(items, { last: 2 }, '2024-03-30'), ['broken: part 2 is missing'])
})

test('what needs a broken one is broken too', () => {
  const items = [
    item('good', '2024-03-01T00:00:00Z'),
    item('full', '2024-03-02T00:00:00Z', { broken: 'gone' }),
    item('incr', '2024-03-03T00:00:00Z', { needs: ['full'] }),
  ]
  assert.deepEqual(reasonsOf(items, { last: 1 }, 'good'), ['newest restorable', 'last 1'])
  assert.deepEqual(reasonsOf(items, { last: 1 }, 'incr'), ['newer than the newest restorable'])
})

test('nothing is dropped while no backup is restorable', () => {
  const items = daily(3).map((each) => ({ ...each, broken: 'unreadable' }))
  assert.equal(kept(items, { last: 1 }).length, 3)
})

test('the newest restorable one and the minimum stay, however old', () => {
  const items = daily(30).slice(0, 5)
  assert.deepEqual(kept(items, { days: 1 }), ['2024-03-06'])
  assert.deepEqual(reasonsOf(items, { days: 1 }, '2024-03-06'), ['newest restorable'])
  assert.deepEqual(kept(items, { days: 1, minimum: 3 }), ['2024-03-04', '2024-03-05', '2024-03-06'])
  assert.deepEqual(reasonsOf(items, { days: 1, minimum: 3 }, '2024-03-04'), ['minimum 3'])
})

test('-1 means all', () => {
  assert.equal(kept(daily(50), { daily: -1 }).length, 50)
})

test('decisions come in the order of the items, each with a reason', () => {
  const items = daily(20).toReversed()
  const plan = planRetention(items, { weekly: 2, monthly: 2 }, context)
  assert.deepEqual(
    plan.map(({ id }) => id),
    items.map(({ id }) => id),
  )
  for (const { reasons } of plan) assert.ok(reasons.length > 0)
})

test('ten thousand backups are planned in no time', () => {
  const items = Array.from({ length: 10_000 }, (_, at) =>
    item(`b${at}`, new Date(Date.UTC(2020, 0, 1) + at * 5 * 3_600_000), { needs: at === 0 ? [] : [`b${at - 1}`] }),
  )
  const started = performance.now()
  planRetention(items, { hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 5, within: '1m' }, context)
  assert.ok(performance.now() - started < 3000)
})

// Random sets: a small generator with a seed, so that a failure can be run again.
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function randomItems(next: () => number, healthy: boolean): RetentionItem[] {
  const count = 1 + Math.floor(next() * 60)
  return Array.from({ length: count }, (_, at) =>
    item(`b${at}`, new Date(NOW.getTime() - Math.floor(next() ** 3 * 3 * 365 * 86_400_000)), {
      needs: !healthy && at > 0 && next() < 0.3 ? [`b${Math.floor(next() * at)}`] : [],
      broken: !healthy && next() < 0.15 ? 'damaged' : undefined,
      hold: !healthy && next() < 0.05,
      tags: next() < 0.1 ? ['t'] : [],
    }),
  )
}

function randomRules(next: () => number): Retention {
  const count = (): number | undefined => (next() < 0.5 ? Math.floor(next() * 6) : undefined)
  return { last: count(), hourly: count(), daily: count(), weekly: count(), monthly: count(), yearly: count() }
}

test('of any set: the newest restorable and the minimum stay, and needs are closed', () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    const next = random(seed)
    const items = randomItems(next, false)
    const minimum = Math.floor(next() * 4)
    const plan = planRetention(items, { ...randomRules(next), days: 20, minimum }, context)
    const byId = new Map(items.map((each) => [each.id, each]))
    const keeps = new Set(plan.filter(({ keep }) => keep).map(({ id }) => id))
    for (const id of keeps) for (const need of byId.get(id)?.needs ?? []) assert.ok(keeps.has(need), `seed ${seed}`)
    for (const each of items) if (each.hold === true) assert.ok(keeps.has(each.id), `seed ${seed}`)
    const whole = items.filter(({ id }) => isWhole(id, byId)).sort((a, b) => b.time.getTime() - a.time.getTime())
    const keptWhole = whole.filter(({ id }) => keeps.has(id))
    assert.ok(keptWhole.length >= Math.min(minimum, whole.length), `seed ${seed}`)
    assert.equal(keptWhole[0]?.time.getTime(), whole[0]?.time.getTime(), `seed ${seed}`)
  }
})

const isWhole = (id: string, byId: Map<string, RetentionItem>): boolean =>
  byId.get(id)?.broken === undefined && (byId.get(id)?.needs ?? []).every((need) => isWhole(need, byId))

test('of any set: a larger count never drops what a smaller one keeps, and a second run drops nothing', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const next = random(seed)
    const items = randomItems(next, false)
    const rules = { ...randomRules(next), last: 1 + Math.floor(next() * 3) }
    const keeps = kept(items, rules)
    const more = new Set(kept(items, { ...rules, last: rules.last + 1 }))
    assert.ok(
      keeps.every((id) => more.has(id)),
      `seed ${seed}`,
    )
    const left = items.filter(({ id }) => keeps.includes(id))
    assert.deepEqual(kept(left, rules), keeps, `seed ${seed}`)
  }
})

/** What `restic forget` keeps: its loop over snapshots, newest first, with a countdown for each kind of period. */
function resticKeeps(items: RetentionItem[], rules: Retention, timezone: string): string[] {
  const list = [...items].sort((a, b) => b.time.getTime() - a.time.getTime() || (a.id < b.id ? 1 : -1))
  const buckets = [
    { count: rules.last ?? 0, of: (_: Date, nr: number) => String(nr), last: '' },
    { count: rules.hourly ?? 0, of: (time: Date) => periodsOf(time, timezone).hour, last: '' },
    { count: rules.daily ?? 0, of: (time: Date) => periodsOf(time, timezone).day, last: '' },
    { count: rules.weekly ?? 0, of: (time: Date) => periodsOf(time, timezone).week, last: '' },
    { count: rules.monthly ?? 0, of: (time: Date) => periodsOf(time, timezone).month, last: '' },
    { count: rules.yearly ?? 0, of: (time: Date) => periodsOf(time, timezone).year, last: '' },
  ]
  return list
    .filter(({ time, tags }, nr) => {
      let keep = tags.some((tag) => rules.tags?.includes(tag) === true)
      for (const bucket of buckets) {
        const value = bucket.of(time, nr)
        if (bucket.count === 0 || (value === bucket.last && nr !== list.length - 1)) continue
        keep = true
        bucket.last = value
        bucket.count -= 1
      }
      return keep
    })
    .map(({ id }) => id)
}

test('of any set of whole backups: exactly those stay that restic forget would keep', () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const next = random(seed * 7)
    const items = randomItems(next, true)
    const rules = { ...randomRules(next), last: 1 + Math.floor(next() * 3), tags: ['t'] }
    const timezone = next() < 0.5 ? 'UTC' : 'America/New_York'
    assert.deepEqual(
      kept(items, rules, { now: NOW, timezone }).toSorted(),
      resticKeeps(items, rules, timezone).toSorted(),
      `seed ${seed}`,
    )
  }
})
