import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../base/bytes.ts'
import { collect } from '../base/streams.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { memory } from './memory.ts'

storageSuite('driver:memory', {
  open: () => memory(),
  except: { 'flat-memory': 'memory is where it keeps its objects' },
})

test('the same name is the same memory, another is another', async () => {
  await memory('shared').put('a', utf8('1'))
  assert.equal((await memory('shared').stat('a'))?.size, 1)
  assert.equal(await memory('other').stat('a'), undefined)
})

test('memory keeps its own copy of what was put and gives copies', async () => {
  const storage = memory()
  const bytes = Buffer.from('abc')
  await storage.put('a', bytes)
  bytes.fill(0)
  ;(await collect(storage.get('a'))).fill(0)
  assert.equal(Buffer.from(await collect(storage.get('a'))).toString(), 'abc')
})
