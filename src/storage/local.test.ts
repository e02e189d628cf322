import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { utf8 } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import { listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { local } from './local.ts'

const base = mkdtempSync(join(tmpdir(), 'holdfast-local-'))
after(() => rmSync(base, { recursive: true, force: true }))
const folder = (): string => join(base, randomBytes(6).toString('hex'))

const shared = folder()
storageSuite('driver:local', {
  open: () => local({ path: shared }),
  child: () => ({ module: join(import.meta.dirname, 'local.ts'), call: 'local', args: [{ path: shared }] }),
})

test('files and folders are private by default, and get exactly the modes asked for', async () => {
  const mask = process.umask(0o027)
  try {
    const [plain, open] = [folder(), folder()]
    await local({ path: plain }).put('a/b', utf8('x'))
    await local({ path: open, permissions: 0o664, directoryPermissions: 0o2775 }).put('a/b', utf8('x'))
    const modes = (root: string): number[] => ['', 'a', 'a/b'].map((path) => statSync(join(root, path)).mode & 0o7777)
    assert.deepEqual(modes(plain), [0o700, 0o700, 0o600])
    assert.deepEqual(modes(open), [0o2775, 0o2775, 0o664])
  } finally {
    process.umask(mask)
  }
})

test('no put leaves a temporary file, whether it succeeds or not', async () => {
  const path = folder()
  const storage = local({ path })
  await storage.put('a', utf8('1'))
  await storage.put('b', streamOf(utf8('1')), { ifAbsent: true })
  await assert.rejects(storage.put('b', streamOf(utf8('2')), { ifAbsent: true }))
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield utf8('half')
    throw new Error('the source broke')
  }
  await assert.rejects(storage.put('c', broken()), /the source broke/)
  assert.deepEqual(readdirSync(path).sort(), ['a', 'b'])
})

test('temporary files are invisible, are swept by age, and no key may look like one', async () => {
  const path = folder()
  const storage = local({ path })
  await storage.put('data/ab/x', utf8('1'))
  writeFileSync(join(path, 'data/ab/.y.tmp-123-0123456789ab'), 'half')
  assert.deepEqual(
    (await listAll(storage, '')).map(({ key }) => key),
    ['data/ab/x'],
  )
  assert.deepEqual(await storage.sweep(new Date(Date.now() - 60_000)), { removed: 0, bytes: 0 })
  assert.deepEqual(await storage.sweep(new Date(Date.now() + 60_000)), { removed: 1, bytes: 4 })
  await assert.rejects(storage.put('data/.y.tmp-123-0123456789ab', utf8('x')), (error) =>
    isAppError(error, 'storage.invalid'),
  )
})

test('remove takes away the empty folders it made, not those of others and never the root', async () => {
  const path = folder()
  mkdirSync(join(path, 'locks'), { recursive: true })
  const storage = local({ path })
  for (const key of ['locks/a', 'data/ab/x', 'data/cd/y']) await storage.put(key, utf8('1'))
  await storage.remove('locks/a')
  await storage.remove('data/ab/x')
  assert.deepEqual([...readdirSync(path).sort(), ...readdirSync(join(path, 'data'))], ['data', 'locks', 'cd'])
  await storage.remove('data/cd/y')
  assert.deepEqual(readdirSync(path), ['locks'])
})

test('puts and removes that share a folder never trip over each other', async () => {
  const storage = local({ path: folder() })
  const work = Array.from({ length: 200 }, async (_, i) => {
    await storage.put(`a/b/${i}`, utf8(String(i)))
    await storage.remove(`a/b/${i}`)
  })
  await Promise.all(work)
  assert.deepEqual(await listAll(storage, ''), [])
})

