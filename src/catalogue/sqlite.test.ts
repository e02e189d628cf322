import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../../test/support/holdfast.ts'
import { isAppError } from '../base/errors.ts'
import type { Run } from '../model/run.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { refuseNetwork, sqliteCatalogue } from './sqlite.ts'
import { tolerantCatalogue } from './tolerant.ts'

const DAY_MS = 86_400_000

function run(id: string, day: number, more: Partial<Run> = {}): Run {
  const at = new Date(Date.UTC(2024, 0, 1) + day * DAY_MS)
  const times = { createdAt: at, startedAt: at, endedAt: at }
  return {
    id,
    kind: 'backup',
    job: 'web',
    vault: 'main',
    status: 'success',
    trigger: 'manual',
    ...times,
    warnings: [],
    warningCount: 0,
    stages: [],
    ...more,
  }
}

test('work goes on with a catalogue that cannot be opened, which is told once', (t) => {
  const folder = scratch(t)
  writeFileSync(join(folder, 'file'), '')
  const told: string[] = []
  const clock = manualClock()
  const broken = (): ReturnType<typeof sqliteCatalogue> => sqliteCatalogue(join(folder, 'file/catalogue.db'), clock)
  assert.throws(broken, (error) => isAppError(error, 'catalogue.failed'))
  const catalogue = tolerantCatalogue(broken, clock, ({ code }) => told.push(code))
  catalogue.saveRun(run('one', 1))
  assert.equal(catalogue.run('one')?.status, 'success', 'what is done now is known now')
  assert.ok(catalogue.lease('job:web'))
  assert.deepEqual(told, ['catalogue.failed'])
  catalogue.close()
})

test('work goes on with a catalogue that breaks in the middle, in what it reads too', (t) => {
  const clock = manualClock()
  const told: string[] = []
  const inner = sqliteCatalogue(join(scratch(t), 'catalogue.db'), clock)
  const catalogue = tolerantCatalogue(
    () => inner,
    clock,
    ({ code }) => told.push(code),
  )
  catalogue.saveRun(run('one', 1))
  inner.close()
  catalogue.saveRun(run('two', 2))
  assert.deepEqual(
    [catalogue.run('one'), catalogue.runs(), catalogue.backups(), catalogue.get('x')],
    [undefined, [], [], undefined],
  )
  assert.deepEqual(
    [catalogue.usage('v', new Date(0)), catalogue.cancelAsked('one'), catalogue.reapRuns()],
    [[], undefined, []],
  )
  assert.ok(catalogue.lease('job:web')?.held())
  assert.deepEqual(told, ['catalogue.failed'])
})

test('what could not be written is written when the catalogue can be again, the newest of each', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const clock = manualClock()
  const told: string[] = []
  const inner = sqliteCatalogue(':memory:', clock)
  let broken = false
  const catalogue = tolerantCatalogue(
    () => ({
      ...inner,
      saveRun(one) {
        if (broken) throw new Error('the server is gone')
        inner.saveRun(one)
      },
    }),
    clock,
    ({ message }) => told.push(message),
  )
  catalogue.saveRun(run('one', 1, { status: 'queued' }))
  broken = true
  const changing = run('one', 1, { status: 'running' })
  catalogue.saveRun(changing)
  changing.status = 'success'
  catalogue.saveRun(changing)
  catalogue.saveRun(run('two', 2))
  changing.status = 'failed'
  t.mock.timers.tick(2000)
  assert.equal(inner.run('one')?.status, 'queued')
  broken = false
  t.mock.timers.tick(2000)
  assert.deepEqual([inner.run('one')?.status, inner.run('two')?.status], ['success', 'success'])
  assert.equal(told.length, 1)
  broken = true
  catalogue.saveRun(run('three', 3))
  assert.equal(told.length, 2, 'another time is told again')
  broken = false
  catalogue.close()
})

test('a network file system is refused with what to do', () => {
  assert.throws(
    () => refuseNetwork('/mnt/data/catalogue.db', 0x6969),
    (error) => isAppError(error, 'catalogue.failed') && /NFS/.test(error.message) && /server\.dataDir/.test(error.hint),
  )
  refuseNetwork('/data/catalogue.db', 0xef53)
})

const noMount =
  spawnSync('mount', ['--version']).status !== 0 || process.getuid?.() !== 0 ? 'mounting needs root' : false

test('work goes on with a catalogue on a full disk, which is told once', { skip: noMount }, (t) => {
  const folder = join(scratch(t), 'small')
  mkdirSync(folder)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder])
  if (mounted.status !== 0) {
    t.skip('this machine lets nobody mount')
    return
  }
  try {
    const clock = manualClock()
    const told: string[] = []
    const catalogue = tolerantCatalogue(
      () => sqliteCatalogue(join(folder, 'catalogue.db'), clock),
      clock,
      ({ message }) => told.push(message),
    )
    const big = { summary: { text: 'x'.repeat(10_000) } }
    for (let n = 0; n < 500; n += 1) catalogue.saveRun(run(`run ${n}`, n, big))
    assert.ok(catalogue.lease('job:web'), 'a job can still run')
    assert.equal(told.length, 1)
    assert.match(told[0] ?? '', /full/)
    assert.ok(catalogue.runs().length > 10, 'what was stored before stays')
    catalogue.close()
  } finally {
    spawnSync('umount', [folder])
  }
})
