import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { utf8 } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { listAll } from '../operations/storage-promises.ts'
import { faulty, type FaultyStorage } from '../testing/faulty-storage.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { memory } from './memory.ts'
import { withCache, type CacheOptions } from './with-cache.ts'

const base = mkdtempSync(join(tmpdir(), 'holdfast-cache-'))
after(() => rmSync(base, { recursive: true, force: true }))

storageSuite('driver:memory with a cache', {
  open: () => withCache(memory(), { folder: folder(), maxBytes: 50e6, wanted: () => true }),
  except: { 'flat-memory': 'memory is where it keeps its objects' },
})

function folder(): string {
  return join(base, randomBytes(6).toString('hex'))
}

function cached(options: Partial<CacheOptions> = {}, inner: FaultyStorage = faulty(memory())): Cached {
  const path = options.folder ?? folder()
  const storage = withCache(inner, {
    folder: path,
    maxBytes: 1e6,
    wanted: (key) => key.startsWith('index/'),
    ...options,
  })
  return { storage, inner, path, gets: () => inner.calls.filter((call) => call.startsWith('get ')).length }
}

interface Cached {
  storage: Storage
  inner: FaultyStorage
  path: string
  gets: () => number
}

const files = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

test('a second read comes from the disk, also in another process, and ranges too', async () => {
  const { storage, inner, path, gets } = cached()
  const bytes = randomBytes(10_000)
  await inner.put('index/a', bytes)
  for (let i = 0; i < 3; i += 1) assert.equal(Buffer.compare(await collect(storage.get('index/a')), bytes), 0)
  const again = cached({ folder: path }, inner)
  const part = await collect(again.storage.get('index/a', { range: { start: 100, end: 200 } }))
  assert.equal(Buffer.compare(part, bytes.subarray(100, 200)), 0)
  assert.equal(gets(), 1)
  const past = collect(again.storage.get('index/a', { range: { start: 0, end: 10_001 } }))
  await assert.rejects(past, (error) => isAppError(error, 'storage.truncated'))
})

test('what a list told needs no further request', async () => {
  const { storage, inner } = cached()
  await inner.put('index/a', utf8('x'))
  await listAll(storage, 'index/')
  await collect(storage.get('index/a'))
  await collect(storage.get('index/a'))
  assert.deepEqual(inner.calls, ['put index/a', 'list index/', 'get index/a'])
})

test('what was put is there without a read', async () => {
  const { storage, gets } = cached()
  await storage.put('index/a', utf8('text'))
  assert.equal(Buffer.from(await collect(storage.get('index/a'))).toString(), 'text')
  assert.equal(gets(), 0)
})

test('only wanted and small objects are kept', async () => {
  const { storage, inner, path, gets } = cached({ maxObjectBytes: 100 })
  await inner.put('data/a', utf8('x'))
  await inner.put('index/large', randomBytes(101))
  for (const key of ['data/a', 'data/a', 'index/large', 'index/large']) await collect(storage.get(key))
  assert.equal(gets(), 4)
  assert.throws(() => readdirSync(path), /ENOENT/)
})

test('a damaged or cut file of the cache is dropped, and the storage is read', async () => {
  const { storage, inner, path, gets } = cached()
  const bytes = randomBytes(5000)
  await inner.put('index/a', bytes)
  await collect(storage.get('index/a'))
  for (const damage of [
    (file: Buffer) => file.fill(1, 600, 601),
    (file: Buffer) => file.subarray(0, 3000),
    () => Buffer.alloc(0),
  ]) {
    const before = gets()
    const [file = ''] = files(path)
    writeFileSync(file, damage(readFileSync(file)))
    assert.equal(Buffer.compare(await collect(storage.get('index/a')), bytes), 0)
    assert.equal(gets(), before + 1)
  }
})

test('an object that was removed or replaced in the storage is not served from the cache', async () => {
  const { storage, inner, path } = cached()
  await inner.put('index/a', utf8('one'))
  await collect(storage.get('index/a'))
  await inner.put('index/a', utf8('two'))
  const fresh = cached({ folder: path }, inner).storage
  assert.equal(Buffer.from(await collect(fresh.get('index/a'))).toString(), 'two')
  await fresh.remove('index/a')
  await assert.rejects(collect(fresh.get('index/a')), (error) => isAppError(error, 'storage.not-found'))
})

test('two storages that share a folder do not share objects', async () => {
  const path = folder()
  for (const text of ['one', 'two']) {
    const { storage } = cached({ folder: path })
    await storage.put('index/a', utf8(text))
    assert.equal(Buffer.from(await collect(storage.get('index/a'))).toString(), text)
  }
})

test('the folder stays within its bound, and what was used last stays', async () => {
  const { storage, path } = cached({ maxBytes: 100_000 })
  const size = (): number => files(path).reduce((sum, file) => sum + statSync(file).size, 0)
  for (let i = 0; i < 30; i += 1) {
    const before = new Set(i === 0 ? [] : files(path))
    await storage.put(`index/${i}`, randomBytes(10_000))
    for (const file of files(path).filter((name) => !before.has(name))) utimesSync(file, 1000 + i, 1000 + i)
    assert.ok(size() <= 100_000 + 11_000, `${size()} bytes`)
    if (i === 5) await collect(storage.get('index/0'))
  }
  assert.ok(size() <= 100_000)
})

test('a folder that cannot be used is reported, and reads go on', async () => {
  const warnings: unknown[] = []
  const path = folder()
  writeFileSync(path, 'a file, no folder')
  const { storage, inner } = cached({ folder: path, onWarning: (error) => warnings.push(error) })
  await inner.put('index/a', utf8('text'))
  assert.equal(Buffer.from(await collect(storage.get('index/a'))).toString(), 'text')
  assert.ok(warnings.length > 0)
})

test('files of the cache are private', async () => {
  const { storage, path } = cached()
  await storage.put('index/a', utf8('text'))
  const [file = ''] = files(path)
  assert.equal(statSync(file).mode & 0o077, 0)
})
