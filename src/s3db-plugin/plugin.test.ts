import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  closeDatabases,
  freshConnection,
  noS3db,
  openDatabase,
  rawObjects,
  removeFolders,
  type Database,
  type RawObjects,
} from '../../test/support/s3db.ts'
import { installed, pluginFolder, sampleDatabase } from '../../test/support/s3db-plugin.ts'
import { BackupPlugin, type DriverInfo } from './index.ts'

after(async () => {
  await closeDatabases()
  removeFolders()
})
const skip = noS3db

/** All but the description, of which each database has its own time of change. */
async function records(db: Database): Promise<RawObjects> {
  const objects = await rawObjects(db.client)
  objects.delete('s3db.json')
  return objects
}

test(
  'driver:s3db a full backup of the plugin is listed, told of, and restored into the live database',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const db = await sampleDatabase()
    const resources = Object.keys(db.resources)
    const plugin = await installed(t, db, { config: { path: `${dir}/{date}/`, compression: 'gzip' } })
    assert.deepEqual(Object.keys(db.resources), resources)
    assert.equal(db.plugins['backup'], plugin)
    const made = await plugin.backup('full')
    assert.match(made.id, /^full-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[0-9a-f]{6}$/)
    assert.equal(made.type, 'full')
    assert.ok(made.size > 0 && made.duration > 0)
    const info = made.driverInfo as DriverInfo
    const day = new Date().toISOString().slice(0, 10)
    assert.equal(info.path, `${dir}/${day}/${made.id}.tar.gz`)
    assert.equal(info.manifestPath, `${dir}/${day}/${made.id}.manifest.json`)
    assert.equal(
      made.checksum,
      createHash('sha256')
        .update(readFileSync(info.path ?? ''))
        .digest('hex'),
    )
    assert.ok(existsSync(info.manifestPath ?? ''))
    const [listed] = await plugin.listBackups()
    const status = await plugin.getBackupStatus(made.id)
    assert.deepEqual(status, listed)
    assert.equal(status?.status, 'completed')
    assert.equal(status?.checksum, made.checksum)
    assert.deepEqual(status?.records, { posts: 1, users: 2 })
    assert.equal(status?.compression, 'gzip')
    assert.equal(status?.encrypted, false)
    const before = await rawObjects(db.client)
    await db.resources['users']?.delete('a')
    const { restored } = await plugin.restore(made.id)
    assert.deepEqual(restored, [
      { name: 'posts', recordsRestored: 0, totalRecords: 1 },
      { name: 'users', recordsRestored: 1, totalRecords: 2 },
    ])
    assert.deepEqual(await rawObjects(db.client), before)
    assert.equal((await db.resources['users']?.get('a'))?.['name'], 'Ann')
    await db.resources['users']?.insert({ id: 'c', name: 'Cy' })
    assert.equal(await db.resources['users']?.count(), 3)
  },
)

test('driver:s3db hooks and events of both sets tell of each step', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const told: [string, unknown][] = []
  const tell = (name: string) => (subject: string, context: unknown) => void told.push([name, { subject, context }])
  const plugin = await installed(t, db, {
    config: { path: dir },
    onBackupStart: tell('onBackupStart'),
    onBackupComplete: tell('onBackupComplete'),
    onBackupError: tell('onBackupError'),
    onRestoreStart: tell('onRestoreStart'),
    onRestoreComplete: tell('onRestoreComplete'),
    onRestoreError: tell('onRestoreError'),
  })
  const names = [
    'backup_start',
    'backup_complete',
    'backup_error',
    'restore_start',
    'restore_complete',
    'restore_error',
  ]
  const full = ['start', 'complete', 'error', 'restore-start', 'restore-complete', 'restore-error', 'cancelled']
  for (const name of [...names, 'backup_cancelled', ...full.map((each) => `plg:backup:${each}`)])
    plugin.on(name, (facts: unknown) => told.push([name, facts]))
  const { id, ...stats } = await plugin.backup('weekly-snapshot', { metadata: { project: 'v2.0' } })
  assert.match(id, /^weekly-snapshot-/)
  await plugin.restore(id)
  assert.deepEqual(told.slice(0, 6), [
    ['onBackupStart', { subject: 'weekly-snapshot', context: { backupId: id } }],
    ['plg:backup:start', { id, type: 'weekly-snapshot' }],
    ['backup_start', { id, type: 'weekly-snapshot' }],
    ['onBackupComplete', { subject: 'weekly-snapshot', context: { id, backupId: id, ...stats } }],
    ['plg:backup:complete', { id, ...stats }],
    ['backup_complete', { id, ...stats }],
  ])
  assert.deepEqual(
    told.slice(6).map(([name]) => name),
    [
      'onRestoreStart',
      'plg:backup:restore-start',
      'restore_start',
      'onRestoreComplete',
      'plg:backup:restore-complete',
      'restore_complete',
    ],
  )
  assert.deepEqual((await plugin.getBackupStatus(id))?.metadata, { project: 'v2.0' })
  told.length = 0
  await assert.rejects(plugin.restore('full-none'), { message: "Backup 'full-none' not found", statusCode: 404 })
  plugin.config.onBackupStart = () => {
    throw new TypeError('not today')
  }
  await assert.rejects(plugin.backup(), { name: 'TypeError', message: 'not today' })
  assert.deepEqual(
    told.map(([name]) => name),
    [
      'onRestoreStart',
      'plg:backup:restore-start',
      'restore_start',
      'onRestoreError',
      'plg:backup:restore-error',
      'restore_error',
      'onBackupError',
      'plg:backup:error',
      'backup_error',
    ],
  )
  const failed = told.at(-1)?.[1] as { id: string; error: string }
  assert.equal(failed.error, 'not today')
  const status = await plugin.getBackupStatus(failed.id)
  assert.deepEqual([status?.status, status?.error], ['failed', 'not today'])
  await assert.rejects(plugin.restore(failed.id), { statusCode: 409 })
  assert.equal((await plugin.listBackups()).length, 1)
  assert.equal(await plugin.getBackupStatus('full-none'), null)
})

