import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { closeDatabases, noS3db, rawObjects, removeFolders } from '../../test/support/s3db.ts'
import { installed, pluginFolder, sampleDatabase } from '../../test/support/s3db-plugin.ts'

after(async () => {
  await closeDatabases()
  removeFolders()
})
const skip = noS3db

test('driver:s3db a restore that is cancelled midway, or fails, puts back what it changed', { skip }, async (t) => {
  for (const kind of ['memory', 'file', 'sqlite'] as const) {
    const db = await sampleDatabase(kind)
    for (let row = 0; row < 60; row += 1)
      await db.resources['posts']?.insert({ id: `row${row}`, title: `before ${row}` })
    const dir = pluginFolder(t)
    const plugin = await installed(t, db, { config: { path: join(dir, 'b') }, tempDir: join(dir, 'tmp') })
    const { id } = await plugin.backup()
    for (let row = 0; row < 60; row += 2) await db.resources['posts']?.update(`row${row}`, { title: `after ${row}` })
    for (let row = 1; row < 60; row += 4) await db.resources['posts']?.delete(`row${row}`)
    await db.resources['users']?.insert({ id: 'new', name: 'New', region: 'EU' })
    const before = await rawObjects(db.client, ['users'])
    for (const how of ['cancelled', 'failed'] as const) {
      const abort = new AbortController()
      const { client } = db
      let writes = 0
      const watched = Object.create(client, {
        putObject: {
          value: async (object: { key: string }) => {
            if (object.key.startsWith('resource=')) writes += 1
            if (writes === 12 && how === 'cancelled') abort.abort()
            if (writes === 12 && how === 'failed') {
              writes = 13
              throw new Error('disk full')
            }
            return client.putObject(object)
          },
        },
      }) as typeof client
      const code = how === 'cancelled' ? 'run.cancelled' : 'restore.failed'
      const target = { client: watched, connect: async () => assert.fail('it is not told of a restore that failed') }
      await assert.rejects(plugin.restore(id, { target, mode: 'replace', signal: abort.signal }), { code })
      assert.ok(writes >= 12)
      assert.deepEqual(await rawObjects(client, ['users']), before, `${kind} ${how}`)
      assert.deepEqual(readdirSync(join(dir, 'tmp')), [])
    }
    await plugin.restore(id, { mode: 'replace' })
    assert.equal(await db.resources['posts']?.count(), 61)
  }
})

test('driver:s3db of two restores into one database the second is told that it is in use', { skip }, async (t) => {
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: pluginFolder(t) } })
  const { id } = await plugin.backup()
  await db.resources['users']?.update('a', { name: 'Anna' })
  const now = await rawObjects(db.client)
  const lock = 'plugin=s3db-core/locks/holdfast-restore'
  const until = (ms: number) => ({ owner: 'somebody', process: 'elsewhere 1', until: String(Date.now() + ms) })
  await db.client.putObject({ key: lock, metadata: until(60_000), contentLength: 0 })
  await assert.rejects(plugin.restore(id, { overwrite: true }), { code: 'target.in-use', statusCode: 409 })
  await db.client.deleteObject(lock)
  assert.deepEqual(await rawObjects(db.client), now)
  // What a process that died left behind ends by itself.
  await db.client.putObject({ key: lock, metadata: until(-1), contentLength: 0 })
  await plugin.restore(id, { overwrite: true })
  assert.equal((await db.resources['users']?.get('a'))?.['name'], 'Ann')
  assert.equal((await db.client.getAllKeys({ prefix: 'plugin=' })).length, 0)
})

test('driver:s3db a backup that is cancelled or fails midway leaves the folder as it was', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: dir } })
  await plugin.backup()
  const before = readdirSync(dir).sort()
  const abort = new AbortController()
  plugin.config.onBackupStart = () => abort.abort()
  await assert.rejects(plugin.backup('full', { signal: abort.signal }), { code: 'run.cancelled' })
  plugin.config.onBackupStart = null
  const { client } = db
  const broken = Object.create(client, {
    getObject: {
      value: async (key: string) => {
        if (key.includes('/data/')) throw new Error('the connection broke')
        return client.getObject(key)
      },
    },
  }) as typeof client
  plugin.database = { client: broken }
  await assert.rejects(plugin.backup(), { message: /connection broke/ })
  assert.deepEqual(readdirSync(dir).sort(), before)
})
