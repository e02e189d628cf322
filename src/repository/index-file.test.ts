import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { encodeIndex, parseIndex, type IndexedPack } from './index-file.ts'
import { scanIndex } from './index-scan.ts'

const id = (): string => randomBytes(32).toString('hex')

const packs: IndexedPack[] = [
  { id: id(), blobs: [] },
  ...Array.from({ length: 8 }, (_, n): IndexedPack => ({
    id: id(),
    blobs: Array.from({ length: 50 * n + 1 }, (_blob, m) => ({
      id: id(),
      type: m % 7 === 0 ? 'tree' : 'data',
      offset: m * 1000,
      length: m === 3 ? 4_000_000_000 : m,
      uncompressedLength: m % 3 === 0 ? 0 : 2 ** 32 - 1,
    })),
  })),
]

function parsed(bytes: Uint8Array): IndexedPack[] {
  const found = new Map<string, IndexedPack>()
  parseIndex(bytes, 'an index', (pack, blob) => {
    const one = found.get(pack) ?? { id: pack, blobs: [] }
    found.set(pack, one)
    one.blobs.push(blob)
  })
  return [...found.values()]
}

test('an index says the same, spelled as restic spells it or in another way', () => {
  const bytes = encodeIndex(packs)
  assert.ok(scanIndex(bytes), 'ours is read byte by byte')
  const value: unknown = JSON.parse(Buffer.from(bytes).toString())
  const filled = packs.filter(({ blobs }) => blobs.length > 0)
  for (const text of [
    JSON.stringify(value),
    JSON.stringify(value, undefined, 1),
    JSON.stringify({ supersedes: [id()], ...(value as object) }),
  ]) {
    assert.deepEqual(parsed(Buffer.from(text)), filled)
  }
  assert.deepEqual(parsed(bytes), filled)
  assert.deepEqual(parsed(encodeIndex([])), [])
})

test('what is no index is refused before anything of it is used, by either reader', () => {
  const good = Buffer.from(encodeIndex(packs.slice(0, 3))).toString()
  const broken = [
    good.slice(0, -3),
    `${good} {}`,
    good.replace('"offset":1000', '"offset":01000'),
    good.replace('"offset":1000', '"offset":4294967296'),
    good.replace('"offset":1000', '"offset":-1'),
    good.replace('"offset":1000', '"offset":1e9.5'),
    good.replace('"offset":1000', '"offset":'),
    good.replace('"type":"data"', '"type":"date"'),
    good.replace(/"id":"(.)/, '"id":"G'),
    good.replace(/"id":"./, '"id":"'),
  ]
  for (const text of broken) {
    assert.equal(scanIndex(Buffer.from(text)), false, text.slice(0, 200))
    assert.throws(() => parsed(Buffer.from(text)), { code: 'backup.damaged' })
  }
})
