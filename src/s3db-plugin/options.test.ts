import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { BackupPlugin } from './index.ts'

const make = (options: Record<string, unknown>): BackupPlugin => new BackupPlugin(options)
const folder = { config: { path: './backups/{date}/' } }

test('the defaults of the plugin are those of its document', () => {
  const { config, driver, activeBackups } = make(folder)
  assert.deepEqual(
    { ...config, driverConfig: undefined },
    {
      driver: 'filesystem',
      driverConfig: undefined,
      retention: {},
      include: null,
      exclude: [],
      compression: 'gzip',
      encryption: null,
      verification: true,
      tempDir: join(tmpdir(), 's3db', 'backups'),
      verbose: false,
      parallelism: undefined,
      onBackupStart: null,
      onBackupComplete: null,
      onBackupError: null,
      onRestoreStart: null,
      onRestoreComplete: null,
      onRestoreError: null,
    },
  )
  assert.equal(driver, null)
  assert.equal(activeBackups.size, 0)
})

const REFUSED: [string, Record<string, unknown>, RegExp][] = [
  ['no path', {}, /FilesystemBackupDriver requires "path" configuration/],
  ['a driver that is not known', { driver: 'ftp' }, /Unknown backup driver: ftp/],
  ['multi without destinations', { driver: 'multi', config: {} }, /requires non-empty "destinations" array/],
  ['an option that is not known', { ...folder, schedule: { daily: true } }, /no option schedule/],
  [
    'an option of a driver that is not known',
    { config: { path: 'x', storageClass: 'GLACIER' } },
    /no option storageClass/,
  ],
  [
    'a compression that is not known',
    { ...folder, compression: 'lzma' },
    /Invalid compression type\. Use: none, gzip, brotli, deflate/,
  ],
  ['a compression of a driver', { config: { path: 'x', compression: 'rar' } }, /Invalid compression type/],
  [
    'encryption without a key',
    { ...folder, encryption: { algorithm: 'AES-256-GCM' } },
    /requires both key and algorithm/,
  ],
  ['encryption without an algorithm', { ...folder, encryption: { key: 'k' } }, /requires both key and algorithm/],
  ['another cipher', { ...folder, encryption: { algorithm: 'AES-128-CBC', key: 'k' } }, /AES-128-CBC is not known/],
  [
    'another derivation',
    { ...folder, encryption: { algorithm: 'AES-256-GCM', key: 'k', keyDerivation: { algorithm: 'MD5' } } },
    /MD5 is not known/,
  ],
  [
    'a strategy that is not known',
    { driver: 'multi', config: { strategy: 'some', destinations: [{ driver: 's3' }] } },
    /strategy some/,
  ],
  ['a storage class that is not known', { driver: 's3', config: { storageClass: 'COLDER' } }, /storage class COLDER/],
  ['a KMS key without KMS', { driver: 's3', config: { kmsKeyId: 'k' } }, /kmsKeyId needs/],
  ['a rule of retention that is not known', { ...folder, retention: { hourly: 1 } }, /retention has no option hourly/],
  ['a count that is none', { ...folder, retention: { daily: -1 } }, /retention\.daily/],
  ['include that is no list', { ...folder, include: 'users' }, /include is no list/],
  ['a hook that is none', { ...folder, onBackupStart: 'shout' }, /onBackupStart is no function/],
  ['modes that are none', { config: { path: 'x', permissions: '0644' } }, /permissions is no file mode/],
]

for (const [what, options, message] of REFUSED)
  test(`the plugin refuses ${what}`, () => {
    assert.throws(() => make(options), { name: 'BackupError', code: 'config.invalid', statusCode: 400, message })
  })

test('printing a plugin shows no key', () => {
  const plugin = make({ ...folder, encryption: { algorithm: 'AES-256-GCM', key: 'squeamish ossifrage' } })
  assert.equal(plugin.config.encryption?.key, 'squeamish ossifrage')
  assert.doesNotMatch(inspect(plugin, { depth: 9 }) + JSON.stringify(plugin.config), /squeamish/)
})

test('a plugin that is in no database says how to put it into one', async () => {
  await assert.rejects(make(folder).backup(), { message: /not installed/, suggestion: /usePlugin/ })
})
