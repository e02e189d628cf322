import assert from 'node:assert/strict'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { BackupPlugin, open, s3db, s3dbClient, s3dbTarget } from '../../src/index.ts'
import { holdfast, scratch, summary } from '../support/holdfast.ts'
import { closeDatabases, folder, noS3db, openDatabase } from '../support/s3db.ts'

after(closeDatabases)

const skip = noS3db

test(
  'driver:s3db a database is backed up, listed, verified and restored from the command line',
  { skip },
  async (t) => {
    const dir = scratch(t, 's3db')
    symlinkSync(join(folder(), 'node_modules'), join(dir, 'node_modules'))
    const url = `sqlite://${dir}/shop.sqlite`
    const db = await openDatabase(url)
    const items = await db.createResource({ name: 'items', attributes: { name: 'string', price: 'number|optional' } })
    await items.insert({ id: 'one', name: 'Käse', price: 2.5 })
    const env = { HOLDFAST_S3DB_CONNECTION: url, HOLDFAST_VAULT: './vault', HOLDFAST_PASSWORD: 'correct horse' }
    const { run } = holdfast(dir)
    const ok = async (args: string[], more: Record<string, string> = {}) => {
      const ended = await run(args, { env: { ...env, ...more } })
      assert.equal(ended.code, 0, ended.stderr)
      return ended.stdout
    }
    const full = String(summary(await ok(['s3db', 'full', '--json']))['backup_id'])
    assert.match(full, /^full-/)
    await items.insert({ id: 'two', name: 'Brot' })
    const second = String(summary(await ok(['s3db', 'incremental', '--json']))['backup_id'])
    assert.match(second, /^incremental-/)
    assert.match(await ok(['s3db', '--list']), new RegExp(`${full}[^]*${second}`))
    assert.match(await ok(['list']), new RegExp(second))
    assert.match(await ok(['s3db', '--status', second]), /completed[^]*items: 2 records/)
    assert.match(await ok(['verify', second, '--level', 'V4']), /proved to V4/)

    const copy = `file://${dir}/copy`
    await ok(['s3db', 'restore', second], { HOLDFAST_S3DB_CONNECTION: copy })
    const there = await openDatabase(copy)
    assert.equal((await there.resources['items']?.get('one'))?.['name'], 'Käse')
    assert.equal(await there.resources['items']?.count(), 2)

    await items.update('one', { name: 'changed' })
    const refused = await run(['s3db', 'restore', full], { env })
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /restore\.exists/)
    assert.equal((await items.get('one'))['name'], 'changed')
    await ok(['s3db', 'restore', full, '--overwrite', '--delete'])
    assert.equal((await items.get('one'))['name'], 'Käse')
    assert.equal(await items.count(), 1)

    const wrong = await run(['s3db', 'restore', full], { env: { ...env, HOLDFAST_PASSWORD: 'wrong' } })
    assert.equal(wrong.code, 12)

    writeFileSync(
      join(dir, 'holdfast.yaml'),
      `version: 1\nvaults: { v: { storage: "file:./jobs", format: archive } }\njobs: { shop: { source: { type: s3db, url: "${url}" }, vaults: v } }\n`,
    )
    const job = summary(await ok(['backup', 'shop', '--json'], { HOLDFAST_VAULT: '' }))
    assert.equal(job['status'], 'success')
  },
)

