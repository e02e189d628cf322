/**
 * Repositories that somebody made up, with every sum right: restores, checks and prunes of them end with an error of ours or
 * a result, in bounded time and memory, and write nothing outside the target.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { isAppError } from '../../src/base/errors.ts'
import type { Vault } from '../../src/model/vault.ts'
import { seal } from '../../src/repository/crypto.ts'
import { idOf, keyOfFile, type BlobType } from '../../src/repository/ids.ts'
import { encodeIndex } from '../../src/repository/index-file.ts'
import { encodeHeader, type PackedBlob } from '../../src/repository/pack-header.ts'
import { createRepository, type OpenRepository } from '../../src/repository/repository.ts'
import { encodeSnapshot } from '../../src/repository/snapshot.ts'
import { storeUnpacked } from '../../src/repository/unpacked.ts'
import { vaultOf } from '../../src/repository/vault.ts'
import { compress } from '../../src/repository/zstd.ts'
import { filesTarget } from '../../src/sources/files/target.ts'
import { local } from '../../src/storage/local.ts'
import { memory } from '../../src/storage/memory.ts'
import { secret } from '../support/archive.ts'
import { scratch } from '../support/file-tree.ts'

const clock: Clock = { ...systemClock, sleep: async () => undefined }
const TIMES = '"mtime":"2024-01-01T00:00:00Z","atime":"2024-01-01T00:00:00Z","ctime":"2024-01-01T00:00:00Z"'

interface Forged {
  id: string
  type: BlobType
  content: Uint8Array
  /** What the index and the header claim in place of the truth. */
  claim?: Partial<PackedBlob>
}

const blob = (type: BlobType, text: string | Uint8Array, claim?: Partial<PackedBlob>): Forged => {
  const content = Buffer.from(text)
  return { id: idOf(content), type, content, ...(claim && { claim }) }
}

const file = (name: string, content: string, more = ''): string =>
  `{"name":${JSON.stringify(name)},"type":"file","mode":420,${TIMES},"uid":0,"gid":0${more},"content":[${content}]}`
const folder = (name: string, subtree: string): string =>
  `{"name":${JSON.stringify(name)},"type":"dir","mode":2147484141,${TIMES},"uid":0,"gid":0,"content":null,"subtree":"${subtree}"}`
const link = (name: string, target: string): string =>
  `{"name":${JSON.stringify(name)},"type":"symlink","mode":134218239,${TIMES},"uid":0,"gid":0,"linktarget":${JSON.stringify(target)},"content":null}`
const tree = (...nodes: string[]): Forged => blob('tree', `{"nodes":[${nodes.join(',')}]}\n`)

/** A repository whose one snapshot has the last of these blobs as its root. */
async function forge(repository: OpenRepository, blobs: readonly Forged[]): Promise<string> {
  const { storage, key } = repository
  const packs: { id: string; blobs: PackedBlob[] }[] = []
  for (const type of ['data', 'tree'] as const) {
    const parts: Uint8Array[] = []
    const listed: PackedBlob[] = []
    let offset = 0
    for (const one of blobs.filter((each) => each.type === type)) {
      const sealed = seal(key, compress(one.content))
      parts.push(sealed)
      const { length } = sealed
      listed.push({ id: one.id, type, offset, length, uncompressedLength: one.content.length, ...one.claim })
      offset += length
    }
    const header = seal(key, encodeHeader(listed))
    const tail = Buffer.alloc(4)
    tail.writeUInt32LE(header.length)
    const bytes = Buffer.concat([...parts, header, tail])
    packs.push({ id: idOf(bytes), blobs: listed })
    await storage.put(keyOfFile('data', idOf(bytes)), bytes)
  }
  await storeUnpacked(storage, key, 2, 'index', encodeIndex(packs))
  const json = encodeSnapshot({
    time: '2024-01-01T00:00:00Z',
    tree: blobs.at(-1)?.id ?? '',
    paths: ['/x'],
    hostname: 'h',
  })
  return storeUnpacked(storage, key, 2, 'snapshots', json)
}

