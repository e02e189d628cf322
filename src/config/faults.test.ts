import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { AppError, isAppError } from '../base/errors.ts'
import { parseStorageUrl } from '../storage/open.ts'
import type { Fault } from './faults.ts'
import { loadConfig } from './load.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-faults-'))
after(() => rm(folder, { recursive: true }))

async function errorOf(name: string, text: string, env: Record<string, string> = {}): Promise<AppError> {
  const file = join(folder, name)
  await writeFile(file, text)
  try {
    await loadConfig({ cwd: folder, explicitPath: file, env, parseStorageUrl })
  } catch (error) {
    assert.ok(isAppError(error, 'config.invalid'), String(error))
    return error
  }
  return assert.fail('no fault was found')
}

const faultsIn = (error: AppError): Fault[] => error.details['faults'] as Fault[]
const where = (error: AppError) => faultsIn(error).map(({ line, column, key }) => [line, column, key])

test('all faults come at once, each with file, line, column, key and the nearest known one', async () => {
  const error = await errorOf(
    'all.yaml',
    `vaults:
  offsite:
    storage:
      type: s3
      buckett: backups
    fromat: archive
    encryption: { type: aes-256-gcm, password: 12345678 }
jobs:
  shop:
    source: { type: filse, paths: [/a] }
    vaults: [ofsite]
    fullEvery: a week
    verify: { afterBackup: V9 }
    notify: [opps]
notify:
  ops: { type: email, from: a@b, to: [], smtp: { host: h, port: 70000 } }
log:
  level: verbose
sever: {}
`,
  )
  assert.deepEqual(
    faultsIn(error).map(({ line, column, key, suggestion }) => `${line}:${column} ${key} ${suggestion ?? ''}`.trim()),
    [
      '3:5 vaults.offsite.storage.bucket',
      '5:7 vaults.offsite.storage.buckett bucket',
      '6:5 vaults.offsite.fromat format',
      '7:38 vaults.offsite.encryption.password',
      '10:15 jobs.shop.source.type files',
      '11:14 jobs.shop.vaults[0] offsite',
      '12:5 jobs.shop.fullEvery',
      '13:15 jobs.shop.verify.afterBackup V0',
      '14:14 jobs.shop.notify[0] ops',
      '16:34 notify.ops.to',
      '16:59 notify.ops.smtp.port',
      '18:3 log.level error',
      '19:1 sever server',
    ],
  )
  for (const fault of faultsIn(error)) assert.equal(fault.file, join(folder, 'all.yaml'))
  assert.ok(!error.message.includes('12345678'))
  assert.match(error.message, /all\.yaml:5:7 vaults\.offsite\.storage\.buckett: unknown key; did you mean "bucket"\?/)
})

test('faults in JSON have their line and column', async () => {
  const error = await errorOf('a.json', '{\n  "log": {\n    "levle": "info",\n    "maxFiles": "many"\n  }\n}\n')
  assert.deepEqual(where(error), [
    [3, 5, 'log.levle'],
    [4, 5, 'log.maxFiles'],
  ])
})

test('faults in TOML have their line', async () => {
  const error = await errorOf(
    'a.toml',
    '# first\n[log]\nlevle = "info"\n\n[vaults.v]\nformat = "archive"\nstorage.type = "file"\npath = """\n[jobs]\n"""\nlast = 1\n',
  )
  assert.deepEqual(where(error), [
    [3, 1, 'log.levle'],
    [5, 1, 'vaults.v.storage.path'],
    [11, 1, 'vaults.v.last'],
  ])
})

test('what is not valid YAML, JSON or TOML is told by its place, without quoting the text', async () => {
  const broken: [string, string, number][] = [
    ['bad.yaml', 'log:\n  level: info\n   maxFiles: hunter2x: 3\n', 2],
    ['tab.yaml', 'log:\n\tlevel: hunter2x\n', 2],
    ['twice.yaml', 'log: {}\nlog: { level: hunter2x }\n', 2],
    ['quote.yaml', 'a: "hunter2x" more\nb: 1\n', 1],
    ['bad.json', '{ "log": { "level": "hunter2x", } }', 1],
    ['end.json', '{\n"log": { "level": "hunter2x"', 2],
    ['twice.json', '{ "log": {},\n "log": { "level": "hunter2x" } }', 2],
    ['bad.toml', '[log]\nlevel = hunter2x\n', 2],
    ['end.toml', '[log]\nlevel = "hunter2x\n', 2],
  ]
  for (const [name, text, line] of broken) {
    const error = await errorOf(name, text)
    assert.equal(faultsIn(error)[0]?.line, line, `${name}: ${error.message}`)
    assert.ok(!error.message.includes('hunter2x') && !JSON.stringify(error.details).includes('hunter2x'), error.message)
  }
})

test('a configuration that is no group of keys is told so', async () => {
  assert.match((await errorOf('list.yaml', '- a\n- b\n')).message, /a configuration is a group of keys/)
})

test('references that cannot be followed are faults of their key, and the values that failed are not also missing', async () => {
  const error = await errorOf(
    'refs.yaml',
    `vaults:
  v: { storage: { type: s3, bucket: "\${env:NO_SUCH}", prefix: "\${evn:X}" } }
log:
  level: \${file:./nothing}
server: { listen: "\${cmd:false}" }
`,
  )
  assert.deepEqual(
    faultsIn(error).map(({ line, key }) => [line, key]),
    [
      [2, 'vaults.v.storage.bucket'],
      [2, 'vaults.v.storage.prefix'],
      [4, 'log.level'],
      [5, 'server.listen'],
    ],
  )
})

test('no fault repeats the value of a secret, wherever it stands', async () => {
  const error = await errorOf(
    'secret.yaml',
    `vaults:
  v:
    storage: "s3://AKIAHUNTER:hunter2x@bucket/p"
    password: [hunter2x]
    passwordFile: hunter2x-file
  w: { storage: /w, password: { hunter2x: hunter2x } }
  x: { storage: /x, passwordFile: a, passwordCommand: b }
`,
  )
  assert.ok(!error.message.replaceAll('passwordFile', '').includes('hunter2x'), error.message)
  assert.deepEqual(
    faultsIn(error).map(({ key }) => key),
    ['vaults.v.storage', 'vaults.v.password', 'vaults.v.passwordFile', 'vaults.w.password', 'vaults.x.passwordCommand'],
  )
})

test('a storage address that cannot be used is a fault with the reason', async () => {
  const error = await errorOf('url.yaml', 'vaults:\n  v:\n    storage: s4://bucket\n')
  assert.match(error.message, /url\.yaml:3:5 vaults\.v\.storage: .*s4/)
})
