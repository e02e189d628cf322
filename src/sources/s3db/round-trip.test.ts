import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { memory } from '../../storage/memory.ts'
import type { Vault } from '../../model/vault.ts'
import { openVault } from '../../../test/support/archive.ts'
import {
  closeDatabases,
  freshConnection,
  noS3db,
  openDatabase,
  rawObjects,
  removeFolders,
  s3dbPasswords,
  type Database,
} from '../../../test/support/s3db.ts'
import { openClient, s3db } from './source.ts'
import { s3dbTarget, type S3dbTargetSettings } from './target.ts'

after(async () => {
  await closeDatabases()
  removeFolders()
})

const skip = noS3db

async function backup(
  db: Database,
  vault: Vault,
  type: 'full' | 'incremental' = 'full',
  time = new Date(),
): Promise<string> {
  const warnings: string[] = []
  const reading = await s3db(openClient(db.client)).read({ onWarning: ({ message }) => warnings.push(message) })
  try {
    const outcome = await vault.backup({
      job: 'db',
      source: 's3db',
      paths: ['db'],
      reading,
      type,
      tags: [],
      host: 'here',
      time,
    })
    assert.deepEqual(warnings, [])
    return outcome.backup.id
  } finally {
    await reading.close()
  }
}

async function restore(vault: Vault, id: string, db: Database, settings: S3dbTargetSettings = {}) {
  const target = s3dbTarget(openClient(db.client), settings)
  const open = () => vault.open(id, { transient: true })
  await target.check?.(open, {})
  return target.write(open(), { onWarning: () => {} })
}

async function sample(db: Database): Promise<void> {
  const users = await db.createResource({
    name: 'users',
    behavior: 'body-overflow',
    timestamps: true,
    // Else references are written some time after the record.
    asyncPartitions: false,
    attributes: { name: 'string|required', note: 'string|optional', age: 'number|optional', region: 'string|optional' },
    partitions: { byRegion: { fields: { region: 'string' } } },
  })
  await users.insert({ id: 'a', name: 'Ünïcode 漢字', region: 'EU', age: 3 })
  await users.insert({ id: 'b', name: 'null', region: 'US', note: 'x'.repeat(5000) })
  await users.insert({ id: 'c', name: 'plain', region: 'EU' })
  await users.setContent({ id: 'c', buffer: Buffer.from([0, 255, 10, 13, 0]), contentType: 'application/x-odd' })
}

/** All but the time of the object, which the storage sets. */
async function users(db: Database): Promise<Record<string, unknown>[]> {
  const rows = (await db.resources['users']?.getAll()) ?? []
  return rows
    .map((row): Record<string, unknown> => ({ ...row, _lastModified: undefined }))
    .sort((x, y) => String(x['id']).localeCompare(String(y['id'])))
}

for (const from of ['memory', 'file', 'sqlite'] as const)
  for (const to of ['memory', 'file', 'sqlite'] as const)
    test(`driver:s3db objects from ${from} to ${to} are identical`, { skip }, async () => {
      const source = await openDatabase(freshConnection(from))
      await sample(source)
      const vault = await openVault(memory())
      const id = await backup(source, vault)
      const connection = freshConnection(to)
      const target = await openDatabase(connection)
      await restore(vault, id, target, { overwrite: 'always' })
      await target.connect()
      const [a, b] = [await rawObjects(source.client, ['users']), await rawObjects(target.client, ['users'])]
      a.delete('s3db.json')
      b.delete('s3db.json')
      assert.deepEqual([...b.keys()], [...a.keys()])
      assert.deepEqual(b, a)
      assert.ok(a.size >= 3 + 3 * 3, `${a.size} objects`)
      const fresh = await openDatabase(connection)
      const again = await openDatabase((source.client as unknown as { connectionString: string }).connectionString)
      assert.deepEqual(await users(fresh), await users(again))
      const inEurope = await fresh.resources['users']?.list({
        partition: 'byRegion',
        partitionValues: { region: 'EU' },
      })
      assert.deepEqual(inEurope?.map(({ id: each }) => each).sort(), ['a', 'c'])
    })

