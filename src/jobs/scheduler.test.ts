import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../../test/support/holdfast.ts'
import type { Clock } from '../base/clock.ts'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { Recurrence, Task } from '../model/service.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'

interface Bench {
  set(time: string | number): void
  clock: Clock
  catalogue: Catalogue
  scheduler(recurrences: Recurrence[]): Scheduler
  queued: Task[]
}

function bench(path = ':memory:'): Bench {
  let now = Date.UTC(2027, 0, 1)
  const clock: Clock = { now: () => new Date(now), monotonic: () => now, sleep: async () => {} }
  const catalogue = sqliteCatalogue(path, clock)
  const queued: Task[] = []
  return {
    clock,
    catalogue,
    queued,
    set: (time) => void (now = typeof time === 'string' ? Date.parse(time) : time),
    scheduler: (recurrences) =>
      createScheduler({
        clock,
        store: catalogue.service,
        recurrences: () => recurrences,
        onQueued: (task) => queued.push(task),
        onAbandoned: () => undefined,
      }),
  }
}

const hourly = (missed: 'once' | 'skip' = 'once', more: Partial<Recurrence> = {}): Recurrence => ({
  name: 'web/backup',
  job: 'web',
  kind: 'backup',
  schedule: { cron: '0 * * * *', timezone: 'UTC', missed },
  origin: 'config',
  ...more,
})

/** As a worker would: takes what waits, and ends it. */
function workAll({ catalogue }: Bench): void {
  const { service } = catalogue
  for (let claim = service.claim([], 60_000); claim !== undefined; claim = service.claim([], 60_000))
    service.finish(claim, 'done')
}

test('a due time is queued once, whoever ticks and however often', () => {
  const world = bench()
  const [one, other] = [world.scheduler([hourly()]), world.scheduler([hourly()])]
  one.tick()
  other.tick()
  world.set('2027-01-01T01:00:00.5Z')
  assert.equal(one.tick().length, 1)
  assert.equal(other.tick().length, 0)
  assert.equal(one.tick().length, 0)
  const [slot, ...rest] = world.catalogue.service.slots({})
  assert.deepEqual(rest, [])
  assert.equal(slot?.state, 'queued')
  assert.equal(slot.run, world.queued[0]?.run)
  assert.equal(world.queued[0]?.trigger, 'schedule')
})

test('what was due before a schedule was known, or changed, does not run', () => {
  const world = bench()
  world.set('2027-01-01T12:30:00Z')
  assert.deepEqual(world.scheduler([hourly()]).tick(), [])
  world.set('2027-01-01T12:40:00Z')
  const changed = hourly('once', { schedule: { cron: '35 * * * *', timezone: 'UTC', missed: 'once' } })
  assert.deepEqual(world.scheduler([changed]).tick(), [])
  assert.deepEqual(world.catalogue.service.slots({}), [])
})

test('after a stop each missed time is in the ledger, and is made up for by one run, or none', () => {
  for (const [missed, runs] of [
    ['once', 1],
    ['skip', 0],
  ] as const) {
    const world = bench()
    world.scheduler([hourly(missed)]).tick()
    world.set('2027-01-04T00:30:00Z')
    assert.equal(world.scheduler([hourly(missed)]).tick().length, runs)
    const slots = world.catalogue.service.slots({})
    assert.equal(slots.length, 72)
    assert.equal(slots.filter(({ state }) => state === 'missed').length, 72 - runs)
    if (runs === 1) assert.equal(world.queued[0]?.trigger, 'catch-up')
  }
})

test('a run that still waits or works lets no second one begin; the time is written down as skipped', () => {
  const world = bench()
  const scheduler = world.scheduler([hourly()])
  scheduler.tick()
  world.set('2027-01-01T01:00:00Z')
  scheduler.tick()
  const claim = world.catalogue.service.claim([], 60_000)
  assert.ok(claim)
  world.set('2027-01-01T02:00:00Z')
  assert.deepEqual(scheduler.tick(), [])
  const [slot] = world.catalogue.service.slots({})
  assert.equal(slot?.state, 'skipped')
  assert.match(slot.reason ?? '', /still waits or works/)
  world.catalogue.service.finish(claim, 'done')
  world.set('2027-01-01T03:00:00Z')
  assert.equal(scheduler.tick().length, 1)
})

test('a paused schedule runs nothing until its time, and says why', () => {
  const world = bench()
  const scheduler = world.scheduler([hourly()])
  scheduler.tick()
  world.catalogue.service.pause('web/backup', new Date('2027-01-01T02:30:00Z'), 'moving house')
  for (const hour of ['01', '02', '03']) {
    world.set(`2027-01-01T${hour}:00:01Z`)
    scheduler.tick()
  }
  assert.deepEqual(
    world.catalogue.service.slots({}).map(({ state, reason }) => [state, reason]),
    [
      ['queued', undefined],
      ['paused', 'moving house'],
      ['paused', 'moving house'],
    ],
  )
})

test('a clock that was days ahead for a while stops no schedule, and no time runs twice', () => {
  const world = bench()
  const scheduler = world.scheduler([hourly('skip')])
  scheduler.tick()
  world.set('2027-01-04T00:30:00Z')
  scheduler.tick()
  world.set('2027-01-01T05:30:00Z')
  const later = world.scheduler([hourly('skip')])
  later.tick()
  world.set('2027-01-01T06:00:00Z')
  assert.equal(later.tick().length, 0, 'that time has its slot, as missed')
  world.set('2027-01-04T01:00:00Z')
  assert.equal(later.tick().length, 1)
  const slot = world.catalogue.service.slots({}).find(({ due }) => due.toISOString() === '2027-01-01T06:00:00.000Z')
  assert.equal(slot?.state, 'missed')
})

