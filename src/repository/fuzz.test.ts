/** Bytes from a repository that nobody would write: a clear error or a sound value, never anything else. */
import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { test } from 'node:test'
import { AppError } from '../base/errors.ts'
import { utf8 } from '../base/bytes.ts'
import { encodeConfig, newConfig, parseConfig } from './config.ts'
import { encodeIndex, parseIndex } from './index-file.ts'
import { encodeKeyFile, parseKeyFile } from './key-file.ts'
import { encodeLock, newLockFile, parseLock } from './lock-file.ts'
import { encodeHeader, headerRange, packSize, parseHeader, type PackedBlob } from './pack-header.ts'
import { encodeNode, type TreeNode } from './node.ts'
import { entryOfNode } from './entry-node.ts'
import { Before } from './previous.ts'
import { encodeSnapshot, parseSnapshot } from './snapshot.ts'
import { encodeTree, parseTree } from './tree.ts'
import { expandTo, compress } from './zstd.ts'

const ROUNDS = 1500
const id = (): string => randomBytes(32).toString('hex')

const VALUES = ['null', '-1', '1e400', '18446744073709551616', '""', '"../../etc/x"', '"a/b"', '"\\u0000"', '"\\\\xff"']
VALUES.push('[]', '{}', '[[[]]]', 'true', '"2024-13-45T99:99:99Z"', '"dir"', '"symlink"', `"${'f'.repeat(64)}"`)

const below = (end: number): number => (end < 1 ? 0 : randomInt(end))

/** Somewhere a byte or a value is another, missing, doubled, or the end is missing. */
function damage(bytes: Uint8Array): Buffer {
  const from = Buffer.from(bytes)
  const at = below(from.length)
  const kind = randomInt(6)
  if (kind === 0) return Buffer.concat([from.subarray(0, at), randomBytes(1), from.subarray(at + 1)])
  if (kind === 1) return from.subarray(0, at)
  if (kind === 2) return Buffer.concat([from.subarray(0, at), randomBytes(randomInt(20)), from.subarray(at)])
  if (kind === 3) return Buffer.concat([from.subarray(0, at), from.subarray(Math.min(from.length, at + randomInt(40)))])
  if (kind === 4) return Buffer.concat([from, from])
  // One value of the JSON.
  const text = from.toString('latin1')
  const values = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d+|null/g)]
  const chosen = values[below(values.length)]
  if (chosen === undefined) return from
  const value = VALUES[randomInt(VALUES.length)] as string
  return Buffer.from(text.slice(0, chosen.index) + value + text.slice(chosen.index + chosen[0].length), 'latin1')
}

function each(bytes: Uint8Array, parse: (damaged: Buffer) => void): void {
  for (let round = 0; round < ROUNDS; round += 1) {
    let damaged = damage(bytes)
    for (let more = randomInt(3); more > 0 && damaged.length > 0; more -= 1) damaged = damage(damaged)
    try {
      parse(damaged)
    } catch (error) {
      assert.ok(error instanceof AppError, `${String(error)} by ${damaged.toString('latin1').slice(0, 300)}`)
      assert.ok(['backup.damaged', 'vault.unsupported'].includes(error.code), error.code)
    }
  }
}

const node = (name: string, more: Partial<TreeNode>): TreeNode => ({
  name,
  type: 'file',
  mode: 0o644,
  mtime: '2024-03-15T14:30:45.123456789Z',
  atime: '2024-03-15T14:30:45.123456789Z',
  ctime: '2024-03-15T14:30:45.123456789+05:30',
  uid: 1,
  gid: 2,
  inode: 12_345,
  device_id: 66_000,
  content: [id(), id()],
  ...more,
})

const TREE = encodeTree(
  [
    node('a file', { size: 700_000, extended_attributes: [{ name: 'user.x', value: 'AAAA' }] }),
    node('b folder', { type: 'dir', content: null, subtree: id() }),
    node('c link', { type: 'symlink', content: null, linktarget: 'somewhere', links: 2 }),
    node('d device', { type: 'chardev', content: null, device: 259 }),
  ].map(encodeNode),
)

const BLOBS: PackedBlob[] = [0, 1, 2].map((n) => ({
  id: id(),
  type: 'data',
  offset: n * 1000,
  length: 1000,
  uncompressedLength: n * 900,
}))

test('damaged trees are refused, or give items that stay in their folder', () => {
  each(TREE, (bytes) => {
    for (const item of parseTree(bytes, 'a tree')) {
      assert.ok(item.name !== '' && item.name !== '.' && item.name !== '..' && !/[/\0]/.test(item.name), item.name)
      const entry = entryOfNode(item, item.name)
      assert.ok(entry === undefined || (Number.isInteger(entry.mode) && entry.mode <= 0o7777))
    }
  })
})

test('a damaged tree of the snapshot before is walked to its end beside the source', () => {
  each(TREE, (bytes) => {
    const before = new Before(id(), bytes.toString('latin1'))
    for (const name of ['a file', 'b folder', 'c link', 'd device', 'e']) {
      const found = before.file(`{"name":"${name}"`)
      if (found !== undefined) before.passFile(found.json)
      else before.seek(name)
    }
    before.end()
  })
})

test('damaged indexes, snapshots, locks, keys and configurations are refused, or give what their types say', () => {
  each(encodeIndex([{ id: id(), blobs: BLOBS }]), (bytes) =>
    parseIndex(bytes, 'an index', (pack, blob) => {
      assert.match(pack + blob.id, /^[0-9a-f]{128}$/)
      assert.ok(Number.isSafeInteger(blob.offset + blob.length + blob.uncompressedLength))
    }),
  )
  const snapshot = { time: '2024-03-15T14:30:45Z', tree: id(), paths: ['/a'], tags: ['x'], hostname: 'h', uid: 3 }
  each(encodeSnapshot(snapshot), (bytes) => assert.match(parseSnapshot(bytes, 'a snapshot').tree, /^[0-9a-f]{64}$/))
  each(encodeLock(newLockFile(true, new Date())), (bytes) => void parseLock(bytes, 'a lock'))
  each(encodeConfig(newConfig()), (bytes) => void parseConfig(bytes, 'a repository'))
  const key = { created: '', username: 'u', hostname: 'h', N: 32_768, r: 8, p: 1, salt: randomBytes(64) }
  each(encodeKeyFile({ ...key, data: randomBytes(120) }), (bytes) => {
    const { N, r, p } = parseKeyFile(bytes, 'a key')
    assert.ok(128 * N * r <= 2 ** 30 && 128 * N * r * p <= 2 ** 34, 'what it asks for is bounded')
  })
})

test('damaged headers of packs are refused, or describe a pack without gaps', () => {
  each(encodeHeader(BLOBS), (bytes) => {
    const blobs = parseHeader(bytes) ?? []
    let end = 0
    for (const { offset, length } of blobs) {
      assert.equal(offset, end)
      end += length
    }
    assert.ok(packSize(blobs) > end)
  })
  for (let round = 0; round < ROUNDS; round += 1) {
    const size = randomInt(4, 2 ** 32)
    const range = headerRange(randomBytes(4), size)
    assert.ok(range === undefined || (range.start >= 0 && range.end <= size && range.end - range.start <= 2 ** 24))
  }
})

test('damaged frames never give more than was promised', () => {
  const frame = compress(utf8('text '.repeat(10_000)))
  each(frame, (bytes) => {
    for (const length of [0, 10, 50_000, 60_000]) {
      const content = expandTo(length, bytes)
      assert.ok(content === undefined || content.length === length)
    }
  })
})
