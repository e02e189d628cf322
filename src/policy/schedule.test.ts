import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { dueTimes, fatesOf, jitterMs, nextTimes, timesOf } from './schedule.ts'

const at = (text: string): Date => new Date(text)
const texts = (dates: Date[]): string[] => dates.map((date) => date.toISOString().slice(0, 16))

test('a schedule is read in its zone, with names, nicknames, seconds, last days and n-th weekdays', () => {
  const next = (cron: string, timezone = 'UTC'): string[] =>
    texts(nextTimes(timesOf({ cron, timezone }), at('2027-01-01T00:00:00Z'), 2))
  assert.deepEqual(next('0 3 * * *', 'Asia/Kolkata'), ['2027-01-01T21:30', '2027-01-02T21:30'])
  assert.deepEqual(next('@daily', 'America/New_York'), ['2027-01-01T05:00', '2027-01-02T05:00'])
  assert.deepEqual(next('0 0 1 JAN,JUL *'), ['2027-07-01T00:00', '2028-01-01T00:00'])
  assert.deepEqual(next('0 0 L * *'), ['2027-01-31T00:00', '2027-02-28T00:00'])
  assert.deepEqual(next('0 0 * * FRI#2'), ['2027-01-08T00:00', '2027-02-12T00:00'])
  assert.deepEqual(next('30 0 0 * * *'), ['2027-01-01T00:00', '2027-01-02T00:00'])
})

test('each day of a daylight-saving change has its one run, and what repeats within the hour goes on by real time', () => {
  const daily = timesOf({ cron: '30 2 * * *', timezone: 'Europe/Berlin' })
  assert.deepEqual(texts(nextTimes(daily, at('2027-03-27T12:00:00Z'), 2)), ['2027-03-28T01:00', '2027-03-29T00:30'])
  assert.deepEqual(texts(nextTimes(daily, at('2026-10-24T12:00:00Z'), 2)), ['2026-10-25T00:30', '2026-10-26T01:30'])
  const half = timesOf({ cron: '*/30 * * * *', timezone: 'Europe/Berlin' })
  assert.deepEqual(texts(nextTimes(half, at('2026-10-25T00:15:00Z'), 3)), [
    '2026-10-25T00:30',
    '2026-10-25T01:00',
    '2026-10-25T01:30',
  ])
})

test('a schedule that is wrong is refused with the place and an example', () => {
  const refused = (cron: string, timezone?: string): string => {
    try {
      timesOf({ cron, ...(timezone && { timezone }) })
    } catch (error) {
      assert.ok(isAppError(error, 'config.invalid'))
      return `${error.message} ${error.hint}`
    }
    return 'accepted'
  }
  assert.match(refused('0 25 * * *'), /character 3: 25 is no hour .*0 3 \* \* \*/)
  assert.match(refused('* * * * MOON'), /character 9: MOON is no day of the week/)
  assert.match(refused('99 * * * * *'), /character 1: 99 is no second/)
  assert.match(refused('0 3 * *'), /4 fields instead of five or six/)
  assert.match(refused('@never'), /no nickname/)
  assert.match(refused('0 0 30 2 *'), /never happens/)
  assert.match(refused('0 0 * * *', 'Mars/Base'), /Mars\/Base is not a time zone/)
})

test('after a stop the missed times are made up for once, or skipped, as the job says', () => {
  const times = timesOf({ cron: '0 * * * *', timezone: 'UTC' })
  const now = at('2027-01-01T05:30:00Z')
  const due = dueTimes(times, at('2027-01-01T01:30:00Z'), now, 100)
  assert.equal(due.length, 4)
  const fates = (missed: 'once' | 'skip', when = now): string[] =>
    fatesOf(due, when, missed, 90_000).map(({ fate, late }) => `${fate}${late ? ' late' : ''}`)
  assert.deepEqual(fates('once'), ['missed late', 'missed late', 'missed late', 'queued late'])
  assert.deepEqual(fates('skip'), ['missed late', 'missed late', 'missed late', 'missed late'])
  assert.deepEqual(fates('skip', at('2027-01-01T05:00:30Z')).at(-1), 'queued')
})

test('jitter is the same for all who ask, below its bound, and differs from job to job', () => {
  const due = at('2027-01-01T05:00:00Z')
  const of = (name: string): number => jitterMs(name, due, { jitter: '5m' })
  assert.equal(of('web'), of('web'))
  const all = Array.from({ length: 200 }, (_, n) => of(`job ${n}`))
  assert.ok(all.every((each) => each >= 0 && each < 300_000))
  assert.ok(new Set(all).size > 190)
  assert.equal(jitterMs('web', due, {}), 0)
})

/** Computed apart: each minute of a year, as the zone's own calendar shows it. */
function localMinutes(timezone: string, from: Date, until: Date): Map<string, number[]> {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  })
  const found = new Map<string, number[]>()
  for (let time = from.getTime(); time < until.getTime(); time += 30 * 60_000) {
    const label = format.format(time)
    found.set(label, [...(found.get(label) ?? []), time])
  }
  return found
}

test('over a year in five zones a daily time comes once each day, at its first hour where the day has it', () => {
  const [from, until] = [at('2026-06-01T00:00:00Z'), at('2027-06-01T00:00:00Z')]
  for (const timezone of [
    'Europe/Berlin',
    'America/New_York',
    'Australia/Lord_Howe',
    'America/Havana',
    'Africa/Casablanca',
  ]) {
    const minutes = localMinutes(timezone, from, until)
    const wanted = [...minutes].filter(([label]) => label.endsWith('02:30')).map(([, moments]) => moments[0] as number)
    const got = dueTimes(timesOf({ cron: '30 2 * * *', timezone }), from, until, 1000).map((date) => date.getTime())
    const inGap = got.filter((time) => !wanted.includes(time))
    assert.deepEqual(
      wanted.filter((time) => time > from.getTime() && !got.includes(time)),
      [],
      `${timezone}: times that did not come`,
    )
    assert.ok(inGap.length <= 2, `${timezone}: only days without that time have another`)
    assert.ok(Math.abs(got.length - 365) <= 1, `${timezone}: ${got.length} days`)
  }
})
