import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sampleReport } from '../../test/support/sample-report.ts'
import { isAppError } from '../base/errors.ts'
import { reportPath, writeReport } from './write-report.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-report-'))
after(() => rm(folder, { recursive: true }))
const time = new Date('2024-03-15T03:13:27Z')

test('page and JSON are written where the settings say, and replaced as a whole', async () => {
  const settings = { html: join(folder, 'deep/{date}_{time}-{job}.html'), json: join(folder, 'deep/last.json') }
  const paths = [join(folder, 'deep/2024-03-15_03-13-27-all.html'), join(folder, 'deep/last.json')]
  assert.deepEqual(await writeReport(sampleReport(), settings, time), paths)
  assert.match(await readFile(paths[0] ?? '', 'utf8'), /^<!doctype html>/)
  await writeReport({ ...sampleReport(), host: 'second' }, settings, time)
  assert.equal((JSON.parse(await readFile(paths[1] ?? '', 'utf8')) as { host: string }).host, 'second')
  assert.deepEqual((await readdir(join(folder, 'deep'))).sort(), ['2024-03-15_03-13-27-all.html', 'last.json'])
  assert.deepEqual(await writeReport(sampleReport(), {}, time), [])
})

test('a name cannot lead out of the folder', () => {
  const report = sampleReport()
  const [run] = report.runs
  const one = { ...report, runs: run === undefined ? [] : [{ ...run, job: '../../etc/x' }] }
  assert.equal(
    reportPath('/r/{job}/{status}-{runId}-{unknown}.html', one, time),
    '/r/__.._etc_x/success-run-0-{unknown}.html',
  )
})

test('a report that cannot be written says where and why', async () => {
  await writeFile(join(folder, 'file'), '')
  await assert.rejects(writeReport(sampleReport(), { html: join(folder, 'file/x.html') }, time), (error) => {
    assert.ok(isAppError(error, 'notify.failed'))
    assert.match(error.message, /cannot write the report .*file\/x\.html: (ENOTDIR|EEXIST)/)
    return true
  })
})
