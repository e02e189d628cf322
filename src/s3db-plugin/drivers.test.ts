import assert from 'node:assert/strict'
import { S3Client } from '@aws-sdk/client-s3'
import { chmodSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, brotliDecompressSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { after, before, test } from 'node:test'
import { BUCKET, noVersitygw, startVersitygw, type S3Server } from '../../test/servers/s3-servers.ts'
import {
  closeDatabases,
  freshConnection,
  noS3db,
  openDatabase,
  rawObjects,
  removeFolders,
  type Database,
} from '../../test/support/s3db.ts'
import { fill, installed, pluginFolder, sampleDatabase } from '../../test/support/s3db-plugin.ts'
import { BackupPlugin, type CompressionType, type DriverInfo } from './index.ts'

after(async () => {
  await closeDatabases()
  removeFolders()
})
const skip = noS3db

const servers: { name: string; unavailable: string | undefined; start(): Promise<S3Server> }[] = [
  { name: 's3-versitygw', unavailable: noVersitygw, start: startVersitygw },
]

const keysOf = (server: S3Server) => ({
  accessKeyId: server.env['AWS_ACCESS_KEY_ID'] ?? '',
  secretAccessKey: server.env['AWS_SECRET_ACCESS_KEY'] ?? '',
})

async function roundTrip(plugin: BackupPlugin, db: Database): Promise<DriverInfo> {
  const first = await plugin.backup('full')
  await db.resources['users']?.update('a', { name: 'Anna' })
  const expected = await rawObjects(db.client, ['users'])
  const { id, driverInfo } = await plugin.backup('incremental')
  assert.equal((await plugin.getBackupStatus(id))?.parent, first.id)
  const other = await openDatabase(freshConnection('memory'))
  await plugin.restore(id, { target: other })
  const found = await rawObjects(other.client, ['users'])
  for (const each of [expected, found])
    for (const key of each.keys()) if (!key.startsWith('resource=')) each.delete(key)
  assert.deepEqual(found, expected)
  assert.equal((await plugin.validateBackup(id)).overall, 'pass')
  return driverInfo as DriverInfo
}

for (const { name, unavailable, start } of servers) {
  const why = skip ?? unavailable
  let server: S3Server
  before(async () => {
    if (why === undefined) server = await start()
  })
  after(async () => {
    if (why === undefined) await server.stop()
  })

  test(
    `driver:${name} driver:s3db the s3 driver with its own settings stores below its path`,
    { skip: why },
    async (t) => {
      const db = await sampleDatabase()
      const { endpoint } = server
      const plugin = await installed(t, db, {
        driver: 's3',
        config: { bucket: BUCKET, path: 'database/{date}/', endpoint, storageClass: 'STANDARD', ...keysOf(server) },
      })
      const info = await roundTrip(plugin, db)
      assert.equal(info.bucket, BUCKET)
      assert.match(info.key ?? '', /^database\/\d{4}-\d\d-\d\d\/incremental-.*\.tar\.gz$/)
      assert.equal(info.storageClass, 'STANDARD')
    },
  )

  test(
    `driver:${name} driver:s3db the s3 driver takes a client of the SDK, and leaves it open`,
    { skip: why },
    async (t) => {
      const db = await sampleDatabase()
      const client = new S3Client({
        endpoint: server.endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: keysOf(server),
      })
      t.after(() => client.destroy())
      const plugin = await installed(t, db, { driver: 's3', config: { bucket: BUCKET, path: 'sdk/', client } })
      await roundTrip(plugin, db)
      await plugin.stop()
      assert.equal((await plugin.listBackups()).length, 2)
    },
  )

  test(
    `driver:${name} driver:s3db storage class and encryption by the server are asked for, and what is cold is not read back`,
    { skip: why },
    async (t) => {
      const db = await sampleDatabase()
      const client = new S3Client({
        endpoint: server.endpoint,
        region: 'us-east-1',
        forcePathStyle: true,
        credentials: keysOf(server),
      })
      t.after(() => client.destroy())
      const asked: Record<string, unknown>[] = []
      // The server here knows neither: what was asked for is noted, and taken out.
      const noting = {
        send(command: { input: Record<string, unknown> }, ...rest: unknown[]) {
          asked.push({ ...command.input, command: command.constructor.name })
          for (const name of ['StorageClass', 'ServerSideEncryption', 'SSEKMSKeyId'])
            Reflect.deleteProperty(command.input, name)
          return Reflect.apply(client.send, client, [command, ...rest]) as unknown
        },
      }
      const plugin = await installed(t, db, {
        driver: 's3',
        config: {
          bucket: BUCKET,
          path: 'cold/{date}/',
          storageClass: 'GLACIER',
          serverSideEncryption: 'aws:kms',
          kmsKeyId: 'arn:aws:kms:region:account:key/key-id',
          client: noting,
        },
      })
      const { driverInfo } = await plugin.backup()
      const puts = asked.filter(({ command }) => command === 'PutObjectCommand')
      assert.ok(puts.length > 0)
      for (const put of puts)
        assert.deepEqual(
          [put['ServerSideEncryption'], put['SSEKMSKeyId']],
          ['aws:kms', 'arn:aws:kms:region:account:key/key-id'],
        )
      const archive = (driverInfo as DriverInfo).key
      assert.deepEqual(
        puts.filter((put) => put['StorageClass'] === 'GLACIER').map((put) => put['Key']),
        [archive],
      )
      const read = asked.filter(({ command, Key }) => command === 'GetObjectCommand' && Key === archive)
      assert.deepEqual(read, [])
    },
  )

  test(
    `driver:${name} driver:s3db a database in a bucket is backed up into its own bucket, without its backups in it`,
    { skip: why },
    async (t) => {
      const { accessKeyId, secretAccessKey } = keysOf(server)
      const address = server.endpoint.replace('://', `://${accessKeyId}:${secretAccessKey}@`)
      // Its pool asks again, for seconds, for what is not there.
      const options = { executorPool: false }
      for (const [prefix, path] of [
        ['databases/app', 'backups/{date}/'],
        ['databases/inner', 'databases/inner/backups/{date}/'],
      ] as const) {
        const db = await openDatabase(`${address}/${BUCKET}/${prefix}`, options)
        await fill(db)
        const plugin = await installed(t, db, { driver: 's3', config: { path } })
        const { id } = await plugin.backup()
        const second = await plugin.backup()
        const status = await plugin.getBackupStatus(second.id)
        assert.deepEqual(status?.records, { posts: 1, users: 2 })
        const other = await openDatabase(freshConnection('sqlite'))
        await plugin.restore(second.id, { target: other })
        const found = [...(await rawObjects(other.client, ['users'])).keys()]
        assert.equal(
          found.some((key) => key.includes('backup')),
          false,
        )
        assert.equal(await other.resources['users']?.count(), 2)
        const inEurope = await other.resources['users']?.list({
          partition: 'byRegion',
          partitionValues: { region: 'EU' },
        })
        assert.deepEqual(
          inEurope?.map((row) => row['id']),
          ['a'],
        )
        await db.resources['users']?.delete('a')
        await plugin.restore(id)
        assert.equal((await db.resources['users']?.get('a'))?.['name'], 'Ann')
        await plugin.restore(id, { target: 'copy' })
        const copy = await openDatabase(`${address}/${BUCKET}/${prefix.replace(/[^/]+$/, 'copy')}`, options)
        assert.equal(await copy.resources['posts']?.count(), 1)
        const { client } = copy
        for (const key of await client.getAllKeys({ prefix: '' })) await client.deleteObject(key)
      }
    },
  )
}

test('driver:s3db without a bucket the s3 driver stores through the client of the database', { skip }, async (t) => {
  for (const kind of ['memory', 'file', 'sqlite'] as const) {
    const db = await sampleDatabase(kind)
    const plugin = await installed(t, db, {
      driver: 's3',
      config: {},
      encryption: { algorithm: 'aes-256-gcm', key: 'k'.repeat(20) },
    })
    await roundTrip(plugin, db)
  }
  const [db, elsewhere] = [await sampleDatabase(), await openDatabase(freshConnection('file'))]
  await roundTrip(await installed(t, db, { driver: 's3', config: { client: elsewhere.client, path: '' } }), db)
})

const UNPACK: Record<CompressionType, ((bytes: Buffer) => Buffer) | undefined> = {
  none: undefined,
  gzip: gunzipSync,
  brotli: brotliDecompressSync,
  deflate: inflateSync,
  zstd: zstdDecompressSync,
}

for (const compression of ['none', 'gzip', 'brotli', 'deflate', 'zstd'] as const)
  test(`driver:s3db compression ${compression} is what the archive has`, { skip }, async (t) => {
    const db = await sampleDatabase()
    const plugin = await installed(t, db, { config: { path: pluginFolder(t) }, compression })
    const { path = '' } = await roundTrip(plugin, db)
    const bytes = readFileSync(path)
    const tar = UNPACK[compression]?.(bytes) ?? bytes
    assert.equal(tar.subarray(257, 262).toString(), 'ustar')
    assert.ok(tar.includes('Anna'))
  })

const DERIVATIONS = {
  'the key as a password': undefined,
  PBKDF2: { algorithm: 'PBKDF2', iterations: 100_000, salt: 'backup-salt-2024' },
  scrypt: { algorithm: 'scrypt' },
}

for (const [name, keyDerivation] of Object.entries(DERIVATIONS))
  test(
    `driver:s3db encryption by ${name} leaves nothing readable, and another key opens nothing`,
    { skip },
    async (t) => {
      const dir = pluginFolder(t)
      const db = await sampleDatabase()
      const encryption = {
        algorithm: 'AES-256-GCM',
        key: 'correct horse battery staple',
        ...(keyDerivation && { keyDerivation }),
      }
      const plugin = await installed(t, db, { config: { path: dir }, encryption })
      const info = await roundTrip(plugin, db)
      const everything = globSync(`${dir}/**/*`).filter((file) => /\.enc$|json$/.test(file))
      for (const file of everything) {
        const bytes = readFileSync(file)
        assert.equal(bytes.includes('Anna') || bytes.includes('ustar') || bytes.includes('correct horse'), false, file)
      }
      assert.match(info.path ?? '', /\.tar\.gz\.enc$/)
      const [record] = await plugin.listBackups()
      assert.equal(record?.encrypted, true)
      if (keyDerivation?.algorithm === 'PBKDF2') {
        const { encryption: told } = JSON.parse(readFileSync(info.manifestPath ?? '', 'utf8')) as {
          encryption: { kdf: { salt: string } }
        }
        assert.deepEqual(
          { ...told.kdf, salt: Buffer.from(told.kdf.salt, 'base64').toString() },
          { type: 'pbkdf2-sha256', iterations: 100_000, salt: 'backup-salt-2024' },
        )
      }
      const wrong = new BackupPlugin({ config: { path: dir }, encryption: { ...encryption, key: 'wrong horse' } })
      await wrong.install(db)
      t.after(() => wrong.stop())
      const before = await rawObjects(db.client)
      await db.resources['users']?.delete('b')
      const now = await rawObjects(db.client)
      await assert.rejects(wrong.restore(record?.id ?? ''), { code: 'vault.wrong-password' })
      await assert.rejects(wrong.backup(), { code: 'vault.wrong-password' })
      const none = new BackupPlugin({ config: { path: dir } })
      await none.install(db)
      t.after(() => none.stop())
      await assert.rejects(none.restore(record?.id ?? ''), { code: 'vault.no-password' })
      assert.deepEqual(await rawObjects(db.client), now)
      assert.notDeepEqual(before, now)
      assert.equal((await plugin.listBackups()).length, 2)
    },
  )

test('driver:s3db a raw key, and another derivation later, open what was made before', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const key = Buffer.alloc(32, 7).toString('base64')
  const raw = await installed(t, db, { config: { path: dir }, encryption: { algorithm: 'AES-256-GCM', key } })
  const first = await raw.backup()
  const keyDerivation = { algorithm: 'PBKDF2', iterations: 1000, salt: 'new' }
  const later = await installed(t, db, {
    config: { path: dir },
    encryption: { algorithm: 'AES-256-GCM', key, keyDerivation },
  })
  const second = await later.backup('incremental')
  for (const { id } of [first, second]) assert.equal((await later.validateBackup(id)).overall, 'pass')
  assert.equal((await later.getBackupStatus(second.id))?.parent, first.id)
})

