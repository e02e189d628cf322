import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { isAppError } from '../base/errors.ts'
import { parseStorageUrl } from '../storage/open.ts'
import { defaultSettings } from './defaults.ts'
import type { Fault } from './faults.ts'
import { showOrigin } from './layers.ts'
import { loadConfig, type LoadOptions } from './load.ts'

const folders: string[] = []
after(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-config-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text, { mode: 0o600 })
  }
  return folder
}

const load = (cwd: string, options: Partial<LoadOptions> = {}) =>
  loadConfig({ cwd, parseStorageUrl, ...options, env: { HOME: join(cwd, 'home'), ...options.env } })

async function faultsOf(cwd: string, options: Partial<LoadOptions> = {}): Promise<Fault[]> {
  try {
    await load(cwd, options)
  } catch (error) {
    if (isAppError(error, 'config.invalid')) return error.details['faults'] as Fault[]
    throw error
  }
  return assert.fail('the configuration should have faults')
}

const brief = (faults: Fault[]) => faults.map(({ line, key, suggestion }) => [line, key, suggestion])

const SMALL =
  'vaults: { v: { storage: "file:./vault" } }\njobs: { j: { source: { type: files, paths: [./a] }, vaults: [v] } }\n'

test('the search goes from --config over HOLDFAST_CONFIG and the working directory to the home directory', async () => {
  const level = (name: string) => `log: { level: ${name} }\n`
  const cwd = await folderWith({
    'flag.yaml': level('trace'),
    'env.yaml': level('debug'),
    'holdfast.yml': level('warn'),
    'home/.config/holdfast/holdfast.yaml': level('error'),
  })
  const read = async (folder: string, options: Partial<LoadOptions>) => (await load(folder, options)).settings.log.level
  const env = { HOLDFAST_CONFIG: 'env.yaml' }
  assert.equal(await read(cwd, { explicitPath: 'flag.yaml', env }), 'trace')
  assert.equal(await read(cwd, { env }), 'debug')
  assert.equal(await read(cwd, {}), 'warn')
  assert.equal(await read(join(cwd, 'home'), { env: { HOME: join(cwd, 'home') } }), 'error')
  await assert.rejects(load(cwd, { explicitPath: 'none.yaml' }), (error) => isAppError(error, 'config.not-found'))
})

test('without any configuration the defaults are those of the schema', async () => {
  const cwd = await folderWith({ 'empty.yaml': '' })
  const env = { HOME: join(cwd, 'home') }
  const loaded = await load(cwd, { env })
  assert.deepEqual(loaded.settings, defaultSettings(env))
  assert.equal(loaded.settings.server.dataDir, join(cwd, 'home/.local/share/holdfast'))
  const data = join(cwd, 'xdg')
  const bare = await load(cwd, { env: { ...env, XDG_DATA_HOME: data } })
  const empty = await load(cwd, {
    env: { ...env, HOLDFAST_SERVER__DATA_DIR: join(data, 'holdfast') },
    explicitPath: 'empty.yaml',
  })
  assert.deepEqual(empty.settings, bare.settings)
})