test(
  'driver:s3db incremental, differential and selective backups hold what they should, and lists are narrowed',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const db = await sampleDatabase()
    const plugin = await installed(t, db, {
      config: { path: join(dir, '{year}/{month}/{day}/{type}') },
      compression: 'brotli',
    })
    const first = await plugin.backup('incremental')
    assert.equal((await plugin.getBackupStatus(first.id))?.parent, null)
    const states = new Map([[first.id, await records(db)]])
    await db.resources['users']?.update('a', { region: 'US' })
    await db.resources['posts']?.delete('p')
    const second = await plugin.backup('incremental')
    states.set(second.id, await records(db))
    await db.resources['users']?.insert({ id: 'c', name: 'Cy' })
    const third = await plugin.backup('differential')
    states.set(third.id, await records(db))
    const selective = await plugin.backup('selective', { resources: ['users'], compression: 'none' })
    const status = await plugin.getBackupStatus(selective.id)
    assert.deepEqual([status?.resources, status?.compression], [['users'], 'none'])
    assert.equal((await plugin.getBackupStatus(second.id))?.parent, first.id)
    assert.equal((await plugin.getBackupStatus(third.id))?.parent, first.id)
    for (const [id, objects] of states) {
      const other = await openDatabase(freshConnection('memory'))
      await plugin.restore(id, { target: other })
      assert.deepEqual(await records(other), objects)
    }
    assert.deepEqual((await plugin.listBackups()).map(({ id }) => id).sort(), [...states.keys(), selective.id].sort())
    assert.equal((await plugin.listBackups({ prefix: 'incremental-' })).length, 2)
    assert.equal((await plugin.listBackups({ limit: 1 })).length, 1)
    const today = new Date().toISOString().slice(0, 10)
    assert.equal((await plugin.listBackups({ startDate: today, endDate: today })).length, 4)
    assert.equal((await plugin.listBackups({ startDate: '2099-01-01' })).length, 0)
    assert.equal((await plugin.listBackups({ endDate: new Date(0) })).length, 0)
    await assert.rejects(plugin.deleteBackup(first.id), { code: 'backup.held' })
    await plugin.deleteBackup(selective.id)
    assert.equal(await plugin.getBackupStatus(selective.id), null)
    await assert.rejects(plugin.backup('selective'), { code: 'config.invalid' })
    await assert.rejects(plugin.backup('full', { resources: ['nobody'] }), /no resource nobody/)
    await assert.rejects(plugin.restore(second.id, { resources: ['nobody'] }), /has no resource nobody/)
  },
)

test('driver:s3db include and exclude are patterns, and a part comes back alone', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: dir }, include: ['use*', 'posts'], exclude: ['none'] })
  const { id } = await plugin.backup()
  plugin.config.exclude = ['posts']
  const narrow = await plugin.backup()
  assert.deepEqual((await plugin.getBackupStatus(narrow.id))?.resources, ['users'])
  for (const name of ['users', 'posts'])
    for (const key of ['a', 'p']) await db.resources[name]?.delete(key).catch(() => undefined)
  await plugin.restore(id, { resources: ['users'] })
  assert.equal(await db.resources['users']?.count(), 2)
  assert.equal(await db.resources['posts']?.count(), 0)
})

