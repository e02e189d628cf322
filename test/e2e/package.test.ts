import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { folder, noS3db } from '../support/s3db.ts'

const root = join(import.meta.dirname, '../..')
const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts'))
const dir = mkdtempSync(join(tmpdir(), 'holdfast-package-'))
const project = join(dir, 'project')
const env = {
  ...process.env,
  HOME: dir,
  XDG_DATA_HOME: join(dir, 'data'),
  npm_config_cache: process.env['npm_config_cache'] ?? join(process.env['HOME'] ?? dir, '.npm'),
}

before(() => {
  const npm = (args: string[], cwd: string): string =>
    execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const name = npm(['pack', '--silent', '--pack-destination', dir], root).trim().split('\n').at(-1) ?? ''
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "p", "type": "module", "private": true }')
  npm(['install', '--no-audit', '--no-fund', '--silent', join(dir, name)], project)
})
after(() => rmSync(dir, { recursive: true, force: true }))

/** As a user's own project is checked; `--typeRoots` in place of installing the types of Node. */
function checkTypes(files: string[]): void {
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
  const how = [
    '--strict',
    '--noEmit',
    '--module',
    'nodenext',
    '--target',
    'esnext',
    '--lib',
    'esnext',
    '--skipLibCheck',
  ]
  const { status, stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), [...how, ...types, ...files], {
    cwd: project,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stdout)
}

test('the packed package installs in an empty project, and its command runs', () => {
  const bin = (args: string[]): string =>
    execFileSync(process.execPath, [join(project, 'node_modules/.bin/holdfast'), ...args], {
      cwd: project,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  assert.match(bin(['--version']), /^holdfast \d/)
  writeFileSync(join(project, 'data.txt'), 'packed')
  bin(['backup', './data.txt', '--to', './vault', '--format', 'archive'])
  bin(['restore', '--vault', './vault', '--to', './out'])
  assert.equal(execFileSync('cat', [join(project, 'out', project, 'data.txt')], { encoding: 'utf8' }), 'packed')
  writeFileSync(
    join(project, 'user.ts'),
    `import { BackupPlugin, createApp, isAppError, loadConfig, open, parseStorageUrl, type Backup, type BackupRecord } from 'holdfast'
import { sourceSuite, storageSuite } from 'holdfast/testing'
const { settings } = await loadConfig({ cwd: '.', env: {}, parseStorageUrl })
const app = createApp(settings, { silent: true })
const vault = await app.vault('./vault')
const backups: Backup[] = await vault.backups()
await app.close()
await using holdfast = await open({ version: 1, server: { dataDir: './state' } })
const same = await holdfast.list('./vault')
const plugin = new BackupPlugin({ driver: 'filesystem', config: { path: './b/' } })
const listed: BackupRecord[] | string = await plugin.listBackups().catch((error: unknown) => isAppError(error, 'usage.invalid') ? 'not installed' : 'else')
// @ts-expect-error: an option that does not exist
const wrong = (): BackupPlugin => new BackupPlugin({ driver: 'filesystem', config: { path: './b/' }, encrypt: true })
console.log(backups.length, same.length, listed, typeof sourceSuite, typeof storageSuite, typeof wrong)
`,
  )
  checkTypes(['user.ts'])
  const said = execFileSync(process.execPath, ['user.ts'], { cwd: project, env, encoding: 'utf8' }).trim()
  assert.equal(said, '1 1 not installed function function function')
})

test('importing the package does nothing: no file, no handle that keeps the process, no s3db.js', () => {
  const script = `const { open } = await import('holdfast')
await new Promise((resolve) => setTimeout(resolve, 50))
const kept = process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY|FSReq|CloseReq/.test(name))
console.log(typeof open, kept.join(), process.listenerCount('SIGTERM'), process.listenerCount('uncaughtException'))`
  const empty = join(dir, 'empty')
  mkdirSync(join(empty, 'node_modules'), { recursive: true })
  symlinkSync(join(project, 'node_modules/holdfast'), join(empty, 'node_modules/holdfast'))
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: empty,
    env,
    encoding: 'utf8',
  })
  assert.deepEqual(readdirSync(empty), ['node_modules'])
  assert.equal(said.trim(), 'function  0 0')
})

/** What the last lines of each say. */
const SAYS: Record<string, RegExp> = {
  'library.ts': /documents success[^]*full 1 files[^]*proved to V4[^]*would keep 1 and remove 0[^]*Dear all/,
  'own-source-and-storage.ts': /full 2\nincremental 2\nall is well/,
  's3db-start.ts':
    /full posts,users completed[^]*Ann First\nincremental builds on the full one\nremoved by retention: \d/,
  's3db-monitoring.ts': /event: complete full\nevent: restored 1\n[^]*full failed: .*no resource nobody/,
  's3db-schedule.ts': /daily-full,weekly-incremental,monthly-archive\ndaily-full made a backup: full/,
  's3db-security.ts': /encrypted: true true\nvault\.wrong-password .+\nAnn/,
  's3db-validation.ts': /total 2, passed 2, failed 0, errors 0[^]*would restore users: 1\nrestored 1\nhealthy true/,
  's3db-disaster-recovery.ts': /copies: 2\npartial - destination 0: missing\nAnn/,
  's3db-copy.ts': /products 2/,
}

for (const name of examples) {
  const isS3db = name.startsWith('s3db')
  test(`${isS3db ? 'driver:s3db ' : ''}the example ${name} runs as it stands`, { skip: isS3db && noS3db }, () => {
    const own = join(project, name.replace('.ts', ''))
    mkdirSync(own)
    cpSync(join(root, 'examples', name), join(own, name))
    if (isS3db) symlinkS3db()
    const { status, stdout, stderr } = spawnSync(process.execPath, [name], {
      cwd: own,
      env,
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, SAYS[name] ?? /\b\B/)
  })
}

test('driver:s3db the examples pass the strict checks of a user’s own project', { skip: noS3db }, () => {
  symlinkS3db()
  for (const name of examples) cpSync(join(root, 'examples', name), join(project, name))
  checkTypes(examples)
})

let linked = false
/** Its dependencies are found from where it really lies. */
function symlinkS3db(): void {
  if (!linked) symlinkSync(join(folder(), 'node_modules/s3db.js'), join(project, 'node_modules/s3db.js'))
  linked = true
}