test('what a dead worker left is queued again with a new run, at most three times', () => {
  const world = bench()
  const gone: boolean[] = []
  const { service } = world.catalogue
  const scheduler = createScheduler({
    clock: world.clock,
    store: { ...service, abandoned: () => claims.splice(0) },
    recurrences: () => [hourly()],
    onQueued: (task) => world.queued.push(task),
    onAbandoned: (_task, again) => gone.push(again),
  })
  const claims: NonNullable<ReturnType<typeof service.claim>>[] = []
  scheduler.tick()
  let now = Date.parse('2027-01-01T01:00:00Z')
  world.set(now)
  scheduler.tick()
  for (let n = 0; n < 3; n += 1) {
    now += 60_000
    world.set(now)
    const claim = service.claim([], 60_000)
    assert.ok(claim, `attempt ${n + 1}`)
    assert.equal(claim.task.attempt, n + 1)
    claims.push(claim)
    scheduler.tick()
  }
  assert.deepEqual(gone, [true, true, false])
  assert.equal(new Set(world.queued.map(({ run }) => run)).size, 3)
  assert.equal(service.slots({})[0]?.state, 'interrupted')
  assert.deepEqual(service.tasks(), [])
})

test('labels decide who may run what, and one job is never worked on twice at once', () => {
  const world = bench()
  const jobs = ['a', 'b'].map((job) =>
    hourly('once', { name: `${job}/backup`, job, labels: job === 'a' ? ['gpu'] : [] }),
  )
  const verify = hourly('once', { name: 'b/verify', job: 'b', kind: 'verify' })
  const scheduler = world.scheduler([...jobs, verify])
  scheduler.tick()
  world.set('2027-01-01T01:00:00Z')
  assert.equal(scheduler.tick().length, 3)
  const { service } = world.catalogue
  const plain = service.claim([], 60_000)
  assert.equal(plain?.task.job, 'b')
  assert.equal(service.claim([], 60_000), undefined, 'the other task of b waits, a needs a label')
  assert.equal(service.claim(['gpu'], 60_000)?.task.job, 'a')
})

test('of very many that are due each tick takes a part, and says so, until all are queued once', () => {
  const world = bench()
  const many = Array.from({ length: 4500 }, (_, n) => hourly('once', { name: `${n}/backup`, job: `${n}` }))
  const scheduler = world.scheduler(many)
  const ticks = (): number[] => {
    const counts = [scheduler.tick().length]
    while (scheduler.behind) counts.push(scheduler.tick().length)
    return counts
  }
  assert.equal(ticks().length, 5)
  world.set('2027-01-01T01:00:00.2Z')
  assert.deepEqual(ticks(), [1000, 1000, 1000, 1000, 500])
  assert.equal(new Set(world.queued.map(({ job }) => job)).size, 4500)
})

/** The same numbers in every run. */
const chance = (seed: string): number => createHash('sha256').update(seed).digest().readUInt32LE() / 2 ** 32

test('a year with daylight-saving changes in five zones and random stops gives exactly the ledger that is expected', (t) => {
  const world = bench(join(scratch(t), 'catalogue.db'))
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'America/Havana', 'Asia/Kolkata']
  const jobs = zones.map((timezone) =>
    hourly('once', {
      name: `${timezone}/backup`,
      job: timezone,
      schedule: { cron: '15 0,6,12,18 * * *', timezone, missed: 'once' },
    }),
  )
  const [from, until] = [Date.parse('2027-01-01T00:00:00Z'), Date.parse('2028-01-01T00:00:00Z')]
  world.set(from)
  let scheduler = world.scheduler(jobs)
  scheduler.tick()
  const looks: number[] = []
  for (let now = from; now < until;) {
    const stopped = chance(`stop ${now}`) < 0.01
    now += stopped ? Math.floor(chance(`for ${now}`) * 5 * 86_400_000) : 60 * 60_000
    world.set(Math.min(now, until))
    if (stopped) scheduler = world.scheduler(jobs)
    scheduler.tick()
    workAll(world)
    looks.push(Math.min(now, until))
  }
  for (const timezone of zones) {
    const wanted = expectedTimes(timezone, from, until)
    const slots = world.catalogue.service.slots({ job: timezone, limit: 10_000 }).toReversed()
    assert.deepEqual(
      slots.map(({ due }) => due.toISOString()),
      wanted.map((time) => new Date(time).toISOString()),
      timezone,
    )
    // Between two looks the last time runs, the others are missed.
    let at = 0
    for (const look of looks) {
      const seen = slots.slice(at).filter(({ due }) => due.getTime() <= look)
      at += seen.length
      seen.forEach((slot, n) => assert.equal(slot.state, n === seen.length - 1 ? 'done' : 'missed'))
    }
  }
})

/**
 * By walking through the year in steps of a quarter of an hour, as the zone's own calendar shows them: each wanted time
 * of the day once, or where the calendar leaves it out, at the step that passes over it.
 */
function expectedTimes(timezone: string, from: number, until: number): number[] {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'short' })
  const asIfUtc = (time: number): number => Date.parse(`${format.format(time).replace(' ', 'T')}Z`)
  const found: number[] = []
  let reached = asIfUtc(from)
  for (let time = from + 900_000; time <= until; time += 900_000) {
    const local = asIfUtc(time)
    for (let step = reached + 900_000; step <= local; step += 900_000)
      if ((step - 900_000) % 21_600_000 === 0) found.push(time)
    reached = Math.max(reached, local)
  }
  return found
}