async function newVault(
  t: TestContext,
  where: 'memory' | 'local',
): Promise<{ repository: OpenRepository; vault: Vault }> {
  const storage = where === 'memory' ? memory() : local({ path: scratch(t) })
  const repository = await createRepository(storage, secret('password'), { now: new Date(), p: 1 })
  return { repository, vault: vaultOf(repository, { settings: { name: 'vault' }, clock, program: 'holdfast test' }) }
}

const good = blob('data', 'good content')
const content = `"${good.id}"`
const chain = (levels: number): Forged[] => {
  const blobs = [good, tree(file('end', content, ',"size":12'))]
  for (let n = 0; n < levels; n += 1) blobs.push(tree(folder('d', blobs.at(-1)?.id ?? '')))
  return blobs
}
const bomb = blob('data', Buffer.alloc(64 * 1024 * 1024))
const size = ',"size":12'

const CASES: Record<string, Forged[]> = {
  'a name that leads out': [good, tree(file('../../outside', content, size))],
  'a name with a slash': [good, tree(file('a/b', content, size))],
  'the names . and ..': [good, tree(file('.', content, size), file('..', content, size))],
  'a name with NUL': [good, tree(file('a\0b', content, size))],
  'a name twice': [good, tree(file('a', content, size), file('a', content, size))],
  'a symlink and a folder of one name': [
    good,
    tree(file('outside', content, size)),
    tree(link('a', '../..'), folder('a', tree(file('outside', content, size)).id)),
  ],
  'a symlink, and below its name in another order': [
    good,
    tree(file('outside', content, size)),
    tree(folder('a', tree(file('outside', content, size)).id), link('a', '../..')),
  ],
  'a size that is not that of the content': [good, tree(file('a', content, ',"size":9007199254740991'))],
  'a size beyond all': [good, tree(file('a', content, ',"size":18446744073709551615'))],
  'a content that expands to more than was said': [
    { ...bomb, claim: { uncompressedLength: 12 } },
    tree(file('a', `"${bomb.id}"`, size)),
  ],
  'a blob that claims four gigabytes': [
    { ...good, claim: { uncompressedLength: 2 ** 32 - 1 } },
    tree(file('a', content, `,"size":${2 ** 32 - 1}`)),
  ],
  'a blob that reaches past its pack': [{ ...good, claim: { length: 2 ** 31 } }, tree(file('a', content, size))],
  'a blob shorter than any': [{ ...good, claim: { length: 3 } }, tree(file('a', content, size))],
  'a blob at another place': [{ ...good, claim: { offset: 2 ** 31 } }, tree(file('a', content, size))],
  'folders deeper than any path': chain(2300),
  'a folder that is no tree': [good, tree(folder('a', good.id))],
  'a tree that is no JSON': [good, blob('tree', '{"nodes":[')],
  'a tree that nests without end': [good, blob('tree', '['.repeat(200_000))],
}

for (const [name, blobs] of Object.entries(CASES))
  test(`of a repository with ${name} nothing comes that was not meant`, { timeout: 60_000 }, async (t) => {
    for (const where of ['memory', 'local'] as const) {
      const { repository, vault } = await newVault(t, where)
      const id = await forge(repository, blobs)
      const around = scratch(t)
      const root = join(around, 'one', 'two')
      const before = process.memoryUsage().rss
      const ours = async (work: () => Promise<unknown>): Promise<void> => {
        try {
          await work()
        } catch (error) {
          assert.ok(isAppError(error) && error.code !== 'internal.bug', String(error))
        }
      }
      await ours(async () => {
        const target = filesTarget({ root, ownership: false })
        await target.write(vault.open(id, { transient: true }), { onWarning: () => undefined })
      })
      await ours(async () => vault.check({ readData: true }))
      await ours(async () => vault.remove([id], { maxUnused: 0 }))
      assert.deepEqual(
        readdirSync(around).filter((found) => found !== 'one'),
        [],
      )
      if (existsSync(join(around, 'one'))) assert.deepEqual(readdirSync(join(around, 'one')), ['two'])
      assert.ok(process.memoryUsage().rss - before < 400 * 1024 * 1024, 'memory')
    }
  })
