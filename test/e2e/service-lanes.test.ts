import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { runService } from '../../src/service/service.ts'
import { laneHealth } from '../../src/operations/lane-health.ts'
import { timelineOf } from '../../src/operations/timeline.ts'
import { parseStorageUrl } from '../../src/storage/open.ts'
import { scratch } from '../support/holdfast.ts'
import { until } from '../support/pit.ts'

test('a service follows the lanes of jobs that are added and changed while it runs, and lets go of those that are paused or removed', async (t) => {
  const dir = scratch(t)
  for (const name of ['one', 'two']) {
    using database = new DatabaseSync(join(dir, `${name}.db`))
    database.exec('pragma journal_mode = wal; create table t (i); insert into t values (1)')
  }
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ${join(dir, 'vault')}, format: archive } }\nserver: { dataDir: ${join(dir, 'data')} }\n`,
  )
  const { settings } = await loadConfig({ cwd: dir, env: {}, parseStorageUrl })
  await using app = createApp(settings, { silent: true })
  const stop = new AbortController()
  const notes: string[] = []
  const running = runService(app, {
    scheduler: true,
    worker: true,
    signal: stop.signal,
    onNote: (text) => notes.push(text),
  })
  t.after(() => stop.abort())
  const { definitions } = app.history().server
  const body = (file: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
    source: { type: 'sqlite', file: join(dir, file) },
    vaults: ['v'],
    schedule: 'continuous',
    ...more,
  })
  const windows = async (job: string): Promise<number> =>
    (await timelineOf(await app.vault('v', { create: true }), job, new Date())).windows.length
  const following = (job: string): boolean => laneHealth(app.history(), job) !== undefined
  const count = (text: string): number => notes.filter((note) => note === text).length

  definitions.save('job', 'shop', body('one.db'))
  await until('a window of the job that was added', async () => (await windows('shop')) === 1)
  definitions.save('job', 'other', body('two.db', { verify: { restoreTest: { every: '4s', level: 'V4' } } }))
  await until('another one', async () => (await windows('other')) === 1)
  const proofs = async () => (await timelineOf(await app.vault('v'), 'other', new Date())).proofs
  await until('a proof of its newest moment', async () =>
    (await proofs()).some(({ level, ok }) => ok && level === 'V4'),
  )
  assert.equal(count('lane of shop: following the log'), 1, 'the first goes on untouched')

  definitions.save('job', 'shop', body('two.db'), definitions.get('job', 'shop')?.version)
  await until('the changed one', () => count('lane of shop: following the log') === 2)
  await until('its log, which is another one', async () => (await windows('shop')) === 2)

  definitions.save('job', 'shop', body('two.db', { enabled: false }), definitions.get('job', 'shop')?.version)
  await until('the pause', () => !following('shop'))
  assert.equal(count('lane of shop: let go'), 1)
  definitions.remove('job', 'other')
  await until('the end of the other', () => !following('other'))

  definitions.save('job', 'shop', body('two.db'), definitions.get('job', 'shop')?.version)
  await until('it again', () => count('lane of shop: following the log') === 3)
  app.history().service.pause('shop/backup', new Date(Date.now() + 3_600_000))
  await until('the pause of its schedule', () => count('lane of shop: let go') === 2)
  stop.abort()
  await running
})
