/** Jobs, vaults and notifiers that the API made: one that is wrong stops no other, and somebody hears of it. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createApp, parseStorageUrl, type App } from '../../src/app.ts'
import { openDatabase } from '../../src/base/sqlite.ts'
import { loadConfig } from '../../src/config/load.ts'
import { reviewAll } from '../../src/service/incidents.ts'
import { recurrencesOf } from '../../src/service/times.ts'
import { scratch } from '../support/holdfast.ts'

async function open(dir: string, more = ''): Promise<App> {
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: { type: file, path: ./vault }, format: archive } }
server: { dataDir: ./state }
${more}`,
    { mode: 0o600 },
  )
  const { settings } = await loadConfig({ cwd: dir, env: { HOME: dir }, parseStorageUrl })
  return createApp(settings, { silent: true })
}

const job = { source: { type: 'files', paths: ['/data'] }, vaults: ['v'], schedule: '0 3 * * *' }

test('a job that is wrong takes none along whose name begins like its own', async (t) => {
  await using app = await open(scratch(t, 'parts'))
  const { definitions } = app.history().server
  for (const name of ['web2', 'web', 'web.old', 'a "quoted" one']) definitions.save('job', name, job)
  definitions.save('job', 'web', { ...job, tags: ['${env:NO_SUCH_VARIABLE}'] }, 1)
  await app.refresh()
  assert.deepEqual(Object.keys(app.settings.jobs).sort(), ['a "quoted" one', 'web.old', 'web2'])
  assert.deepEqual(
    app.leftOut().map(({ kind, name }) => [kind, name]),
    [['job', 'web']],
  )
  assert.match(app.leftOut()[0]?.why ?? '', /NO_SUCH_VARIABLE/)
})

test('a job that cannot be used is an alert until it can, or is gone; alerts of jobs that are gone end', async (t) => {
  await using app = await open(scratch(t, 'parts'))
  const { incidents, server } = app.history()
  server.definitions.save('job', 'web', { ...job, tags: ['${env:NO_SUCH_VARIABLE}'] })
  incidents.review('long gone', [{ kind: 'failure', job: 'long gone', message: 'it failed' }])
  const look = async (): Promise<string[][]> => {
    await app.refresh()
    await reviewAll(app)
    return incidents.list({ open: true }).map(({ kind, job: of }) => [kind, of])
  }
  assert.deepEqual(await look(), [['config', 'web']])
  assert.deepEqual(await look(), [['config', 'web']])
  server.definitions.save('job', 'web', job, 1)
  assert.deepEqual(await look(), [])
  assert.equal(recurrencesOf(app).length, 1)
})

test('what does not open any more, as with another key, is left out and told; the rest works', async (t) => {
  const dir = scratch(t, 'parts')
  {
    await using app = await open(dir)
    app.history().server.definitions.save('job', 'good', job)
    app.history().server.definitions.save('job', 'bad', job)
  }
  {
    using database = openDatabase(join(dir, 'state/catalogue.db'))
    database.exec(
      "UPDATE definition SET body = x'00112233445566778899aabbccddeeff00112233445566778899aabb' WHERE name = 'bad'",
    )
  }
  await using app = await open(dir)
  await app.refresh()
  assert.deepEqual(Object.keys(app.settings.jobs), ['good'])
  await reviewAll(app)
  assert.deepEqual(
    app
      .history()
      .incidents.list({ open: true })
      .map(({ kind, job: of }) => [kind, of]),
    [['config', 'bad']],
  )
})

test('a job that names its notifiers hears of no other that is added, even if it names all that there are', async (t) => {
  await using app = await open(
    scratch(t, 'parts'),
    `notify: { one: { type: ntfy, topic: one } }
jobs:
  named: { source: { type: files, paths: [/data] }, vaults: [v], notify: [one] }
  all: { source: { type: files, paths: [/data] }, vaults: [v] }`,
  )
  app.history().server.definitions.save('notifier', 'two', { type: 'ntfy', topic: 'two' })
  await app.refresh()
  assert.deepEqual(app.settings.jobs['named']?.notify, ['one'])
  assert.deepEqual(app.settings.jobs['all']?.notify, ['one', 'two'])
})
