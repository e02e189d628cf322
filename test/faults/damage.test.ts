/** Stored bytes that are not what was written: found by check, named with what they touch, never restored as if right. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isAppError, type AppError } from '../../src/base/errors.ts'
import type { Storage } from '../../src/model/storage.ts'
import type { Vault } from '../../src/model/vault.ts'
import { filesTarget } from '../../src/sources/files/index.ts'
import { memory } from '../../src/storage/memory.ts'
import {
  backupSeries,
  bytesOf,
  cheapPassword,
  contents,
  keysOf,
  openVault,
  request,
  wantedOf,
  type Tree,
  type VaultOptions,
} from '../support/archive.ts'
import { scratch } from '../support/holdfast.ts'

const FULL: Tree = { 'a/': '', 'a/one': 'first', 'a/two': Buffer.alloc(40_000, 'two '), three: 'third' }
const NEXT: Tree = { ...FULL, 'a/one': 'changed', four: Buffer.alloc(3000, 'four ') }
const FORMS: Record<string, VaultOptions> = {
  'plain zstd': { partSize: 3000 },
  'plain gzip': { compression: { type: 'gzip' } },
  'plain brotli': { compression: { type: 'brotli' } },
  'plain deflate': { compression: { type: 'deflate' } },
  'plain tar': { compression: { type: 'none' }, partSize: 20_000 },
  zip: { compression: { type: 'zip' } },
  encrypted: { ...cheapPassword(), partSize: 3000 },
}

interface Scene {
  storage: Storage
  vault: Vault
  ids: string[]
  options: VaultOptions
}

async function scene(options: VaultOptions): Promise<Scene> {
  const storage = memory()
  const vault = await openVault(storage, options)
  const make = backupSeries(vault)
  const ids = [(await make(FULL)).backup.id, (await make(NEXT, { type: 'incremental' })).backup.id]
  for (const id of ids) await vault.annotate(id, { addTags: ['kept'], hold: true })
  return { storage, vault, ids, options }
}

async function flip(storage: Storage, key: string, bit: number): Promise<void> {
  const bytes = await bytesOf(storage, key)
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  await storage.put(key, bytes)
}

/** Restoring gives either exactly what was backed up, or an error of ours; the vault may not even open. */
async function neverWrong({ storage, ids, options }: Scene, what: string): Promise<void> {
  for (const [n, id] of ids.entries()) {
    try {
      const vault = await openVault(storage, { ...options, create: false })
      assert.deepEqual(await contents(vault, id), wantedOf(n === 0 ? FULL : NEXT), what)
    } catch (error) {
      assert.ok(
        isAppError(error, 'backup.damaged', 'backup.chain-broken', 'vault.unsupported', 'backup.not-found'),
        `${what}: ${String(error)}`,
      )
      assert.notEqual(error.hint, '')
    }
  }
}

for (const [form, options] of Object.entries(FORMS)) {
  test(`one bit flipped anywhere is found, named, and never restored as if it were right (${form})`, async () => {
    const made = await scene(options)
    const { storage } = made
    const own = new Set(['RECOVERY.md', 'restore.mjs'])
    const keys = (await keysOf(storage)).filter((key) => !own.has(key))
    assert.ok(keys.length >= 8)
    for (const key of keys) {
      const { length } = await bytesOf(storage, key)
      for (let round = 0; round < 6; round += 1) {
        const bit = randomInt(length * 8)
        await flip(storage, key, bit)
        const what = `${key}, bit ${bit}`
        const vault = await openVault(storage, { ...options, create: false })
        const result = await vault.check({ readData: true })
        assert.equal(result.ok, false, what)
        const damage = result.damage.find((found) => found.key === key)
        assert.ok(damage, `${what}: ${JSON.stringify(result.damage)}`)
        assert.notEqual(damage.problem, '')
        await neverWrong(made, what)
        await namesWhatIsTouched(made, vault, key, what, form)
        await flip(storage, key, bit)
      }
    }
    const again = await openVault(storage, options)
    assert.equal((await again.check({ readData: true })).ok, true, 'all bits are back')
  })
}

