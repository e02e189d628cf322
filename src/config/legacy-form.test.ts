import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import type { Settings } from '../model/settings.ts'
import { parseStorageUrl } from '../storage/open.ts'
import type { Fault } from './faults.ts'
import { loadConfig } from './load.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-jobs-'))
after(() => rm(folder, { recursive: true }))

async function load(name: string, content: string | object, env: Record<string, string> = {}): Promise<Settings> {
  const file = join(folder, name)
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content, undefined, 2), { mode: 0o600 })
  return (await loadConfig({ cwd: folder, explicitPath: file, env, parseStorageUrl })).settings
}

async function faultsOf(name: string, content: string | object): Promise<Fault[]> {
  try {
    await load(name, content)
  } catch (error) {
    if (isAppError(error, 'config.invalid')) return error.details['faults'] as Fault[]
    throw error
  }
  return assert.fail('there should be faults')
}

const JSON_FILE = {
  s3: { bucket: 'my-backups', region: 'eu-central-1', endpoint: 'http://127.0.0.1:9000', prefix: 'prod/' },
  encryption: { password: 'job-file-password' },
  jobs: [
    { name: 'redis', path: '/var/lib/redis/dump.rdb', retentionCount: 5 },
    { name: 'site', source: './site', destination: 'web/', retentionCount: 3, exclude: ['*.log'] },
  ],
  report: { path: './reports/last.html' },
  email: {
    smtp: { host: 'mail.example.org', port: 465, secure: true, auth: { user: 'backup', pass: 'mail-password' } },
    from: 'backup@example.org',
    to: ['ops@example.org', 'dev@example.org'],
  },
}

test('a JSON job file becomes vaults, jobs, a report and mail', async () => {
  const { vaults, jobs, report, notify } = await load('jobs.json', JSON_FILE)
  const s3 = { type: 's3', bucket: 'my-backups', region: 'eu-central-1', endpoint: 'http://127.0.0.1:9000' }
  assert.deepEqual(vaults['s3']?.storage, { ...s3, prefix: 'prod/' })
  assert.deepEqual(vaults['s3-web']?.storage, { ...s3, prefix: 'prod/web/' })
  assert.equal(vaults['s3']?.format, 'archive')
  assert.equal(vaults['s3']?.encryption?.type, 'aes-256-gcm')
  assert.equal(await vaults['s3-web']?.encryption?.password?.read(), 'job-file-password')
  assert.deepEqual(jobs['redis']?.source, { type: 'files', paths: ['/var/lib/redis/dump.rdb'] })
  assert.deepEqual([jobs['redis']?.vaults, jobs['redis']?.retention], [['s3'], { last: 5 }])
  assert.deepEqual(jobs['site']?.source, { type: 'files', paths: [join(folder, 'site')], exclude: ['*.log'] })
  assert.deepEqual([jobs['site']?.vaults, jobs['site']?.retention], [['s3-web'], { last: 3 }])
  assert.equal(report?.html, join(folder, 'reports/last.html'))
  const mail = notify['mail']
  assert.ok(mail?.type === 'email')
  assert.equal(await mail.smtp.password?.read(), 'mail-password')
  const { password: _, ...smtp } = mail.smtp
  assert.deepEqual(smtp, { host: 'mail.example.org', port: 465, secure: true, user: 'backup' })
  assert.deepEqual(
    [mail.to, mail.on],
    [
      ['ops@example.org', 'dev@example.org'],
      ['failure', 'warning'],
    ],
  )
})

test('a TOML job file with policies, prefixes and a folder for reports is read as it stands', async () => {
  const text = `[s3]
bucket = "my-bucket"

[reporting]
htmlPath = "/var/www/html/backups"
errorRecipients = ["ops@example.com"]

[[jobs]]
name = "Daily Redis Backup"
path = "/var/lib/redis/dump.rdb"
s3KeyPrefix = "redis-backups/"

[jobs.policy]
retentionCount = 7
frequency = "daily"

[[jobs]]
name = "etc"
path = "/etc"
s3KeyPrefix = "redis-backups/"
[jobs.policy]
retentionCount = 2
frequency = "on-change-only"
`
  const env = {
    PRIMARY_KEY: 'v2',
    KEY_V2: 'ab'.repeat(32),
    S3_REGION: 'fra1',
    AWS_ACCESS_KEY_ID: 'key-id-of-env',
    AWS_SECRET_ACCESS_KEY: 'key-of-env',
  }
  const { vaults, jobs, report, notify } = await load('jobs.toml', text, env)
  assert.deepEqual(Object.keys(vaults), ['s3-redis-backups'])
  const vault = vaults['s3-redis-backups']
  assert.ok(vault?.storage.type === 's3')
  assert.deepEqual([vault.storage.prefix, vault.storage.region], ['redis-backups/', 'fra1'])
  assert.equal(await vault.storage.secretAccessKey?.read(), 'key-of-env')
  assert.equal(await vault.encryption?.key?.read(), 'ab'.repeat(32))
  assert.deepEqual(jobs['Daily Redis Backup']?.schedule?.cron, '0 3 * * *')
  assert.deepEqual(jobs['Daily Redis Backup']?.retention, { last: 7 })
  assert.equal(jobs['etc']?.schedule, undefined)
  assert.equal(report?.html, '/var/www/html/backups/backup-{date}_{time}.html')
  const mail = notify['mail']
  assert.ok(mail?.type === 'email')
  assert.deepEqual(
    [mail.to, mail.from, mail.smtp],
    [['ops@example.com'], `holdfast@${hostname()}`, { host: 'localhost', port: 25 }],
  )
})