test(
  'driver:s3db backup --db s3db and restore to an address do the same, and the plugin reads what they made',
  { skip },
  async (t) => {
    const dir = scratch(t, 's3db')
    symlinkSync(join(folder(), 'node_modules'), join(dir, 'node_modules'))
    const url = `sqlite://${dir}/shop.sqlite`
    const db = await openDatabase(url)
    for (const name of ['items', 'logs']) {
      const resource = await db.createResource({ name, attributes: { name: 'string' } })
      await resource.insert({ id: 'one', name: `of ${name}` })
    }
    const env = { HOLDFAST_PASSWORD: 'correct horse' }
    const { run } = holdfast(dir)
    const ok = async (args: string[]): Promise<string> => {
      const ended = await run(args, { env })
      assert.equal(ended.code, 0, ended.stderr)
      return ended.stdout
    }
    const made = summary(await ok(['backup', '--db', 's3db', '--url', url, '--out', './out', '--encrypt', '--json']))
    assert.equal(made['type'], 'full')
    const part = ['--table', 'it*', '--job', 'part']
    await ok(['backup', '--db', 's3db', '--url', url, ...part, '--to', './out'])
    const copy = `file://${dir}/copy`
    const id = String(made['backup_id'])
    const tried = await ok(['restore', id, '--vault', './out', '--to', copy, '--dry-run'])
    assert.match(tried, /dry run: 3 create/)
    await ok(['restore', id, '--vault', './out', '--to', copy, '--only', 'items'])
    const there = await openDatabase(copy)
    assert.deepEqual(Object.keys(there.resources), ['items'])
    await db.resources['items']?.update('one', { name: 'changed' })
    const refused = await run(['restore', id, '--vault', './out', '--db', 's3db', '--url', url], { env })
    assert.deepEqual([refused.code, (await db.resources['items']?.get('one'))?.['name']], [1, 'changed'])
    await ok(['restore', id, '--vault', './out', '--db', 's3db', '--url', url, '--overwrite', 'always'])
    assert.equal((await db.resources['items']?.get('one'))?.['name'], 'of items')
    for (const wrong of [
      ['--in-place'],
      ['--db', 's3db', '--url', url, '--delete'],
      ['--db', 's3db', '--url', url, '--host', 'h'],
    ])
      assert.equal((await run(['restore', id, '--vault', './out', ...wrong], { env })).code, 2, wrong.join(' '))

    const encryption = { algorithm: 'AES-256-GCM', key: 'correct horse' }
    const plugin = new BackupPlugin({ config: { path: join(dir, 'out') }, encryption })
    t.after(() => plugin.stop())
    await db.usePlugin(plugin)
    assert.deepEqual(
      (await plugin.listBackups()).map(({ records }) => records),
      [{ items: 1 }, { items: 1, logs: 1 }],
    )
    await db.resources['logs']?.delete('one')
    await plugin.restore(id)
    assert.equal(await db.resources['logs']?.count(), 1)
    // And the other way round.
    const own = (await plugin.backup('nightly', { metadata: { by: 'the plugin' } })).id
    const listed = JSON.parse(await ok(['list', '--vault', './out', '--json'])) as { id: string; source: string }[]
    assert.deepEqual([listed.at(-1)?.id, listed.at(-1)?.source], [own, 's3db'])
    assert.match(await ok(['verify', own, '--vault', './out', '--level', 'V4']), /proved to V4/)
    await ok(['s3db', 'restore', own, '--vault', './out', '--connection', `sqlite://${dir}/third.sqlite`])
    assert.equal(await (await openDatabase(`sqlite://${dir}/third.sqlite`)).resources['items']?.count(), 1)
  },
)

test('driver:s3db an open database is backed up and restored in place by the library', { skip }, async (t) => {
  const dir = scratch(t, 's3db')
  const db = await openDatabase(`sqlite://${dir}/app.sqlite`)
  for (const name of ['users', 'logs']) await db.createResource({ name, attributes: { name: 'string' } })
  await db.resources['users']?.insert({ id: 'a', name: 'Ann' })
  await db.resources['logs']?.insert({ id: 'l', name: 'line' })
  await using library = await open({ version: 1, server: { dataDir: `${dir}/state` } }, { env: {} })
  const vault = `${dir}/vault`
  const source = s3db(s3dbClient(db.client), { include: ['us*'] })
  const { id, files } = await library.backup({ source, job: 'app', vault })
  assert.equal(files, 2)
  await db.resources['users']?.delete('a')
  await library.restore({ vault, backup: id, target: s3dbTarget(s3dbClient(db.client)) })
  await db.connect()
  assert.equal((await db.resources['users']?.get('a'))?.['name'], 'Ann')
  assert.equal(await db.resources['logs']?.count(), 1)
})

test('without s3db.js the command says what to install, and a mistyped file is no empty database', async (t) => {
  const { run, dir } = holdfast(scratch(t, 's3db'))
  const ended = await run(['s3db', 'full', '--vault', './v'], {
    env: { HOLDFAST_S3DB_CONNECTION: `sqlite://${dir}/no` },
  })
  assert.equal(ended.code, 14)
  assert.match(ended.stderr, /npm install s3db\.js/)
})