test(
  'driver:s3db multi: all writes everywhere, any is content with one, priority stops at the first',
  { skip },
  async (t) => {
    const dir = pluginFolder(t)
    const db = await sampleDatabase()
    const place = (name: string) => ({ driver: 'filesystem' as const, config: { path: join(dir, name, '{date}') } })
    writeFileSync(join(dir, 'blocked'), 'a file where a folder should be')
    const multi = async (strategy: 'all' | 'any' | 'priority', ...names: string[]) =>
      installed(t, db, { driver: 'multi', config: { strategy, concurrency: 2, destinations: names.map(place) } })

    const all = await multi('all', 'a', 'b', 'c')
    const made = await all.backup()
    const infos = made.driverInfo as DriverInfo[]
    assert.deepEqual(
      infos.map(({ destination, status }) => [destination, status]),
      [
        [0, 'success'],
        [1, 'success'],
        [2, 'success'],
      ],
    )
    for (const { path } of infos) assert.ok(readFileSync(path ?? '').length > 0)
    const [listed] = await all.listBackups()
    assert.deepEqual([listed?.id, listed?.status], [made.id, 'completed'])
    // The first copy is damaged, the second gone: the third restores.
    const bytes = readFileSync(infos[0]?.path ?? '')
    bytes[30] = (bytes[30] ?? 0) ^ 1
    writeFileSync(infos[0]?.path ?? '', bytes)
    rmSync(join(dir, 'b'), { recursive: true })
    await db.resources['users']?.delete('a')
    await all.restore(made.id)
    assert.equal(await db.resources['users']?.count(), 2)
    const partial = await all.getBackupStatus(made.id)
    assert.equal(partial?.status, 'partial')
    assert.match(partial.error ?? '', /destination 1: missing/)
    assert.equal((await all.validateBackup(made.id)).overall, 'fail')
    await all.deleteBackup(made.id)
    assert.deepEqual(await all.listBackups(), [])

    const failing = await multi('all', 'd', 'blocked')
    await assert.rejects(failing.backup(), { name: 'BackupError', message: /1 of 2 destinations failed/ })
    const any = await multi('any', 'blocked', 'e')
    const some = await any.backup()
    assert.deepEqual(
      (some.driverInfo as DriverInfo[]).map(({ status }) => status),
      ['failed', 'success'],
    )
    assert.equal((await any.listBackups())[0]?.status, 'completed')
    const none = await multi('any', 'blocked')
    await assert.rejects(none.backup())
    const priority = await multi('priority', 'blocked', 'f', 'g')
    const one = await priority.backup()
    assert.deepEqual(
      (one.driverInfo as DriverInfo[]).map(({ status }) => status),
      ['failed', 'success'],
    )
    assert.equal((await priority.restore(one.id)).restored.length, 2)
    await assert.rejects((await multi('all', 'a', 'a')).backup(), /two destinations are the same place/)
  },
)

test('driver:s3db a missing link is named before anything is written', { skip }, async (t) => {
  const dir = pluginFolder(t)
  const db = await sampleDatabase()
  const plugin = await installed(t, db, { config: { path: dir } })
  const first = await plugin.backup()
  await db.resources['users']?.update('a', { name: 'Anna' })
  const { id } = await plugin.backup('incremental')
  mkdirSync(join(dir, 'aside'))
  rmSync((first.driverInfo as DriverInfo).path ?? '')
  const now = await rawObjects(db.client)
  await assert.rejects(plugin.restore(id, { overwrite: true }), /missing/)
  assert.deepEqual(await rawObjects(db.client), now)
  const status = await plugin.getBackupStatus(id)
  assert.deepEqual([status?.status, /missing/.test(status?.error ?? '')], ['failed', true])
  chmodSync(dir, 0o700)
})