test('a folder reached through a link is listed', async () => {
  const [path, elsewhere] = [folder(), folder()]
  mkdirSync(path)
  mkdirSync(elsewhere)
  symlinkSync(elsewhere, join(path, 'data'))
  const storage = local({ path })
  await storage.put('data/x', utf8('1'))
  assert.ok(existsSync(join(elsewhere, 'x')))
  assert.deepEqual(
    (await listAll(storage, 'da')).map(({ key }) => key),
    ['data/x'],
  )
})

test('a file in the way of a folder is storage.invalid, a folder in the way of a file too', async () => {
  const storage = local({ path: folder() })
  await storage.put('a/b', utf8('1'))
  const invalid = (error: unknown): boolean => isAppError(error, 'storage.invalid')
  await assert.rejects(storage.put('a/b/c', utf8('1')), invalid)
  await assert.rejects(storage.put('a', utf8('1')), invalid)
  assert.equal(await storage.stat('a'), undefined)
})

test('a file cut while it is read is storage.truncated', async () => {
  const path = folder()
  const storage = local({ path })
  await storage.put('a', randomBytes(8 * 1024 * 1024))
  const read = async (): Promise<void> => {
    for await (const _ of storage.get('a')) writeFileSync(join(path, 'a'), 'short')
  }
  await assert.rejects(read(), (error) => isAppError(error, 'storage.truncated'))
})

test('the space of the file system is known even before the first put', async () => {
  const space = await local({ path: join(folder(), 'deeper') }).can.space?.()
  assert.ok(space && space.free > 0 && space.total >= space.free)
})

test('a folder that may not be written to is storage.denied, with the folder in the message', async (t) => {
  const path = folder()
  mkdirSync(path, { mode: 0o555 })
  const code = `
    if (process.getuid() === 0) process.setuid(65534)
    const { local } = await import(${JSON.stringify(join(import.meta.dirname, 'local.ts'))})
    const storage = local({ path: ${JSON.stringify(path)} })
    await storage.put('a', Buffer.from('x')).catch((error) => console.log(error.code, error.message))`
  chmodSync(base, 0o755)
  const run = inChild(code)
  if (run.includes('ERR_')) return t.skip('another user cannot read this checkout')
  assert.equal(run, `storage.denied cannot store a in file:${path}: EACCES: permission denied`)
})

test('a full disk is storage.full and leaves no temporary file', async (t) => {
  const path = smallDisk(t)
  if (path === undefined) return t.skip('needs a small file system of its own (root, mount)')
  const storage = local({ path })
  await storage.put('small', utf8('kept'))
  async function* large(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 16; i += 1) yield randomBytes(1024 * 1024)
  }
  for (const body of [large(), randomBytes(16 * 1024 * 1024)])
    await assert.rejects(storage.put('large', body), (error) => isAppError(error, 'storage.full'))
  assert.deepEqual(readdirSync(path), ['small'])
  assert.equal((await collect(storage.get('small'))).length, 4)
})

function inChild(code: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
  return (stdout || stderr).trim()
}

function smallDisk(t: TestContext): string | undefined {
  const path = folder()
  mkdirSync(path)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path]).status !== 0) return undefined
  t.after(() => spawnSync('umount', [path]))
  return path
}

test('folders that others remove at the same moment hinder no put', async () => {
  const root = folder()
  const storage = local({ path: root })
  const code = `const { rmdirSync } = process.getBuiltinModule('fs')
    const clock = new Int32Array(new SharedArrayBuffer(4))
    for (;;) {
      for (const path of ['/.holdfast/leases', '/.holdfast']) try { rmdirSync(process.argv[1] + path) } catch {}
      Atomics.wait(clock, 0, 0, Math.random() * 3)
    }`
  const other = spawn(process.execPath, ['-e', code, root], { stdio: 'ignore' })
  try {
    for (let round = 0; round < 400; round += 1) {
      await storage.put(`.holdfast/leases/backup-${round}.json`, utf8('{}'))
      await storage.remove(`.holdfast/leases/backup-${round}.json`)
    }
  } finally {
    other.kill('SIGKILL')
  }
})