async function namesWhatIsTouched(
  { ids }: Scene,
  vault: Vault,
  key: string,
  what: string,
  form: string,
): Promise<void> {
  const isPart = /\.(?:tar|zip)/.test(key)
  const isIndex = key.includes('.index.')
  if (!isPart && !isIndex) return
  const ofFull = key.includes('_full')
  // The index of a backup whose payload has frames tells where they are.
  const framed = isPart || /zstd|gzip|encrypted/.test(form)
  const touched = framed && ofFull ? ids : [ids[ofFull ? 0 : 1]]
  const damage = (await vault.check({ readData: true })).damage.find((found) => found.key === key)
  assert.deepEqual(damage?.backups, touched, what)
  if (isPart) assert.ok(damage.pathCount > 0 && damage.paths.length > 0, `${what}: the paths are named`)
  for (const id of ids) {
    const v1 = await vault.verify(id, 'V1')
    assert.equal(v1.ok, !touched.includes(id), `${what}: V1 of ${id}`)
    if (!v1.ok) assert.equal((await vault.verify(id, 'V2')).ok, false, `${what}: V2 of ${id}`)
  }
}

/** Key of the one object whose name matches. */
async function keyLike({ storage }: Scene, pattern: RegExp): Promise<string> {
  const found = (await keysOf(storage)).find((key) => pattern.test(key))
  assert.ok(found, String(pattern))
  return found
}

type Harm = (scene: Scene, key: string) => Promise<void>
const HARMS: Record<string, Harm> = {
  'is cut off': async ({ storage }, key) =>
    void (await storage.put(key, (await bytesOf(storage, key)).subarray(0, -1))),
  'is empty': async ({ storage }, key) => void (await storage.put(key, new Uint8Array(0))),
  'is missing': async ({ storage }, key) => storage.remove(key),
  'has more bytes': async ({ storage }, key) =>
    void (await storage.put(key, Buffer.concat([await bytesOf(storage, key), Buffer.from('more')]))),
  'is that of another backup': async (made, key) => {
    const other = key.replace('_full', '_incremental').replace('30-45', '31-45')
    await made.storage.put(key, await bytesOf(made.storage, other))
  },
}

for (const form of ['plain zstd', 'encrypted', 'plain tar'] as const) {
  for (const [harm, work] of Object.entries(HARMS)) {
    for (const which of ['payload', 'index'] as const) {
      test(`a ${which} that ${harm} is found, and marks what it breaks (${form})`, async () => {
        const made = await scene(FORMS[form] ?? {})
        const key = await keyLike(made, which === 'index' ? /_full\.index/ : /_full\.tar(?!.*\.\d{4})/)
        const before = await made.storage.stat(key)
        await work(made, key)
        const sizeTells = (await made.storage.stat(key))?.size !== before?.size
        const { damage } = await made.vault.check({ readData: true })
        assert.ok(
          damage.some((found) => found.key === key),
          JSON.stringify(damage),
        )
        for (const id of which === 'payload' || form !== 'plain tar' ? made.ids : made.ids.slice(0, 1))
          assert.equal((await made.vault.verify(id, 'V2')).ok, false)
        await neverWrong(made, harm)
        const listed = await made.vault.backups()
        if (sizeTells) assert.match(listed[0]?.broken ?? '', new RegExp(key.split('/').at(-1) ?? ''))
        if (sizeTells && which === 'payload') assert.match(listed[1]?.broken ?? '', new RegExp(made.ids[0] ?? ''))
        // What comes next does not build on it.
        const next = await made.vault.backup(
          request({ ...NEXT, five: '5' }, { type: 'auto', time: new Date('2024-03-16T00:00:00Z') }),
        )
        assert.deepEqual(await contents(made.vault, next.backup.id), wantedOf({ ...NEXT, five: '5' }))
        assert.equal((await made.vault.verify(next.backup.id, 'V2')).ok, sizeTells || which === 'index')
      })
    }
  }
}

test('parts of one backup that changed places are found', async () => {
  const made = await scene({ compression: { type: 'none' }, partSize: 3000 })
  const keys = (await keysOf(made.storage)).filter((key) => /_full\.tar\.000[12]$/.test(key))
  const [one, two] = keys as [string, string]
  const first = await bytesOf(made.storage, one)
  await made.storage.put(one, await bytesOf(made.storage, two))
  await made.storage.put(two, first)
  assert.deepEqual((await made.vault.check({ readData: true })).damage.map(({ key }) => key).sort(), keys.sort())
  await neverWrong(made, 'swapped')
})

