import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleReport, sampleRun } from '../../test/support/sample-report.ts'
import { registerSecret } from '../base/redact.ts'
import type { RunReport } from '../model/report.ts'
import { eventsOf, headline } from './outcome.ts'
import { reportHtml, reportJson } from './report.ts'

const words = (page: string) =>
  page
    .replaceAll(/<style>.*?<\/style>/gs, '')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')

test('the page tells figures, results, errors, warnings, what was pruned and recent runs', () => {
  const text = words(reportHtml(sampleReport()))
  for (const part of [
    '1 of 5 backups failed: uploads',
    'uploads → offsite storage.denied',
    'Check that these credentials may do this on that bucket or folder.',
    '2 of 5 good',
    '123,457 files · 457 new or changed',
    '2 old backups removed · 700 MiB freed',
    'home → nas: 62 warnings',
    'home/ann/mail/0.eml permission denied',
    'and 12 more, in the log of the run',
    'full-2024-03-06T03-00-00-a1b2c9 shop-db 2024-03-06 03:00:00 UTC 350 MiB – removed not needed by any rule',
    '✓ kept last 1, daily 2024-03-15',
    'Failed · backup 2024-02-21 03:00:00 UTC, 42s',
    'incremental · proof V1',
  ]) {
    assert.ok(text.includes(part), `${part} is not in ${text}`)
  }
})

test('the page needs nothing beside itself', () => {
  const page = reportHtml(sampleReport())
  assert.ok(!/<script|<link|<img|<iframe|@import|url\(|src=|href=/.test(page))
  assert.match(page, /prefers-color-scheme:dark/)
})

test('every state has a word and a shape beside its colour', () => {
  const page = reportHtml(sampleReport())
  for (const [tone, shape, word] of [
    ['ok', '✓', 'Good'],
    ['bad', '✕', 'Failed'],
    ['warn', '!', 'Warnings'],
    ['mute', '–', 'Skipped'],
  ]) {
    assert.ok(page.includes(`<span class="tag ${tone}"><span aria-hidden="true">${shape}</span>${word}</span>`), word)
  }
})

test('nothing from outside becomes markup, and no secret is in it', () => {
  registerSecret('page-secret-1')
  const evil = `"><script>alert(1)</script>'&\u0007\udcff page-secret-1 postgres://u:page-secret-2@h/`
  const report = sampleReport()
  const run = {
    ...sampleRun(evil, evil, 'failed', 0),
    error: { code: evil, message: evil, hint: evil },
    backupId: evil,
  }
  const prunedOne = { id: evil, job: evil, time: new Date(0), storedBytes: 1, reasons: [evil] }
  const hostile: RunReport = {
    ...report,
    host: evil,
    version: evil,
    runs: [{ ...run, warningCount: 1, warnings: [{ code: evil, path: evil, message: evil }] }],
    backups: [{ ...(report.backups[0] as RunReport['backups'][number]), id: evil }],
    pruned: [{ vault: evil, keep: [prunedOne], remove: [prunedOne], applied: true, bytesFreed: 1 }],
    recent: [{ job: evil, runs: [{ id: 'x', kind: 'backup', status: 'failed', at: new Date(0) }] }],
  }
  const page = reportHtml(hostile)
  assert.ok(!page.includes('<script') && !page.includes('page-secret') && !page.includes('\udcff'))
  assert.ok(
    page.includes(String.raw`&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;\x7\xff`) ||
      page.includes(String.raw`\x07\xff`),
  )
  assert.ok(!reportJson(hostile).includes('page-secret'))
})

test('the JSON has the same as data', () => {
  const data = JSON.parse(reportJson(sampleReport())) as Record<string, unknown> & { runs: { job: string }[] }
  assert.deepEqual([data['status'], data['title']], ['failed', '1 of 5 backups failed: uploads'])
  assert.deepEqual([data['startedAt'], data['host']], ['2024-03-15T03:00:00.000Z', 'db-1.example.org'])
  assert.equal(data.runs.length, 5)
})

test('one sentence says how it went', () => {
  const run = (job: string, status: Parameters<typeof sampleRun>[2]) => sampleRun(job, 'v', status, 0)
  const sentences: [ReturnType<typeof run>[], string][] = [
    [[], 'Nothing was to be done'],
    [[run('a', 'success')], 'a is good'],
    [[run('a', 'success'), run('b', 'success')], 'All 2 backups are good'],
    [[run('a', 'success'), run('b', 'skipped')], '1 of 2 backups are good, the others were skipped'],
    [[run('a', 'skipped')], '1 backup skipped'],
    [[run('a', 'failed')], 'a failed'],
    [[run('a', 'interrupted')], 'a was interrupted'],
    [[run('a', 'cancelled')], 'a was cancelled'],
    [[run('a', 'failed'), run('b', 'failed'), run('c', 'warning')], '2 of 3 backups failed: a, b'],
    [[{ ...run('a', 'warning'), warningCount: 1 }, run('b', 'success')], 'a finished with one warning'],
  ]
  for (const [runs, expected] of sentences) assert.equal(headline(runs), expected)
})

test('the events are failure or warning or success, and recovered after a failure', () => {
  const report = sampleReport()
  const only = (job: string, last: 'failed' | 'success'): RunReport => ({
    ...report,
    runs: report.runs.filter((run) => run.job === job).slice(0, 1),
    recent: [
      {
        job,
        runs: [
          { id: 'old', kind: 'backup', status: last, at: new Date(0) },
          { id: 'skip', kind: 'backup', status: 'skipped', at: new Date(1) },
          { id: 'run-0', kind: 'backup', status: 'success', at: new Date(2) },
        ],
      },
    ],
  })
  assert.deepEqual(eventsOf(report), ['failure'])
  assert.deepEqual(eventsOf(only('home', 'success')), ['warning'])
  assert.deepEqual(eventsOf(only('shop-db', 'success')), ['success'])
  assert.deepEqual(eventsOf(only('shop-db', 'failed')), ['recovered', 'success'])
  assert.deepEqual(eventsOf(only('metrics', 'failed')), [])
})
