/**
 * Manifests and indexes that somebody made up, with sums that are right: whatever they say, the answer is an error of
 * ours or a result, within bounded time and memory; never a crash, a TypeError, or a write outside.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { encodeSummed } from '../../src/archive/manifest.ts'
import { exportArchive } from '../../src/archive/export.ts'
import { isAppError } from '../../src/base/errors.ts'
import { collect } from '../../src/base/streams.ts'
import type { Storage } from '../../src/model/storage.ts'
import { memory } from '../../src/storage/memory.ts'
import {
  backupSeries,
  bytesOf,
  contents,
  keysOf,
  openVault,
  request,
  type Tree,
  type VaultOptions,
} from '../support/archive.ts'

const FULL: Tree = { 'a/': '', 'a/one': 'first', 'a/two': Buffer.alloc(40_000, 'two '), three: 'third' }
const NEXT: Tree = { ...FULL, 'a/one': 'changed', four: 'fourth' }

type Random = (below: number) => number
type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

function randomFrom(seed: string): Random {
  let count = 0
  return (below) => createHash('sha256').update(`${seed} ${count++}`).digest().readUInt32LE() % below
}

const deep = (levels: number): Json => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as Json

const NASTY: Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  -(2 ** 53),
  '',
  '.',
  '..',
  '/',
  '../x',
  '/etc/passwd',
  'a/../../b',
  'nul\0',
  '\ud800',
  '\udc80',
  'é',
  'x'.repeat(5000),
  '__proto__',
  'constructor',
  '2024-13-45T99:99:99Z',
  'NaN',
  'V9',
  'zstd',
  'scrypt',
  [],
  {},
  [null],
  [[]],
  [[0, 0]],
  [[1, -1]],
  [[1e15, 1]],
  [[1, 1e15]],
  [{}],
  [''],
  { length: 1e9 },
  deep(500),
]

/** Changes one place of it, somewhere. */
function mutate(value: Json, random: Random): Json {
  if (typeof value !== 'object' || value === null || random(5) === 0) return NASTY[random(NASTY.length)] ?? null
  if (Array.isArray(value)) {
    if (value.length === 0 || random(6) === 0) return [...value, NASTY[random(NASTY.length)] ?? null]
    const at = random(value.length)
    if (random(6) === 0) return value.toSpliced(at, 1)
    return value.with(at, mutate(value[at] ?? null, random))
  }
  const keys = Object.keys(value)
  const key = keys[random(keys.length)]
  if (key === undefined) return NASTY[random(NASTY.length)] ?? null
  if (random(8) === 0) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  return { ...value, [key]: mutate(value[key] ?? null, random) }
}

async function scene(options: VaultOptions): Promise<{ storage: Storage; ids: string[] }> {
  const storage = memory()
  const make = backupSeries(await openVault(storage, options))
  return { storage, ids: [(await make(FULL)).backup.id, (await make(NEXT, { type: 'incremental' })).backup.id] }
}

const bounded = async (work: Promise<unknown>, what: string): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>(
    (_, reject) => (timer = setTimeout(() => reject(new Error('takes too long')), 10_000)),
  )
  try {
    await Promise.race([work, late])
  } catch (error) {
    assert.ok(isAppError(error), `${what}: ${error instanceof Error ? error.stack : String(error)}`)
    assert.notEqual(error.code, 'internal.bug', `${what}: ${error.stack} ${String(error.cause)}`)
  } finally {
    clearTimeout(timer)
  }
}

/** Everything that reads a vault, and what builds on it. */
async function useAll(storage: Storage, options: VaultOptions, ids: string[], what: string): Promise<void> {
  const vault = await openVault(storage, { ...options, create: false })
  await bounded(vault.backups(), `${what}: list`)
  await bounded(vault.check({ readData: true }), `${what}: check`)
  for (const id of ids) {
    await bounded(vault.verify(id, 'V2'), `${what}: verify`)
    await bounded(contents(vault, id), `${what}: restore`)
    await bounded(contents(vault, id, { onUnreadable: () => {} }), `${what}: restore in part`)
    for (const format of ['tar', 'zip'] as const)
      await bounded(collect(exportArchive(vault.open(id), format)), `${what}: dump ${format}`)
  }
  const next = request({ ...NEXT, five: '5' }, { type: 'incremental', time: new Date('2024-03-16T00:00:00Z') })
  await bounded(vault.backup(next), `${what}: backup`)
}

const ROUNDS = Number(process.env['HOLDFAST_TEST_ROUNDS'] ?? 40)
const keyLike = async (storage: Storage, pattern: RegExp): Promise<string> =>
  (await keysOf(storage)).find((key) => pattern.test(key)) ?? assert.fail(String(pattern))

async function restoreAll(storage: Storage, saved: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const key of await keysOf(storage)) if (!saved.has(key)) await storage.remove(key)
  for (const [key, bytes] of saved) await storage.put(key, bytes)
}

async function fuzz(
  options: VaultOptions,
  seed: string,
  harm: (storage: Storage, random: Random) => Promise<string>,
): Promise<void> {
  const { storage, ids } = await scene(options)
  const saved = new Map<string, Buffer>()
  for (const key of await keysOf(storage)) saved.set(key, await bytesOf(storage, key))
  const random = randomFrom(seed)
  for (let round = 0; round < ROUNDS; round += 1) {
    const done = await harm(storage, random)
    await useAll(storage, options, ids, `seed ${seed}, round ${round}, ${done.slice(0, 2000)}`)
    await restoreAll(storage, saved)
  }
}

