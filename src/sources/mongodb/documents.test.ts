import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as driver from 'mongodb'
import { isAppError } from '../../base/errors.ts'
import { documentsOf, sendable } from './documents.ts'
import { aboutName, bsonPath, parsePath } from './layout.ts'

const { BSON } = driver

test('documents come out of a file wherever its bytes are cut', async () => {
  const documents = [{ a: 1 }, {}, { b: 'x'.repeat(50) }, { c: [1, { d: 2 }] }].map((each) =>
    Buffer.from(BSON.serialize(each)),
  )
  const file = Buffer.concat(documents)
  for (let size = 1; size <= file.length; size += 1) {
    async function* cut() {
      const memory = Buffer.alloc(size)
      for (let at = 0; at < file.length; at += size) yield memory.subarray(0, file.copy(memory, 0, at, at + size))
    }
    const found: Buffer[] = []
    for await (const document of documentsOf(cut(), 'x')) found.push(Buffer.from(document))
    assert.deepEqual(found, documents)
  }
  const broken = async (bytes: Buffer) => {
    async function* content() {
      yield bytes
    }
    for await (const _ of documentsOf(content(), 'x'));
  }
  await assert.rejects(broken(file.subarray(0, -1)), (error) => isAppError(error, 'backup.damaged'))
  await assert.rejects(broken(Buffer.from([1, 0, 0, 0, 0, 0])), (error) => isAppError(error, 'backup.damaged'))
})

test('what is sent has the very bytes that were read: types, order of keys, and all', () => {
  const inner = new Map<string, unknown>([
    ['9', 1],
    ['3', 2],
  ])
  const middle = new Map<string, unknown>([
    ['1', 'x'],
    ['0', [inner]],
  ])
  const ordered = new Map<string, unknown>([
    ['b', 1],
    ['2', middle],
    ['1', new driver.Long(5)],
  ])
  for (const document of [
    { int: new driver.Int32(1), double: new driver.Double(1), long: new driver.Long(1), minus: new driver.Double(-0) },
    {
      date: new Date(0),
      id: new driver.ObjectId(),
      bin: new driver.Binary(Buffer.from([1, 2]), 4),
      ts: new driver.Timestamp({ t: 1, i: 2 }),
    },
    {
      re: new driver.BSONRegExp('a', 'ix'),
      code: new driver.Code('f()', { x: 1 }),
      min: new driver.MinKey(),
      dec: driver.Decimal128.fromString('1.50'),
    },
    { nothing: null, list: [], deep: { deep: {} }, text: 'a\0b', '': 1, sub: new driver.Binary(Buffer.alloc(16), 3) },
    ordered,
  ]) {
    const bytes = Buffer.from(BSON.serialize(document))
    assert.deepEqual(Buffer.from(BSON.serialize(sendable(driver, bytes, 'x'))), bytes)
  }
})

test('names of collections become names of files, and come back', () => {
  assert.equal(bsonPath('shop', 'a/b c:d$e%'), 'shop/a%2Fb%20c:d$e%25.bson')
  assert.deepEqual(parsePath('shop/a%2Fb%20c:d$e%25.bson'), { database: 'shop', collection: 'a/b c:d$e%', is: 'rows' })
  assert.deepEqual(parsePath('shop/x.bson.metadata.json'), { database: 'shop', collection: 'x.bson', is: 'metadata' })
  assert.equal(parsePath('~holdfast.json'), undefined)
  assert.equal(aboutName(['a', '~zz']), '~~holdfast.json')
})
