import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openDatabase } from '../../src/base/sqlite.ts'
import { noPostgres, PASSWORD, startPostgres } from '../servers/postgres.ts'
import { BUCKET, noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { holdfast, scratch } from '../support/holdfast.ts'

const KEY = 'c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTMyYnk='

function shop(dir: string): string {
  using database = openDatabase(join(dir, 'shop.db'))
  database.exec('create table orders (id integer); insert into orders values (1), (2)')
  return 'shop.db'
}

test(
  'driver:postgres driver:s3-versitygw variables alone make a job from PostgreSQL to a bucket, with names and days as asked',
  { skip: noPostgres ?? noVersitygw ?? false },
  async (t) => {
    const postgres = await startPostgres()
    t.after(async () => postgres.stop())
    const s3 = await startVersitygw()
    t.after(async () => s3.stop())
    postgres.sql('postgres', 'create database shop')
    postgres.sql('shop', 'create table orders (id int primary key); insert into orders select generate_series(1, 500)')
    const hf = holdfast(scratch(t))
    writeFileSync(join(hf.dir, 'password'), `${PASSWORD}\n`)
    const env = {
      HOLDFAST_MODE: 'once',
      POSTGRES_HOST: '127.0.0.1',
      POSTGRES_PORT: String(postgres.port),
      POSTGRES_DB: 'shop',
      POSTGRES_USER: 'admin',
      POSTGRES_PASSWORD_FILE: join(hf.dir, 'password'),
      S3_BUCKET: BUCKET,
      S3_PREFIX: 'nightly/',
      AWS_REGION: 'us-east-1',
      AWS_S3_ENDPOINT: s3.endpoint,
      ...s3.env,
      BACKUP_RETENTION_DAYS: '7',
      BACKUP_ENCRYPTION_KEY: KEY,
    }
    const ended = await hf.run([], { env })
    assert.equal(ended.code, 0, ended.stderr)
    for (const secret of [PASSWORD, s3.env['AWS_SECRET_ACCESS_KEY'] ?? '', KEY])
      assert.ok(!(ended.stdout + ended.stderr).includes(secret), 'a secret is shown')
    const [backup] = await hf.json<{ id: string; job: string; source: string }[]>(['list'], { env })
    assert.deepEqual([backup?.job, backup?.source], ['shop', 'postgres'])
    const restored = await hf.run(
      [
        ...'restore latest --vault environment --db postgres --host 127.0.0.1 --user admin --database copy'.split(' '),
        '--port',
        String(postgres.port),
      ],
      { env: { ...env, PGPASSWORD: PASSWORD } },
    )
    assert.equal(restored.code, 0, restored.stderr)
    assert.equal(postgres.sql('copy', 'select count(*) from orders'), '500')
    const shown = await hf.run(['config', 'show', '--origin'], { env })
    assert.equal(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /POSTGRES_DB/)
    for (const secret of [PASSWORD, s3.env['AWS_SECRET_ACCESS_KEY'] ?? '', KEY])
      assert.ok(!shown.stdout.includes(secret))
  },
)

test('a container runs its job on the schedule, writes names with date and time, and ends within its time', async (t) => {
  const hf = holdfast(scratch(t))
  const env = {
    HOLDFAST_MODE: 'all',
    HOLDFAST_SERVER__LISTEN: '127.0.0.1:0',
    SQLITE_FILE: shop(hf.dir),
    BACKUP_TARGET: './out',
    BACKUP_SCHEDULE: '*/2 * * * * *',
    BACKUP_TIMEZONE: 'Asia/Tokyo',
  }
  const { child, ended } = hf.start([], { env })
  const names = (): string[] => (existsSync(join(hf.dir, 'out')) ? readdirSync(join(hf.dir, 'out')) : [])
  const made = (): string | undefined => names().find((name) => name.endsWith('.manifest.json'))
  for (let waited = 0; made() === undefined && waited < 20_000; waited += 200) await sleep(200)
  const stopped = performance.now()
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  assert.equal(code, 0, stderr)
  assert.ok(performance.now() - stopped < 10_000, 'it ended in the time that container engines grant')
  assert.match(made() ?? '', /^shop\.db_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.manifest\.json$/)
  assert.match(stderr, /checked: shop\.db and environment can be reached/)
  assert.deepEqual(
    names().filter((name) => name.includes('lease') || name.startsWith('.')),
    [],
  )
})

test('all that is wrong with the variables is said at once, by their names, and nothing runs', async (t) => {
  const hf = holdfast(scratch(t))
  const { code, stdout, stderr } = await hf.run([], {
    env: {
      HOLDFAST_MODE: 'all',
      POSTGRES_HOST: 'db',
      POSTGRES_PORT: '99999',
      POSTGRES_PASSWORD_FILE: '/nowhere/password',
      S3_BUCKET: 'b',
      AWS_ACCESS_KEY_ID: 'an-id',
      BACKUP_SCHEDULE: '61 * * * *',
      BACKUP_RETENTION_DAYS: 'seven',
      LOG_LEVEL: 'loud',
    },
  })
  assert.equal(code, 2)
  assert.equal(stdout, '')
  for (const said of [
    /POSTGRES_USER: is missing/,
    /POSTGRES_PORT: must be at most 65535/,
    /POSTGRES_PASSWORD_FILE: the file .* cannot be read/,
    /AWS_ACCESS_KEY_ID is given without AWS_SECRET_ACCESS_KEY/,
    /BACKUP_SCHEDULE: .*61 is no minute/,
    /BACKUP_RETENTION_DAYS: "seven" is no whole number/,
    /LOG_LEVEL: must be one of/,
  ])
    assert.match(stderr, said)
})

test('variables of other programs do not get in the way of a command that needs none', async (t) => {
  const hf = holdfast(scratch(t))
  writeFileSync(join(hf.dir, 'a'), 'content')
  const env = { POSTGRES_HOST: 'db', POSTGRES_PORT: 'none of your business' }
  const { code, stderr } = await hf.run(['backup', 'a', '--to', './vault'], { env })
  assert.equal(code, 0, stderr)
})

test('a value with a dollar sign is taken as it is', async (t) => {
  const hf = holdfast(scratch(t))
  const name = 'odd${env:HOME}.db'
  using database = openDatabase(join(hf.dir, name))
  database.exec('create table t (a)')
  const env = { HOLDFAST_MODE: 'once', SQLITE_FILE: name, BACKUP_TARGET: './out' }
  const { code, stderr } = await hf.run([], { env })
  assert.equal(code, 0, stderr)
})