test('jobs may be a map, paths a list, and a job may go to an address of its own', async () => {
  const { vaults, jobs } = await load('map.json', {
    jobs: {
      a: { paths: ['/a', '/b'], destination: 's3://other/p?region=r' },
      b: { file: '/c', destination: './local' },
      c: { source: { path: '/d', exclude: ['x'] }, bucket: 'third', schedule: '30 2 * * *' },
    },
    retentionCount: 4,
    s3: { bucket: 'main' },
    encryption: false,
  })
  const storageOf = (job: string) => vaults[jobs[job]?.vaults[0] ?? '']?.storage
  assert.deepEqual(storageOf('a'), { type: 's3', bucket: 'other', prefix: 'p', region: 'r' })
  assert.deepEqual(storageOf('b'), { type: 'file', path: join(folder, 'local') })
  assert.deepEqual(storageOf('c'), { type: 's3', bucket: 'third' })
  assert.deepEqual(jobs['c']?.source, { type: 'files', paths: ['/d'], exclude: ['x'] })
  assert.equal(jobs['c']?.schedule?.cron, '30 2 * * *')
  assert.deepEqual([jobs['a']?.retention, jobs['b']?.retention], [{ last: 4 }, { last: 4 }])
  for (const vault of Object.values(vaults)) assert.deepEqual(vault.encryption, { type: 'none' })
})

test('a job file without a key is never stored unencrypted', async () => {
  const bare = { s3: { bucket: 'b' }, jobs: [{ name: 'a', path: '/a' }] }
  assert.deepEqual((await load('bare.json', bare)).vaults['s3']?.encryption, { type: 'aes-256-gcm' })
  const given = (await load('bare.json', bare, { HOLDFAST_PASSWORD: 'by-the-env' })).vaults['s3']?.encryption
  assert.equal(await given?.password?.read(), 'by-the-env')
})

test('mail settings may stand in one group, and the mail server may come from the environment', async () => {
  const jobs = [{ name: 'a', path: '/a' }]
  const flat = await load('flat.json', {
    s3: { bucket: 'b' },
    jobs,
    mail: { host: 'h', port: 25, username: 'u', passwordFile: './pw', from: 'f@x', recipients: 't@x, u@x' },
    reportPath: 'r',
  })
  const mail = flat.notify['mail']
  assert.ok(mail?.type === 'email')
  assert.deepEqual([mail.to, mail.smtp.host, mail.smtp.user], [['t@x', 'u@x'], 'h', 'u'])
  assert.equal(mail.smtp.password?.origin, '${file:./pw}')
  assert.equal(flat.report?.html, join(folder, 'r/backup-{date}_{time}.html'))
  const env = { SMTP_HOST: 'relay', SMTP_PORT: '2525', SMTP_USER: 'me', SMTP_PASSWORD: 'env-pass', SMTP_FROM: 'me@x' }
  const server = (await load('env.json', { s3: { bucket: 'b' }, jobs, email: { to: ['t@x'] } }, env)).notify['mail']
  assert.ok(server?.type === 'email')
  assert.deepEqual([server.smtp.host, server.smtp.port, server.smtp.user, server.from], ['relay', 2525, 'me', 'me@x'])
  assert.equal(await server.smtp.password?.read(), 'env-pass')
})

test('faults of a job file name its own keys, lines and nearest names', async () => {
  const faults = await faultsOf(
    'bad.json',
    '{\n "s3": { "bucket": "b", "regoin": "x" },\n "jobs": [\n  { "name": "a", "pth": "/a" },\n  { "name": "a", "path": "/b",\n    "retentionCont": 3 }\n ],\n "reprt": {}\n}\n',
  )
  assert.deepEqual(
    faults.map(({ line, key, suggestion }) => [line, key, suggestion]),
    [
      [2, 's3.regoin', 'region'],
      [4, 'jobs[0]', undefined],
      [4, 'jobs[0].pth', 'path'],
      [5, 'jobs[1].name', undefined],
      [6, 'jobs[1].retentionCont', 'retentionCount'],
      [8, 'reprt', 'report'],
    ],
  )
})

test('wrong values in a job file are found with the keys that it uses', async () => {
  const faults = await faultsOf(
    'values.toml',
    'jobs = [\n { name = "a", path = 3, retentionCount = "five" },\n]\n[s3]\nregion = "r"\n',
  )
  assert.deepEqual(faults.map(({ key, message }) => `${key}: ${message}`).sort(), [
    'jobs[0].path[0]: must be a text',
    'jobs[0].retentionCount: must be a number',
    's3.bucket: is missing',
  ])
})