// Each hash takes some tenths of a second.
for (const to of ['file', 'sqlite'] as const)
  test(
    `driver:s3db hashes of passwords come back to ${to} as they are, and still know their password`,
    { skip },
    async () => {
      const source = await openDatabase(freshConnection('memory'))
      const accounts = await source.createResource({
        name: 'accounts',
        timestamps: true,
        attributes: { name: 'string|required', password: 'password|required' },
      })
      await accounts.insert({ id: 'a', name: 'one', password: 'open-sesame' })
      await accounts.insert({ id: 'b', name: 'other', password: 'Ünïcode 漢字' })
      const vault = await openVault(memory())
      const id = await backup(source, vault)
      const connection = freshConnection(to)
      await restore(vault, id, await openDatabase(connection), { overwrite: 'always' })
      const restored = await openDatabase(connection)
      const objects = [await rawObjects(restored.client, ['accounts']), await rawObjects(source.client, ['accounts'])]
      for (const each of objects) each.delete('s3db.json')
      assert.deepEqual(objects[0], objects[1])
      const stored = (await restored.resources['accounts']?.get('b'))?.['password']
      const verify = await s3dbPasswords()
      assert.notEqual(stored, 'Ünïcode 漢字')
      assert.equal(await verify('Ünïcode 漢字', String(stored)), true)
      assert.equal(await verify('open-sesame', String(stored)), false)
    },
  )

test('driver:s3db each link of a chain brings back its own moment, deletions too', { skip }, async () => {
  const source = await openDatabase(freshConnection('memory'))
  await sample(source)
  const vault = await openVault(memory())
  const start = Date.now()
  const moments: { id: string; objects: unknown }[] = []
  const keep = async (type: 'full' | 'incremental'): Promise<void> => {
    const id = await backup(source, vault, type, new Date(start + moments.length * 60_000))
    moments.push({ id, objects: await rawObjects(source.client) })
  }
  await keep('full')
  await source.resources['users']?.update('a', { region: 'US' })
  await source.resources['users']?.delete('b')
  await keep('incremental')
  await source.resources['users']?.insert({ id: 'd', name: 'new', region: 'EU' })
  await keep('incremental')
  for (const { id, objects } of moments) {
    const target = await openDatabase(freshConnection('memory'))
    await restore(vault, id, target, { overwrite: 'always', delete: true })
    const found = await rawObjects(target.client)
    for (const each of [found, objects as typeof found]) each.delete('s3db.json')
    assert.deepEqual(found, objects)
  }
})

test(
  'driver:s3db a row that differs is refused before anything is written, and overwriting it moves its references',
  { skip },
  async () => {
    const db = await openDatabase(freshConnection('memory'))
    await sample(db)
    const vault = await openVault(memory())
    const id = await backup(db, vault)
    const unchanged = await restore(vault, id, db)
    assert.equal(unchanged.files, 0)
    await db.resources['users']?.delete('c')
    await db.resources['users']?.update('a', { region: 'US' })
    const before = await rawObjects(db.client)
    await assert.rejects(restore(vault, id, db), { code: 'restore.exists' })
    assert.deepEqual(await rawObjects(db.client), before)
    await restore(vault, id, db, { overwrite: 'always' })
    await db.connect()
    const inUs = await db.resources['users']?.list({ partition: 'byRegion', partitionValues: { region: 'US' } })
    assert.deepEqual(
      inUs?.map(({ id: each }) => each),
      ['b'],
    )
    assert.equal(await db.resources['users']?.count(), 3)
  },
)

test('driver:s3db an incremental backup of nothing changed reads no object but the description', { skip }, async () => {
  const db = await openDatabase(freshConnection('memory'))
  await sample(db)
  const vault = await openVault(memory())
  await new Promise((resolve) => setTimeout(resolve, 2100))
  await backup(db, vault, 'full', new Date(Date.now() - 60_000))
  const read: string[] = []
  const { client } = db
  const watched = {
    ...db,
    client: Object.create(client, {
      getObject: { value: async (key: string) => (read.push(key), client.getObject(key)) },
    }) as typeof client,
  }
  await backup(watched, vault, 'incremental')
  assert.deepEqual([...new Set(read)], ['s3db.json'])
})
