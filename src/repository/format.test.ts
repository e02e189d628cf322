import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { literalSecret } from '../model/secret.ts'
import { memory } from '../storage/memory.ts'
import { BlobIndex } from './blob-index.ts'
import { seal, sealKey, unseal } from './crypto.ts'
import { goJsonString, goQuote, goUnquote } from './go-text.ts'
import { goTime, parseGoTime } from './go-time.ts'
import { newMasterKey } from './key-file.ts'
import { encodeHeader, parseHeader } from './pack-header.ts'
import { isIrreducible, randomPolynomial } from './polynomial.ts'
import { createRepository, openRepository } from './repository.ts'
import { parseTree } from './tree.ts'

const PASSWORD = literalSecret('a password of the tests', 'test')

test('what is sealed opens again, and not after any bit was changed', () => {
  const key = sealKey(newMasterKey())
  const plain = Buffer.from('some content')
  const sealed = seal(key, plain)
  assert.deepEqual(unseal(key, sealed), plain)
  for (let bit = 0; bit < sealed.length * 8; bit += 7) {
    const changed = Buffer.from(sealed)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.equal(unseal(key, changed), undefined)
  }
})

test('a new repository opens with its password and with no other', async () => {
  const storage = memory()
  const made = await createRepository(storage, PASSWORD, { now: new Date(), p: 1 })
  const opened = await openRepository(storage, PASSWORD)
  assert.deepEqual(opened.config, made.config)
  await assert.rejects(
    async () => openRepository(storage, literalSecret('another password', 'test')),
    (error) => isAppError(error, 'vault.wrong-password'),
  )
})

test('names are quoted as Go quotes them, and come back', () => {
  const cases: [string, string][] = [
    ['plain name', 'plain name'],
    ['new\nline', String.raw`new\nline`],
    ['quote"back\\slash', String.raw`quote\"back\\slash`],
    ['inv\udcff', String.raw`inv\xff`],
    ['\u0001\u007f\u0007', String.raw`\x01\x7f\a`],
    ['soft\u00adhyphen', String.raw`soft\u00adhyphen`],
    ['\u2028', String.raw`\u2028`],
    ['\u{e0001}', String.raw`\U000e0001`],
    ['é 漢字 😀 \ufffd', 'é 漢字 😀 \ufffd'],
  ]
  for (const [name, quoted] of cases) {
    assert.equal(goQuote(name), quoted)
    assert.equal(goUnquote(quoted), name)
  }
  assert.equal(goUnquote(String.raw`\101`), 'A')
  for (const wrong of [String.raw`\q`, '\\', String.raw`\ud800`, String.raw`\x4`, 'a"b'])
    assert.equal(goUnquote(wrong), undefined)
})

test('JSON strings are written as Go writes them', () => {
  assert.equal(
    goJsonString('<a & b>\u2028\u0001\t"\\\udcff'),
    String.raw`"\u003ca \u0026 b\u003e\u2028\u0001\t\"\\\ufffd"`,
  )
})

test('times are written in the zone of the instant, without zeros at the end', () => {
  assert.equal(
    goTime({ s: 0, ns: 0 }, () => 0),
    '1970-01-01T00:00:00Z',
  )
  assert.equal(
    goTime({ s: -1, ns: 120_000_000 }, () => 330),
    '1970-01-01T05:29:59.12+05:30',
  )
  assert.equal(
    goTime({ s: 1e9, ns: 1 }, () => -120),
    '2001-09-08T23:46:40.000000001-02:00',
  )
  for (const s of [-1e10, -1, 0, 1e9]) assert.deepEqual(parseGoTime(goTime({ s, ns: 5 })), { s, ns: 5 })
  assert.equal(parseGoTime('yesterday'), undefined)
})

test('a pack header is read as it was written, and nothing else is', () => {
  const blobs = [
    { id: 'a'.repeat(64), type: 'data' as const, length: 40, uncompressedLength: 0 },
    { id: 'b'.repeat(64), type: 'tree' as const, length: 50, uncompressedLength: 99 },
  ]
  const header = encodeHeader(blobs)
  assert.deepEqual(
    parseHeader(header),
    blobs.map((blob, at) => ({ ...blob, offset: at * 40 })),
  )
  assert.equal(parseHeader(header.subarray(0, -1)), undefined)
})

test('trees with names that lead elsewhere, come twice or out of order are refused', () => {
  const node = (name: string): string =>
    `{"name":${JSON.stringify(name)},"type":"file","mode":420,"mtime":"","atime":"","ctime":"","uid":0,"gid":0,"content":[]}`
  for (const names of [['..'], ['a/b'], [''], ['a', 'a'], ['b', 'a'], [String.raw`\x00`]])
    assert.throws(
      () => parseTree(Buffer.from(`{"nodes":[${names.map(node).join(',')}]}`), 'a tree'),
      (error) => isAppError(error, 'backup.damaged'),
    )
  assert.equal(parseTree(Buffer.from(`{"nodes":[${['a', 'b'].map(node).join(',')}]}\n`), 'a tree').length, 2)
})

test('the index finds each of many blobs, by type, and takes at most 64 bytes for each', () => {
  const index = new BlobIndex()
  assert.equal(index.find('data', 'no id'), -1)
  const count = 300_000
  const id = Buffer.alloc(32)
  const nth = (n: number): Buffer => {
    for (let at = 0; at < 8; at += 1) id.writeUInt32LE(Math.imul(n + 1, 2_654_435_761 + at * 97) >>> 0, at * 4)
    return id
  }
  for (let n = 0; n < count; n += 1) assert.equal(index.claim('data', nth(n)), n)
  assert.equal(index.claim('data', nth(5)), -1)
  assert.equal(index.find('tree', nth(5).toString('hex')), -1)
  for (let n = 0; n < count; n += 997) assert.equal(index.findBytes('data', nth(n)), n)
  index.settle(7, { pack: 3, offset: 11, length: 12, uncompressedLength: 13 })
  assert.deepEqual(index.place(7), { pack: 3, offset: 11, length: 12, uncompressedLength: 13 })
  assert.equal(index.idOf(7), nth(7).toString('hex'))
  assert.ok(index.bytes / count <= 64, `${index.bytes / count} bytes a blob`)
})

test('a random polynomial is irreducible; the product of two is not', () => {
  assert.ok(isIrreducible(randomPolynomial()))
  assert.ok(!isIrreducible(0b101n))
})