test(
  'driver:s3db restores refuse, skip, merge or replace what is there, and try without writing',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const db = await sampleDatabase('sqlite')
    const plugin = await installed(t, db, { config: { path: dir } })
    const { id } = await plugin.backup()
    const backedUp = await rawObjects(db.client, ['users'])
    await db.resources['users']?.update('a', { name: 'Anna' })
    await db.resources['users']?.delete('b')
    await db.resources['users']?.insert({ id: 'z', name: 'Zoe' })
    const before = await rawObjects(db.client, ['users'])
    await assert.rejects(plugin.restore(id), { code: 'restore.exists', statusCode: 409 })
    const tried = await plugin.restore(id, { overwrite: true, dryRun: true })
    assert.deepEqual(await rawObjects(db.client, ['users']), before)
    assert.deepEqual(
      tried.restored.find(({ name }) => name === 'users'),
      { name: 'users', recordsRestored: 2, totalRecords: 2 },
    )
    await plugin.restore(id, { mode: 'skip' })
    const names = async () => (await db.resources['users']?.getAll())?.map(({ name }) => name).sort()
    assert.deepEqual(await names(), ['Anna', 'Ben', 'Zoe'])
    await plugin.restore(id, { overwrite: true })
    assert.deepEqual(await names(), ['Ann', 'Ben', 'Zoe'])
    await plugin.restore(id, { mode: 'replace' })
    assert.deepEqual(await rawObjects(db.client, ['users']), backedUp)
    await assert.rejects(plugin.restore(id, { overwrite: false, mode: 'merge' }), { code: 'config.invalid' })
  },
)

test('driver:s3db a restore goes to another database, an address, or a name beside this one', { skip }, async (t) => {
  const dir = pluginFolder(t)
  for (const kind of ['memory', 'file', 'sqlite'] as const) {
    const db = await sampleDatabase(kind)
    const plugin = await installed(t, db, { config: { path: join(dir, kind) } })
    const { id } = await plugin.backup()
    await plugin.restore(id, { target: 'different-database' })
    const from = (db.client as { connectionString?: string }).connectionString ?? ''
    const there = await openDatabase(from.replace(/\/(app|data)(\.sqlite)?$/, '/different-database$2'))
    assert.equal(await there.resources['users']?.count(), 2, kind)
    const live = await openDatabase(freshConnection(kind))
    await plugin.restore(id, { target: live })
    assert.equal((await live.resources['users']?.get('a'))?.['name'], 'Ann')
  }
})

test(
  'driver:s3db retention thins out what is older than a day, after each backup or when it is asked to',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const db = await sampleDatabase()
    const plugin = await installed(t, db, { config: { path: dir } })
    t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-03-01T01:00:00Z') })
    const made: string[] = []
    for (let step = 0; step < 6; step += 1) {
      made.push((await plugin.backup(step % 2 === 0 ? 'full' : 'incremental')).id)
      t.mock.timers.tick(6 * 3_600_000)
    }
    const ids = async () => (await plugin.listBackups()).map(({ id }) => id).toReversed()
    assert.deepEqual(await plugin.cleanupBackups(), { count: 0, removed: [], bytesFreed: 0 })
    plugin.config.retention = { daily: 7, weekly: 4, monthly: 12, yearly: 3 }
    t.mock.timers.tick(10 * 24 * 3_600_000)
    made.push((await plugin.backup()).id)
    // The last of each day stays, with what it builds on; and the oldest of all.
    assert.deepEqual(
      await ids(),
      [0, 2, 3, 4, 5, 6].map((at) => made[at]),
    )
    for (let hour = 0; hour < 3; hour += 1) {
      t.mock.timers.tick(3_600_000)
      made.push((await plugin.backup()).id)
    }
    assert.equal((await plugin.cleanupBackups()).count, 0)
    assert.deepEqual((await ids()).slice(-4), made.slice(-4))
  },
)

test('driver:s3db modes of files and folders are as told, and private otherwise', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const open = await installed(t, db, {
    config: { path: join(dir, 'open/{date}'), permissions: 0o644, directoryPermissions: 0o755 },
  })
  const shut = await installed(t, db, { config: { path: join(dir, 'shut/{date}') } })
  const mode = (path = '') => statSync(path).mode & 0o777
  const [first, second] = [(await open.backup()).driverInfo, (await shut.backup()).driverInfo] as DriverInfo[]
  assert.deepEqual([mode(first?.path), mode(join(first?.path ?? '', '..'))], [0o644, 0o755])
  assert.deepEqual([mode(second?.path), mode(join(second?.path ?? '', '..'))], [0o600, 0o700])
})