test('YAML, JSON and TOML say the same', async () => {
  const tree = {
    vaults: { 'my-vault': { storage: { type: 's3', bucket: 'b', prefix: 'p/' }, format: 'archive', partSize: '64m' } },
    jobs: { 'job 1': { source: { type: 'files', paths: ['/a', 'b'] }, vaults: ['my-vault'], retention: { last: 2 } } },
    log: { level: 'debug' },
  }
  const cwd = await folderWith({
    'c.yaml':
      'vaults:\n  my-vault:\n    storage:\n      type: s3\n      bucket: b\n      prefix: p/\n    format: archive\n    partSize: 64m\njobs:\n  job 1:\n    source: { type: files, paths: [/a, b] }\n    vaults: [my-vault]\n    retention: { last: 2 }\nlog: { level: debug }\n',
    'c.json': JSON.stringify(tree, undefined, '\t'),
    'c.toml':
      '[vaults.my-vault]\nformat = "archive"\npartSize = "64m"\n[vaults.my-vault.storage]\ntype = "s3"\nbucket = "b"\nprefix = "p/"\n[jobs."job 1"]\nvaults = ["my-vault"]\nretention = { last = 2 }\n[jobs."job 1".source]\ntype = "files"\npaths = ["/a", "b"]\n[log]\nlevel = "debug"\n',
  })
  const [yaml, json, toml] = await Promise.all(
    ['c.yaml', 'c.json', 'c.toml'].map(async (name) => (await load(cwd, { explicitPath: name })).settings),
  )
  assert.deepEqual(json, yaml)
  assert.deepEqual(toml, yaml)
  assert.deepEqual(yaml?.vaults['my-vault']?.partSize, 64 * 1024 * 1024)
  assert.deepEqual(yaml?.jobs['job 1']?.source, { type: 'files', paths: ['/a', join(cwd, 'b')] })
})

test('a flag wins over the environment, that over .env, that over the profile, that over the file', async () => {
  const cwd = await folderWith({
    'holdfast.yaml':
      'log: { level: error, maxFiles: 1, maxSize: 1m, maxAge: 1d, file: ./f.log }\nprofiles: { p: { log: { maxFiles: 2, maxSize: 2m, maxAge: 2d, level: warn } } }\n',
    '.env': 'HOLDFAST_LOG__MAX_SIZE=3m\nexport HOLDFAST_LOG__MAX_AGE="3d"\nHOLDFAST_LOG__LEVEL=info\n',
  })
  const env = { HOLDFAST_LOG__MAX_AGE: '4d', HOLDFAST_LOG__LEVEL: 'debug' }
  const { settings, origins, files } = await load(cwd, { env, profile: 'p', flags: { 'log.level': 'trace' } })
  assert.deepEqual(settings.log, { file: join(cwd, 'f.log'), maxFiles: 2, maxSize: '3m', maxAge: '4d', level: 'trace' })
  const origin = (key: string) => showOrigin(origins.get(key) ?? { kind: 'default' }).replaceAll(cwd, '')
  assert.deepEqual(
    ['file', 'maxFiles', 'maxSize', 'maxAge', 'level'].map((key) => origin(`log.${key}`)),
    [
      '/holdfast.yaml:1',
      'profile p (/holdfast.yaml:2)',
      'env HOLDFAST_LOG__MAX_SIZE (/.env:1)',
      'env HOLDFAST_LOG__MAX_AGE',
      'flag log.level',
    ],
  )
  assert.equal(origin('server.listen'), 'default')
  assert.deepEqual(files, [join(cwd, 'holdfast.yaml'), join(cwd, '.env')])
})

test('an environment name reaches every key, also in vaults and jobs whose names have other letters', async () => {
  const cwd = await folderWith({
    'holdfast.yaml': SMALL.replaceAll(' v:', ' Off-Site:').replaceAll('[v]', '[Off-Site]'),
  })
  const { settings } = await load(cwd, {
    env: {
      HOLDFAST_VAULTS__OFF_SITE__PASSWORD: 'from-the-env',
      HOLDFAST_VAULTS__OFF_SITE__STORAGE: 's3://bucket/x?region=r',
      HOLDFAST_VAULTS__NEW__STORAGE__TYPE: 's3',
      HOLDFAST_VAULTS__NEW__STORAGE__BUCKET: '123',
      HOLDFAST_VAULTS__NEW__STORAGE__FORCE_PATH_STYLE: 'yes',
      HOLDFAST_JOBS__J__VAULTS: 'Off-Site, new',
      HOLDFAST_JOBS__J__SOURCE__PATHS: '/x,/y',
      HOLDFAST_JOBS__J__BANDWIDTH: '100',
      HOLDFAST_JOBS__J__VERIFY: '{"afterBackup":"V2"}',
      HOLDFAST_LOG__LEVEL: '',
      HOLDFAST_MODE: 'all',
    },
  })
  assert.equal(await settings.vaults['Off-Site']?.password?.read(), 'from-the-env')
  assert.deepEqual(settings.vaults['Off-Site']?.storage, { type: 's3', bucket: 'bucket', prefix: 'x', region: 'r' })
  assert.deepEqual(settings.vaults['new']?.storage, { type: 's3', bucket: '123', forcePathStyle: true })
  assert.deepEqual(settings.jobs['j']?.vaults, ['Off-Site', 'new'])
  assert.deepEqual(settings.jobs['j']?.source, { type: 'files', paths: ['/x', '/y'] })
  assert.equal(settings.jobs['j']?.bandwidth, 100)
  assert.equal(settings.jobs['j']?.verify.afterBackup, 'V2')
  assert.equal(settings.log.level, 'info')
})

