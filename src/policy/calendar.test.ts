import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { before, isoWeek, periodsOf } from './calendar.ts'

const at = (text: string): Date => new Date(text)

test('an instant belongs to the day of the zone, not of UTC', () => {
  assert.equal(periodsOf(at('2024-03-15T23:30:00Z'), 'UTC').day, '2024-03-15')
  assert.equal(periodsOf(at('2024-03-15T23:30:00Z'), 'Europe/Berlin').day, '2024-03-16')
  assert.equal(periodsOf(at('2024-03-15T23:30:00Z'), 'America/Los_Angeles').day, '2024-03-15')
  assert.equal(periodsOf(at('2024-12-31T23:30:00Z'), 'Asia/Kolkata').year, '2025')
})

test('midnight is hour 00 of the new day', () => {
  assert.equal(periodsOf(at('2024-01-01T00:00:00Z'), 'UTC').hour, '2024-01-01T00+00:00')
})

test('the hour that comes twice when summer time ends is two hours', () => {
  const first = periodsOf(at('2024-10-27T00:30:00Z'), 'Europe/Berlin')
  const second = periodsOf(at('2024-10-27T01:30:00Z'), 'Europe/Berlin')
  assert.equal(first.hour, '2024-10-27T02+02:00')
  assert.equal(second.hour, '2024-10-27T02+01:00')
  assert.equal(first.day, second.day)
})

test('the hour that summer time skips does not exist', () => {
  assert.equal(periodsOf(at('2024-03-31T00:59:00Z'), 'Europe/Berlin').hour, '2024-03-31T01+01:00')
  assert.equal(periodsOf(at('2024-03-31T01:00:00Z'), 'Europe/Berlin').hour, '2024-03-31T03+02:00')
})

test('weeks are those of ISO 8601 at the edges of years', () => {
  const weeks: Record<string, string> = {
    '2020-12-31': '2020-W53',
    '2021-01-03': '2020-W53',
    '2021-01-04': '2021-W01',
    '2024-12-29': '2024-W52',
    '2024-12-30': '2025-W01',
    '2016-01-03': '2015-W53',
    '2023-01-01': '2022-W52',
    '2000-02-29': '2000-W09',
  }
  for (const [day, week] of Object.entries(weeks)) assert.equal(isoWeek(day), week, day)
})

test('spans go back by the calendar as those of restic do', () => {
  assert.equal(before(at('2024-03-31T12:00:00Z'), '1y').toISOString(), '2023-03-31T12:00:00.000Z')
  assert.equal(before(at('2024-05-15T12:00:00Z'), '2m3d4h').toISOString(), '2024-03-12T08:00:00.000Z')
  assert.equal(before(at('2024-01-15T12:00:00Z'), '2w').toISOString(), '2024-01-01T12:00:00.000Z')
})

test('an unreadable span or zone is refused by name', () => {
  assert.throws(
    () => before(new Date(), 'soon'),
    (error) => isAppError(error, 'usage.invalid') && /soon/.test(error.message),
  )
  assert.throws(
    () => periodsOf(new Date(), 'Mars/Olympus'),
    (error) => isAppError(error, 'config.invalid'),
  )
})