test('driver:s3db backups asked for at once all come about, and stop() ends what is under way', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: dir } })
  const ids = (await Promise.all(['full', 'incremental', 'nightly'].map(async (type) => plugin.backup(type)))).map(
    ({ id }) => id,
  )
  assert.deepEqual((await plugin.listBackups()).map(({ id }) => id).sort(), [...ids].sort())
  const cancelled: string[] = []
  plugin.on('plg:backup:cancelled', ({ id }: { id: string }) => cancelled.push(id))
  const running = assert.rejects(plugin.backup(), { code: 'run.cancelled' })
  const active = [...plugin.activeBackups]
  await plugin.start()
  await plugin.stop()
  await running
  assert.deepEqual(cancelled, active)
  assert.equal(active.length, 1)
  await assert.rejects(plugin.backup('full', { signal: AbortSignal.abort() }), { code: 'run.cancelled' })
  assert.equal((await plugin.listBackups()).length, 3)
  assert.equal((await plugin.getBackupStatus(active[0] ?? ''))?.status, 'failed')
})

test(
  'driver:s3db a plugin that is named before connect, or given to the constructor, harms nothing',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const connection = freshConnection('file')
    const { default: _, ...made } = { default: 0, db: await openDatabase(connection) }
    await made.db.createResource({ name: 'users', attributes: { name: 'string' } })
    const plugin = new BackupPlugin({ config: { path: dir } })
    await assert.rejects(plugin.backup(), /not installed/)
    const again = await openDatabase(connection, { plugins: [plugin] })
    t.after(() => plugin.stop())
    assert.deepEqual(Object.keys(again.resources), ['users'])
    const { id } = await plugin.backup()
    assert.deepEqual((await plugin.getBackupStatus(id))?.resources, ['users'])
    await again.uninstallPlugin('backup').catch(() => plugin.uninstall())
  },
)

test('driver:s3db a database without anything is backed up and restored too', { skip }, async (t) => {
  const db = await openDatabase(freshConnection('memory'))
  const plugin = await installed(t, db, { config: { path: pluginFolder(t) } })
  const { id, size } = await plugin.backup()
  assert.ok(size > 0)
  assert.deepEqual((await plugin.restore(id)).restored, [])
})

test('driver:s3db validation and health tell a good backup from a damaged one', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: dir } })
  assert.deepEqual((await plugin.checkHealth()).problems, ['there is no backup'])
  const { id, driverInfo } = await plugin.backup()
  assert.equal((await plugin.checkHealth()).ok, true)
  assert.match((await plugin.checkHealth({ maxAgeHours: 0 })).problems[0] ?? '', /hours old/)
  const good = await plugin.validateBackup(id)
  assert.deepEqual(good.checks, { exists: 'pass', integrity: 'pass', restore: 'pass', completeness: 'pass' })
  assert.deepEqual((await plugin.validateBackup('full-none')).checks, { exists: 'fail' })
  const { path = '' } = driverInfo as DriverInfo
  const bytes = readFileSync(path)
  bytes[40] = (bytes[40] ?? 0) ^ 1
  writeFileSync(path, bytes)
  const report = await plugin.validationReport()
  assert.deepEqual([report.totalBackups, report.passed, report.failed, report.errors], [1, 0, 1, 0])
  assert.equal(report.validations[0]?.checks.integrity, 'fail')
  const before = await rawObjects(db.client)
  await db.resources['users']?.delete('a')
  const changed = await rawObjects(db.client)
  await assert.rejects(plugin.restore(id), { statusCode: 422, code: 'backup.damaged' })
  assert.deepEqual(await rawObjects(db.client), changed)
  assert.notDeepEqual(before, changed)
  assert.equal(readdirSync(dir).length > 0, true)
})

test(
  'driver:s3db a folder that holds other things is no trouble, and temporary files go where they are told',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    mkdirSync(join(dir, 'backups/other'), { recursive: true })
    writeFileSync(join(dir, 'backups/other/notes.manifest.json'), '{}')
    const db = await sampleDatabase()
    const plugin = await installed(t, db, {
      config: { path: join(dir, 'backups/{date}/{time}/{backupId}') },
      tempDir: join(dir, 'tmp'),
    })
    const { id, driverInfo } = await plugin.backup()
    assert.match((driverInfo as DriverInfo).path ?? '', new RegExp(`/${id}\\.tar\\.gz$`))
    assert.deepEqual(
      (await plugin.listBackups()).map((each) => each.id),
      [id],
    )
    assert.ok(existsSync(join(dir, 'tmp')))
    assert.deepEqual(readdirSync(join(dir, 'tmp')), [])
  },
)

test(
  'driver:s3db a resource that was empty when it was backed up is empty after a restore that replaces',
  { skip },
  async (t) => {
    const db = await sampleDatabase()
    const plugin = await installed(t, db, { config: { path: pluginFolder(t) } })
    await db.resources['posts']?.delete('p')
    const { id } = await plugin.backup()
    await db.resources['posts']?.insert({ id: 'later', title: 'Later' })
    await plugin.restore(id, { mode: 'replace' })
    assert.equal(await db.resources['posts']?.count(), 0)
    assert.equal(await db.resources['users']?.count(), 2)
  },
)
