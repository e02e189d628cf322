import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCron } from '../base/cron.ts'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import type { Catalogue } from '../model/catalogue.ts'
import type { Finding } from '../model/incident.ts'
import type { Job } from '../model/job.ts'
import type { Run } from '../model/run.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { findingsOf, needsReminder, stateOf, type Expected } from './incidents.ts'

const HOUR = 3_600_000
const start = Date.parse('2027-01-01T00:00:00Z')
const at = (hours: number): Date => new Date(start + hours * HOUR)

const job: Job = {
  name: 'web',
  enabled: true,
  source: { type: 'files', paths: ['/'] },
  vaults: ['disk', 'cloud'],
  type: 'auto',
  verify: { afterBackup: 'V0', assert: [], restoreTest: { every: '7d', level: 'V3' } },
  notify: [],
  hooks: { before: [], after: [], onFailure: [] },
  tags: [],
  labels: [],
}

let count = 0
function ran(catalogue: Catalogue, hours: number, more: Partial<Run>): void {
  count += 1
  const time = at(hours)
  catalogue.saveRun({
    id: `run ${count}`,
    kind: 'backup',
    job: 'web',
    vault: 'disk',
    status: 'success',
    trigger: 'schedule',
    createdAt: time,
    startedAt: time,
    endedAt: time,
    warnings: [],
    warningCount: 0,
    stages: [],
    ...more,
  })
}

const failed = (code: string): Partial<Run> => ({
  status: 'failed',
  error: { code, message: `it was ${code}`, hint: '' },
})
const fresh = (): Catalogue => sqliteCatalogue(':memory:', manualClock(at(0)))
const kinds = (findings: Finding[]): string[] => findings.map(({ kind, vault }) => `${kind}${vault ? ` ${vault}` : ''}`)

test('the last run of each vault decides; what fails alike is one thing, and each kind has its name', () => {
  const catalogue = fresh()
  ran(catalogue, 1, failed('storage.full'))
  ran(catalogue, 1, { vault: 'cloud', ...failed('storage.unreachable') })
  assert.deepEqual(kinds(findingsOf(catalogue, job, [], at(2))), ['failure disk', 'unreachable cloud'])
  ran(catalogue, 2, {})
  ran(catalogue, 2, { kind: 'verify', ...failed('verify.damaged') })
  ran(catalogue, 2, { vault: 'cloud', status: 'cancelled' })
  assert.deepEqual(kinds(findingsOf(catalogue, job, [], at(3))), ['unreachable cloud', 'damage disk'])
})

test('a run that did not come is overdue after an hour, and not while paused, nor right after the schedule was made', () => {
  const catalogue = fresh()
  const expected: Expected = { times: parseCron('0 3 * * *', 'UTC'), since: at(0), paused: false }
  assert.deepEqual(findingsOf(catalogue, job, [expected], at(3.5)), [])
  assert.deepEqual(kinds(findingsOf(catalogue, job, [expected], at(4.1))), ['overdue'])
  assert.deepEqual(findingsOf(catalogue, job, [{ ...expected, paused: true }], at(4.1)), [])
  assert.deepEqual(findingsOf(catalogue, job, [{ ...expected, since: at(3.9) }], at(4.1)), [])
  ran(catalogue, 3.2, {})
  assert.deepEqual(findingsOf(catalogue, job, [expected], at(10)), [])
  const [finding] = findingsOf(catalogue, job, [expected], at(29))
  assert.match(finding?.message ?? '', /due 2h ago, and the last good run was/)
})

test('backups that were not proved for twice the time between restore tests are a finding', () => {
  const catalogue = fresh()
  const backup = (id: string, hours: number, level: 'V0' | 'V3'): void =>
    catalogue.saveBackup({
      id,
      job: 'web',
      vault: 'disk',
      source: 'files',
      type: 'full',
      time: at(hours),
      tags: [],
      files: 1,
      sourceBytes: 1,
      storedBytes: 1,
      needs: [],
      paths: [],
      warnings: 0,
      proof: { level, at: at(hours) },
    })
  backup('a', 0, 'V0')
  assert.deepEqual(findingsOf(catalogue, job, [], at(13 * 24)), [])
  assert.match(findingsOf(catalogue, job, [], at(15 * 24))[0]?.message ?? '', /never proved to V3/)
  backup('b', 24, 'V3')
  assert.deepEqual(findingsOf(catalogue, job, [], at(15 * 24 - 1)), [])
  assert.match(findingsOf(catalogue, job, [], at(16 * 24))[0]?.message ?? '', /for 15d not proved/)
})

test('an incident opens once, counts each run that shows it, and closes by itself', () => {
  const { incidents } = fresh()
  const finding = (run: string): Finding => ({ kind: 'failure', job: 'web', vault: 'disk', message: 'm', run })
  const { opened } = incidents.review('web', [finding('1')])
  assert.equal(opened.length, 1)
  assert.deepEqual(incidents.review('web', [finding('1')]), { opened: [], closed: [] })
  assert.deepEqual(incidents.review('web', [finding('2')]), { opened: [], closed: [] })
  assert.equal(incidents.list({ open: true })[0]?.count, 2)
  const { closed } = incidents.review('web', [])
  assert.equal(closed[0]?.id, opened[0]?.id)
  assert.deepEqual(incidents.list({ open: true }), [])
  assert.equal(incidents.list().length, 1)
  assert.equal(incidents.review('web', [finding('3')]).opened.length, 1, 'the next time it is another one')
})

test('reminders come once a day until somebody knows; a snooze holds them back', () => {
  const { incidents } = fresh()
  incidents.review('web', [{ kind: 'failure', job: 'web', message: 'm' }])
  const one = (): NonNullable<ReturnType<typeof incidents.find>> => {
    const [first] = incidents.list()
    assert.ok(first)
    return first
  }
  assert.equal(needsReminder(one(), at(23)), false)
  assert.equal(needsReminder(one(), at(24)), true)
  incidents.snooze(one().id.slice(0, 8), at(48))
  assert.equal(needsReminder(one(), at(24)), false)
  assert.equal(needsReminder(one(), at(49)), true)
  incidents.acknowledge(one().id, 'ana')
  assert.equal(needsReminder(one(), at(490)), false)
})

test('the state of a job is its worst incident, with the reason', () => {
  const { incidents } = fresh()
  assert.deepEqual(stateOf([], false).state, 'unknown')
  assert.deepEqual(stateOf([], true), { state: 'ok' })
  incidents.review('web', [
    { kind: 'proof', job: 'web', message: 'too old' },
    { kind: 'failure', job: 'web', message: 'disk full' },
  ])
  assert.deepEqual(stateOf(incidents.list(), true), { state: 'bad', why: 'failure: disk full' })
})

test('a vault beyond its limit, or full within a week as it grows, is a finding', () => {
  const catalogue = fresh()
  const kindsWith = (limits: { warn?: number; stop?: number }): string[] =>
    findingsOf(catalogue, job, [], at(240), () => limits).map(
      ({ kind, vault, message }) => `${kind} ${vault}: ${message}`,
    )
  catalogue.saveUsage('disk', { at: at(0), bytes: 1_000_000, objects: 1 })
  catalogue.saveUsage('disk', { at: at(240), bytes: 11_000_000, objects: 9 })
  assert.deepEqual(kindsWith({}), [])
  assert.match(kindsWith({ warn: 10_000_000 }).join(), /^space disk: it takes 10.* more than/)
  assert.match(kindsWith({ stop: 15_500_000 }).join(), /^space disk: it is full in 5 days/)
  assert.deepEqual(kindsWith({ stop: 30_000_000 }), [])
})
