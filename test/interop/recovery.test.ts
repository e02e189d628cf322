/** The script that each vault carries, run in a folder that holds nothing but a copy of the vault. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { local } from '../../src/storage/local.ts'
import {
  cheapPassword,
  entriesOf,
  openVault,
  readingOf,
  request,
  secret,
  type VaultOptions,
} from '../support/archive.ts'
import { scratch } from '../support/holdfast.ts'
import { backupFolder, essenceOf, type Keeps } from '../support/odd-tree.ts'

const PASSWORD = 'correct horse'
const RAW_KEY = Buffer.alloc(32, 7).toString('hex')
/** What the script promises: files, folders, links, modes, and times to the second. */
const KEEPS: Keeps = { owners: false, xattrs: false, holes: false, special: false, times: 'seconds' }

function plant(root: string): void {
  mkdirSync(join(root, 'deep/deeper'), { recursive: true })
  mkdirSync(join(root, 'empty'))
  writeFileSync(join(root, 'one'), 'first')
  writeFileSync(join(root, 'large'), Buffer.alloc(3_000_000, 'large and larger '))
  writeFileSync(join(root, 'none'), '')
  writeFileSync(join(root, 'é \\ "'), 'odd name', { mode: 0o640 })
  writeFileSync(join(root, 'deep/deeper/moves'), Buffer.alloc(700_000, 'moves '))
  writeFileSync(join(root, 'goes'), 'deleted later')
  linkSync(join(root, 'large'), join(root, 'deep/same as large'))
  symlinkSync('deep/deeper', join(root, 'link'))
}

function change(root: string): void {
  writeFileSync(join(root, 'one'), 'changed since')
  writeFileSync(join(root, 'deep/new'), 'new')
  renameSync(join(root, 'deep/deeper/moves'), join(root, 'moved'))
  rmSync(join(root, 'goes'))
}

/** Runs the script where nothing of the project is. */
function recover(
  t: TestContext,
  vault: string,
  type: string,
  password?: string,
): { status: number | null; stderr: string; target: string } {
  const dir = scratch(t, 'alone')
  const [copy, target] = [join(dir, 'vault'), join(dir, 'out')]
  cpSync(vault, copy, { recursive: true })
  const manifest = readdirSync(join(copy, 'job')).find((name) => name.endsWith(`${type}.manifest.json`)) ?? ''
  const env = { PATH: '/usr/bin:/bin', ...(password !== undefined && { HOLDFAST_PASSWORD: password }) }
  const { status, stderr } = spawnSync(process.execPath, ['restore.mjs', join('job', manifest), target], {
    cwd: copy,
    env,
    encoding: 'utf8',
  })
  return { status, stderr, target }
}

const CASES: [name: string, options: VaultOptions, password?: string][] = [
  ['tar, zstd, in many parts', { compression: { type: 'zstd' }, partSize: 4096 }],
  ['tar, gzip', { compression: { type: 'gzip' } }],
  ['tar, brotli', { compression: { type: 'brotli', level: 2 } }],
  ['tar, deflate', { compression: { type: 'deflate' } }],
  ['tar, not compressed', { compression: { type: 'none' } }],
  ['zip', { compression: { type: 'zip' } }],
  ['zstd, a password', { ...cheapPassword(PASSWORD), partSize: 100_000 }, PASSWORD],
  ['gzip, scrypt', { compression: { type: 'gzip' }, password: secret(PASSWORD) }, PASSWORD],
  ['zip, a raw key', { compression: { type: 'zip' }, key: secret(RAW_KEY) }, RAW_KEY],
]

for (const [name, options, password] of CASES) {
  test(`a chain is restored by the vault's own script: ${name}`, async (t) => {
    const dir = scratch(t, 'recovery')
    const [root, folder] = [join(dir, 'source'), join(dir, 'vault')]
    mkdirSync(root)
    plant(root)
    const vault = await openVault(local({ path: folder }), options)
    await backupFolder(vault, root)
    const before = await essenceOf(root, KEEPS)
    change(root)
    await backupFolder(vault, root, { type: 'incremental', time: new Date('2024-03-16T14:30:45Z') })
    const after = await essenceOf(root, KEEPS)

    for (const [type, wanted] of [
      ['full', before],
      ['incremental', after],
    ] as const) {
      const { status, stderr, target } = recover(t, folder, type, password)
      assert.equal(status, 0, stderr)
      assert.deepEqual(await essenceOf(join(target, root.slice(1)), KEEPS), wanted)
    }
    if (password === undefined) return
    const wrong = recover(t, folder, 'full', password === RAW_KEY ? Buffer.alloc(32, 8).toString('hex') : 'wrong')
    assert.notEqual(wrong.status, 0)
    assert.match(wrong.stderr, /wrong password or key/)
  })
}

test('the script names what is damaged, ends with an error, and restores the rest', async (t) => {
  const folder = scratch(t, 'recovery')
  const vault = await openVault(local({ path: folder }), { compression: { type: 'none' } })
  await vault.backup(request({ good: 'is good', hurt: 'is to be hurt' }))
  const payload = join(folder, 'job', readdirSync(join(folder, 'job')).find((name) => name.endsWith('.tar')) ?? '')
  const bytes = readFileSync(payload)
  bytes[bytes.indexOf('is to be hurt')] = 0x49
  rmSync(payload)
  writeFileSync(payload, bytes)
  const { status, stderr, target } = recover(t, folder, 'full')
  assert.notEqual(status, 0)
  assert.match(stderr, /hurt/)
  assert.equal(readFileSync(join(target, 'good'), 'utf8'), 'is good')
})

test('the script writes nothing outside its target, not through a link that the backup holds either', async (t) => {
  const outside = scratch(t, 'outside')
  const folder = scratch(t, 'recovery')
  const vault = await openVault(local({ path: folder }))
  const entries = entriesOf({
    link: { kind: 'symlink', mode: 0o777, linkTarget: outside },
    good: 'is good',
  })
  const [inside] = entriesOf({ 'link/through': 'must not be written' })
  if (inside === undefined) throw new Error('an entry is made')
  await vault.backup(request({}, { reading: readingOf([...entries, inside]) }))
  const { target } = recover(t, folder, 'full')
  assert.deepEqual(readdirSync(outside), [])
  assert.equal(readFileSync(join(target, 'good'), 'utf8'), 'is good')
})