test('a manifest that a hand has edited is refused, and hides no other backup', async () => {
  const made = await scene({})
  const key = await keyLike(made, /_incremental\.manifest/)
  const text = (await bytesOf(made.storage, key)).toString()
  await made.storage.put(key, Buffer.from(text.replace('"job": "job"', '"job": "mine"')))
  assert.deepEqual(
    (await made.vault.backups()).map(({ id }) => id),
    made.ids.slice(0, 1),
  )
  const { damage } = await made.vault.check({})
  assert.equal(damage[0]?.key, key)
  assert.match(damage[0]?.problem ?? '', /was changed after it was written/)
  await assert.rejects(made.vault.verify('2024-03-15_14-31-45_incremental', 'V0'), { code: 'backup.damaged' })
})

test('a wrong password or key is told from damage', async () => {
  const made = await scene(cheapPassword())
  const id = made.ids[1] ?? ''
  const wrong = await openVault(made.storage, cheapPassword('another'))
  await assert.rejects(contents(wrong, id), { code: 'vault.wrong-password' })
  await assert.rejects(wrong.backup(request(FULL)), { code: 'vault.wrong-password' })
  await assert.rejects(contents(await openVault(made.storage), id), { code: 'vault.no-password' })
  await flip(made.storage, await keyLike(made, /_incremental\.index/), 8 * 400)
  await assert.rejects(contents(await openVault(made.storage, cheapPassword()), id), { code: 'backup.damaged' })
})

test('without its description, or with a damaged one, a vault restores, and keeps its key for what comes next', async () => {
  for (const harm of [
    async (storage: Storage) => storage.remove('holdfast-vault.json'),
    async (storage: Storage) => flip(storage, 'holdfast-vault.json', 900),
  ]) {
    const made = await scene(cheapPassword())
    await harm(made.storage)
    const vault = await openVault(made.storage, { ...cheapPassword(), create: false })
    assert.deepEqual(await contents(vault, made.ids[0] ?? ''), wantedOf(FULL))
    const mistyped = await openVault(made.storage, cheapPassword('mistyped'))
    await assert.rejects(mistyped.backup(request(FULL)), { code: 'vault.wrong-password' })
    await vault.backup(request(NEXT, { type: 'incremental', time: new Date('2024-03-16T00:00:00Z') }))
    const healed = await openVault(made.storage, { ...cheapPassword(), create: false })
    assert.equal((await healed.check({ readData: true })).ok, true)
  }
})

test('notes that cannot be read count as a hold until somebody writes them anew', async () => {
  const made = await scene({})
  const [id = ''] = made.ids.slice(1)
  await flip(made.storage, await keyLike(made, /_incremental\.notes/), 100)
  assert.equal((await made.vault.backups())[1]?.hold, true)
  await assert.rejects(made.vault.remove([id]), { code: 'backup.held' })
  await made.vault.annotate(id, { hold: false })
  assert.deepEqual((await made.vault.check({ readData: true })).damage, [])
  await made.vault.remove([id])
})

test('a restore to disk from damaged bytes fails, says where, and leaves nothing wrong in place', async (t) => {
  const made = await scene({ compression: { type: 'none' } })
  const key = await keyLike(made, /_full\.tar$/)
  const bytes = await bytesOf(made.storage, key)
  await flip(made.storage, key, 8 * (bytes.indexOf('two two') + 100))
  const root = join(scratch(t, 'damage'), 'out')
  mkdirSync(root)
  const warnings: string[] = []
  await assert.rejects(
    filesTarget({ root }).write(made.vault.open(made.ids[0] ?? ''), {
      onWarning: ({ message }) => void warnings.push(message),
    }),
    (error: AppError) => ['restore.failed', 'backup.damaged'].includes(error.code),
  )
  assert.ok(
    warnings.some((text) => text.includes('a/two')),
    warnings.join(),
  )
  const left = (readdirSync(root, { recursive: true }) as string[]).sort()
  assert.deepEqual(
    left.filter((name) => name !== 'a'),
    ['a/one', 'three'],
  )
  assert.equal(readFileSync(join(root, 'three'), 'utf8'), 'third')
})