test('an environment name that fits no key is an error with the nearest name', async () => {
  const cwd = await folderWith({ 'holdfast.yaml': SMALL })
  const faults = await faultsOf(cwd, { env: { HOLDFAST_SERVER__DATADIR: '/x', HOLDFAST_LOG__LEVEL: 'loud' } })
  assert.deepEqual(
    new Set(brief(faults).map(String)),
    new Set([',HOLDFAST_LOG__LEVEL,debug', ',HOLDFAST_SERVER__DATADIR,HOLDFAST_SERVER__DATA_DIR']),
  )
})

test('profiles build on each other, replace what has another type, and unset by null', async () => {
  const cwd = await folderWith({
    'holdfast.yaml': `${SMALL}profiles:
  base: { log: { level: debug }, vaults: { v: { storage: { type: s3, bucket: base }, password: one } } }
  dev: { extends: base, vaults: { v: { storage: { bucket: dev }, passwordFile: ./pw } } }
  back: { extends: [dev], vaults: { v: { storage: "file:/back" } }, log: { level: null } }
`,
    pw: 'two-from-file\n',
  })
  const dev = (await load(cwd, { profile: 'dev' })).settings
  assert.deepEqual(dev.vaults['v']?.storage, { type: 's3', bucket: 'dev' })
  assert.equal(await dev.vaults['v']?.password?.read(), 'two-from-file')
  assert.equal(dev.log.level, 'debug')
  const back = (await load(cwd, { env: { HOLDFAST_PROFILE: 'back' } })).settings
  assert.deepEqual(back.vaults['v']?.storage, { type: 'file', path: '/back' })
  assert.equal(back.log.level, 'info')
  assert.deepEqual(brief(await faultsOf(cwd, { profile: 'bak' })), [[3, 'profiles', 'back']])
})

test('a fault in a profile that is not chosen is found', async () => {
  const cwd = await folderWith({
    'holdfast.yaml': `${SMALL}profiles:
  a: { log: { levle: debug } }
  b: { extends: c }
  c: { extends: b }
`,
  })
  const faults = await faultsOf(cwd)
  assert.deepEqual(brief(faults).slice(0, 1), [[4, 'log.levle', 'level']])
  assert.match(faults[1]?.message ?? '', /extends itself: c → b → c/)
})

test('relative paths start at the folder of the file, and ~ at the home directory', async () => {
  const cwd = await folderWith({
    'etc/holdfast.yaml':
      'server: { dataDir: var }\nvaults: { a: { storage: ./a }, b: { storage: { type: file, path: ~/b } }, c: { storage: "file:c d" } }\nreport: { html: "./r/{date}.html" }\nlog: { file: "${env:LOGS}/x.log" }\n',
  })
  const env = { HOLDFAST_CONFIG: 'etc/holdfast.yaml', LOGS: 'logs' }
  const { settings } = await load(cwd, { env })
  const etc = join(cwd, 'etc')
  assert.equal(settings.server.dataDir, join(etc, 'var'))
  assert.deepEqual(settings.vaults['a']?.storage, { type: 'file', path: join(etc, 'a') })
  assert.deepEqual(settings.vaults['b']?.storage, { type: 'file', path: join(cwd, 'home/b') })
  assert.deepEqual(settings.vaults['c']?.storage, { type: 'file', path: join(etc, 'c d') })
  assert.equal(settings.report?.html, join(etc, 'r/{date}.html'))
  assert.equal(settings.log.file, join(etc, 'logs/x.log'))
})

