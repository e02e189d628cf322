/** The sheet that the page makes at the set-up opens the vault elsewhere, with nothing but itself. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseStorageUrl } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import { STORAGES } from '../../ui/src/forms/specs.ts'
import { withoutSecrets } from '../../ui/src/forms/secrets.ts'
import { kitOf } from '../../ui/src/pages/setup/kit.ts'
import { holdfast, scratch } from '../support/holdfast.ts'
import { RESTICS, noRestic } from '../support/restic.ts'

const how = { host: 'backup.example.com', made: new Date('2026-01-02T03:04:05Z') }
const linesOf = (kit: string): string => kit.split(/^-{40}\n/m)[1] ?? ''

test('the lines of the kit are a configuration, for each kind of storage with each of its fields', async (t) => {
  for (const [type, fields] of Object.entries(STORAGES)) {
    const given = fields.map(({ path, kind }) => {
      if (kind === 'flag') return [path, true]
      if (kind === 'number') return [path, 2222]
      if (path === 'serverSideEncryption') return [path, 'AES256']
      return [path, path === 'url' || path === 'endpoint' ? 'https://store.example.com/dav' : `the ${path}, "so"`]
    })
    const storage = { type, ...(Object.fromEntries(given) as Record<string, unknown>) }
    const dir = scratch(t, 'kit')
    const kit = kitOf('my vault', { storage, format: 'repository', password: 'pass word' }, how)
    writeFileSync(join(dir, 'holdfast.yaml'), linesOf(kit), { mode: 0o600 })
    const { settings } = await loadConfig({ cwd: dir, env: { HOME: dir }, parseStorageUrl })
    const vault = settings.vaults['my vault']
    assert.deepEqual([vault?.storage.type, vault?.format], [type, 'repository'])
    for (const { path, kind } of fields)
      if (kind === 'secret') assert.ok(kit.includes(JSON.stringify(`the ${path}, "so"`)), `${type}: ${path}`)
  }
})

test('with the kit alone a vault is restored on another machine', async (t) => {
  const here = holdfast(scratch(t, 'here'))
  const storage = { type: 'file', path: join(here.dir, 'my vault') }
  const definition = { storage, format: 'repository', password: "it's a secret" }
  writeFileSync(join(here.dir, 'a.txt'), 'hello')
  writeFileSync(
    join(here.dir, 'holdfast.yaml'),
    JSON.stringify({
      version: 1,
      vaults: { 'the vault': definition },
      jobs: { files: { source: { type: 'files', paths: ['./a.txt'] }, vaults: ['the vault'] } },
    }),
    { mode: 0o600 },
  )
  assert.equal((await here.run(['backup', '--job', 'files'])).code, 0)

  const there = holdfast(scratch(t, 'there'))
  const kit = kitOf('the vault', definition, how)
  writeFileSync(join(there.dir, 'holdfast.yaml'), linesOf(kit), { mode: 0o600 })
  const commands = [...kit.matchAll(/^ {2}holdfast (.*)$/gm)].map(([, text]) => text ?? '')
  assert.equal(commands.length, 3)
  for (const text of commands) {
    const done = await there.run(wordsOf(text))
    assert.equal(done.code, 0, `${text}: ${done.stderr}`)
  }
  assert.equal(readFileSync(join(there.dir, 'restored', here.dir, 'a.txt'), 'utf8'), 'hello')
})

test('driver:restic-debian the kit says how restic opens the vault', { skip: noRestic }, async (t) => {
  const here = holdfast(scratch(t, 'here'))
  const storage = { type: 'file', path: join(here.dir, 'my vault') }
  writeFileSync(join(here.dir, 'a.txt'), 'hello')
  writeFileSync(join(here.dir, 'password'), 'pass word', { mode: 0o600 })
  const made = ['backup', 'a.txt', '--to', storage.path, '--password-file', 'password']
  assert.equal((await here.run(made)).code, 0)
  const kit = kitOf('the vault', { storage, format: 'repository', password: 'pass word' }, how)
  const [, snapshots] = /^ {2}restic (.* snapshots)$/m.exec(kit) ?? []
  const env = { ...process.env, RESTIC_PASSWORD: 'pass word' }
  for (const { program } of RESTICS)
    assert.match(execFileSync(program, wordsOf(snapshots ?? ''), { env, encoding: 'utf8' }), /a\.txt/)
})

test('a browser keeps no secret of a draft, in whatever list or address it was typed', () => {
  const kept = withoutSecrets({
    source: { type: 'mongodb', url: 'mongodb://me:secret@host', excludeDatabases: ['logs'] },
    more: [{ password: 'secret', name: 'x' }, { deep: { headers: { authorization: 'secret' } } }],
    vaults: ['v'],
    hidden: { password: '[hidden]' },
  })
  assert.deepEqual(kept, {
    source: { type: 'mongodb', excludeDatabases: ['logs'] },
    more: [{ name: 'x' }, { deep: {} }],
    vaults: ['v'],
    hidden: { password: '[hidden]' },
  })
})

/** As a shell splits what the kit quotes. */
function wordsOf(text: string): string[] {
  const out = execFileSync('sh', ['-c', `printf '%s\\0' ${text}`], { encoding: 'utf8' })
  return out.split('\0').slice(0, -1)
}
