import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkKey, checkPrefix, compareKeys } from './keys.ts'

test('keys are compared by their UTF-8 bytes', () => {
  const sorted = ['A', 'a', 'a-b', 'a/b', 'a0', 'é', '\uff5e', '\u{1f600}']
  assert.deepEqual(sorted.toReversed().sort(compareKeys), sorted)
  assert.notDeepEqual(sorted.toSorted(), sorted, 'strings sort in another order')
})

test('what is no key is refused', () => {
  const bad = ['', '/a', 'a/', 'a//b', '.', '..', 'a/../b', 'a/./b', 'a\0b', 'a\nb', '\ud800', 'x'.repeat(1025)]
  for (const key of bad) assert.throws(() => checkKey(key), { code: 'storage.invalid' })
  for (const key of ['a', 'a/b', '.a', '..a', 'a..', 'x'.repeat(1024)]) checkKey(key)
})

test('a prefix may be empty or end anywhere, but not escape', () => {
  for (const prefix of ['', 'a', 'a/', 'a/b', 'a/.', '.']) checkPrefix(prefix)
  for (const prefix of ['/', '../', 'a/../b', 'a//', 'a\0']) assert.throws(() => checkPrefix(prefix))
})