test('vaults of a job: a name, a list, or a strategy', async () => {
  const vaults = 'vaults: { a: { storage: ./a }, b: { storage: ./b } }\n'
  const source = 'source: { type: files, paths: [x] }'
  const cwd = await folderWith({
    'holdfast.yaml': `${vaults}jobs:
  one: { ${source}, vaults: a }
  two: { ${source}, vaults: [a, b] }
  three: { ${source}, vaults: { strategy: any, members: [b, a], concurrency: 2 } }
`,
  })
  const { jobs } = (await load(cwd)).settings
  assert.deepEqual([jobs['one']?.vaults, jobs['two']?.vaults, jobs['three']?.vaults], [['a'], ['a', 'b'], ['b', 'a']])
  assert.deepEqual(jobs['three']?.vaultStrategy, { strategy: 'any', concurrency: 2 })
  assert.equal(jobs['one']?.vaultStrategy, undefined)
})

test('permissions are octal, and a number that YAML has read as decimal is refused', async () => {
  const text = (mode: string) => `vaults: { v: { storage: { type: file, path: /v, permissions: ${mode} } } }\n`
  const cwd = await folderWith({
    'a.yaml': text('"0640"'),
    'b.yaml': text('0o640'),
    'c.yaml': text('0640'),
    'd.yaml': text('0440'),
  })
  for (const name of ['a.yaml', 'b.yaml']) {
    const { settings } = await load(cwd, { explicitPath: name })
    assert.deepEqual(settings.vaults['v']?.storage, { type: 'file', path: '/v', permissions: 0o640 })
  }
  for (const name of ['c.yaml', 'd.yaml']) {
    assert.match((await faultsOf(cwd, { explicitPath: name }))[0]?.message ?? '', /in quotes/)
  }
})

test('sources, storages and notifiers of later versions are accepted and keep their settings', async () => {
  const cwd = await folderWith({
    'holdfast.yaml': `vaults: { v: { storage: { type: sftp, host: h, path: p, password: sftp-secret } } }
jobs: { db: { source: { type: postgres, host: db, password: pg-secret, databases: [shop] }, vaults: [v], schedule: "0 3 * * *" } }
notify: { ops: { type: slack, url: https://hooks.example/T00/slack-secret, on: failure } }
`,
  })
  const { settings } = await load(cwd)
  const source = settings.jobs['db']?.source
  assert.ok(source?.type === 'postgres')
  assert.deepEqual(source.databases, ['shop'])
  assert.deepEqual(settings.jobs['db']?.schedule, { cron: '0 3 * * *', missed: 'once' })
  assert.equal(settings.notify['ops']?.type, 'slack')
  assert.deepEqual(settings.jobs['db']?.notify, ['ops'])
  assert.ok(!/secret\b.*-secret/.test(JSON.stringify(settings)))
  assert.ok(!inspect(settings, { depth: 20 }).includes('-secret'))
})

test('a file with secrets in it that others may read is warned of', async () => {
  const cwd = await folderWith({ 'holdfast.yaml': 'vaults: { v: { storage: ./v, password: in-the-file } }\n' })
  assert.deepEqual((await load(cwd)).warnings, [])
  await chmod(join(cwd, 'holdfast.yaml'), 0o644)
  const { warnings } = await load(cwd)
  assert.match(warnings[0] ?? '', /vaults\.v\.password.*chmod 600/)
})
