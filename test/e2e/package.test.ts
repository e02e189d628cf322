import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../support/holdfast.ts'

const root = join(import.meta.dirname, '../..')

test('the packed package installs in an empty project, runs, and types a user’s file', async (t) => {
  const dir = scratch(t, 'package')
  const env = {
    ...process.env,
    HOME: dir,
    XDG_DATA_HOME: join(dir, 'data'),
    npm_config_cache: process.env['npm_config_cache'] ?? join(process.env['HOME'] ?? dir, '.npm'),
  }
  const npm = (args: string[], cwd: string): string =>
    execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const name = npm(['pack', '--silent', '--pack-destination', dir], root).trim().split('\n').at(-1) ?? ''
  const project = join(dir, 'project')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "name": "p", "type": "module", "private": true }')
  npm(['install', '--no-audit', '--no-fund', '--silent', join(dir, name)], project)
  const bin = (args: string[]): string =>
    execFileSync(process.execPath, [join(project, 'node_modules/.bin/holdfast'), ...args], {
      cwd: project,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  assert.match(bin(['--version']), /^holdfast \d/)
  writeFileSync(join(project, 'data.txt'), 'packed')
  bin(['backup', './data.txt', '--to', './vault'])
  bin(['restore', '--vault', './vault', '--to', './out'])
  assert.equal(execFileSync('cat', [join(project, 'out', project, 'data.txt')], { encoding: 'utf8' }), 'packed')
  writeFileSync(
    join(project, 'user.ts'),
    `import { createApp, loadConfig, parseStorageUrl, type Backup } from 'holdfast'
const { settings } = await loadConfig({ cwd: '.', env: {}, parseStorageUrl })
const app = createApp(settings, { silent: true })
const vault = await app.vault('./vault')
const backups: Backup[] = await vault.backups()
console.log(backups.length)
await app.close()
`,
  )
  const tsc = join(root, 'node_modules/.bin/tsc')
  execFileSync(
    tsc,
    [
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--skipLibCheck',
      '--types',
      'node',
      '--typeRoots',
      join(root, 'node_modules/@types'),
      'user.ts',
    ],
    { cwd: project, stdio: ['ignore', 'inherit', 'inherit'] },
  )
  assert.equal(execFileSync(process.execPath, ['user.js'], { cwd: project, env, encoding: 'utf8' }).trim(), '1')
})