const FORMS: Record<string, VaultOptions> = {
  'tar, zstd': {},
  'tar, none': { compression: { type: 'none' }, partSize: 10_000 },
  'tar, brotli': { compression: { type: 'brotli' } },
  zip: { compression: { type: 'zip' } },
}

for (const [form, options] of Object.entries(FORMS)) {
  test(`manifests that lie are answered with an error of ours, or do no harm (${form})`, async (t) => {
    const seed = process.env['HOLDFAST_TEST_SEED'] ?? randomBytes(4).toString('hex')
    t.diagnostic(`HOLDFAST_TEST_SEED=${seed}`)
    await fuzz(options, seed, async (storage, random) => {
      const key = await keyLike(storage, random(2) === 0 ? /full\.manifest/ : /incremental\.manifest/)
      const { sum: _, ...value } = JSON.parse((await bytesOf(storage, key)).toString()) as Record<string, Json>
      const lie = mutate(value, random)
      const bytes = typeof lie === 'object' && lie !== null ? encodeSummed(lie) : Buffer.from(JSON.stringify(lie))
      await storage.put(key, bytes)
      return `${key}: ${JSON.stringify(lie)}`
    })
  })

  test(`indexes that lie are answered with an error of ours, or do no harm (${form})`, async (t) => {
    const seed = process.env['HOLDFAST_TEST_SEED'] ?? randomBytes(4).toString('hex')
    t.diagnostic(`HOLDFAST_TEST_SEED=${seed}`)
    await fuzz(options, seed, async (storage, random) => {
      const type = random(2) === 0 ? 'full' : 'incremental'
      const key = await keyLike(storage, new RegExp(`${type}\\.index`))
      const lines = zstdDecompressSync(await bytesOf(storage, key))
        .toString()
        .trimEnd()
        .split('\n')
      const at = random(lines.length)
      const lie = mutate(JSON.parse(lines[at] ?? '') as Json, random)
      const turned =
        random(8) === 0
          ? lines.toSpliced(random(lines.length), 0, JSON.stringify(lie))
          : lines.with(at, JSON.stringify(lie))
      await replaceIndex(storage, key, Buffer.from(`${turned.join('\n')}\n`))
      return `${key}, line ${at}: ${JSON.stringify(lie)}`
    })
  })
}

/** Puts another index there, and a manifest that agrees with it. */
async function replaceIndex(storage: Storage, key: string, lines: Buffer): Promise<void> {
  const packed = zstdCompressSync(lines)
  await storage.put(key, packed)
  const manifestKey = key.replace('.index.zst', '.manifest.json')
  const { sum: _, ...manifest } = JSON.parse((await bytesOf(storage, manifestKey)).toString()) as Record<string, Json>
  const index = manifest['index'] as Record<string, Json>
  const sha256 = createHash('sha256').update(packed).digest('hex')
  await storage.put(manifestKey, encodeSummed({ ...manifest, index: { ...index, size: packed.length, sha256 } }))
}

test('an index without end, all in one line, does not fill the memory', async () => {
  const { storage, ids } = await scene({})
  const key = await keyLike(storage, /incremental\.index/)
  await replaceIndex(storage, key, Buffer.concat([Buffer.from('{"holdfast":"index"'), Buffer.alloc(200_000_000, ' ')]))
  const before = process.memoryUsage().rss
  const vault = await openVault(storage)
  await assert.rejects(contents(vault, ids[1] ?? ''), { code: 'backup.damaged' })
  assert.ok(process.memoryUsage().rss - before < 300_000_000)
})

test('a manifest nested deeper than any stack is damaged, and hides no other', async () => {
  const { storage, ids } = await scene({})
  const key = await keyLike(storage, /incremental\.manifest/)
  const text = (await bytesOf(storage, key)).toString()
  await storage.put(key, Buffer.from(text.replace('{', `{"deep":${'['.repeat(200_000)}${']'.repeat(200_000)},`)))
  const vault = await openVault(storage)
  assert.deepEqual(
    (await vault.backups()).map(({ id }) => id),
    ids.slice(0, 1),
  )
})

test('content that an index claims to be where no needed payload is, is damage, not silence', async () => {
  const { storage, ids } = await scene({})
  const key = await keyLike(storage, /full\.index/)
  const lines = zstdDecompressSync(await bytesOf(storage, key)).toString()
  await replaceIndex(storage, key, Buffer.from(lines.replaceAll('"b":0', '"b":7')))
  const vault = await openVault(storage)
  await assert.rejects(contents(vault, ids[0] ?? ''), { code: 'backup.damaged' })
  assert.equal((await vault.verify(ids[0] ?? '', 'V2')).ok, false)
})

for (const path of ['../out', '/etc/out', 'a/../../out', 'a//out', './out', 'a/\0out']) {
  test(`a dump refuses the name ${JSON.stringify(path)}`, async () => {
    async function* entries() {
      yield { path, kind: 'symlink' as const, mode: 0o777, mtime: { s: 0, ns: 0 }, size: 0, linkTarget: 'x' }
    }
    for (const format of ['tar', 'zip'] as const)
      await assert.rejects(collect(exportArchive(entries(), format)), { code: 'restore.unsafe' })
  })
}
