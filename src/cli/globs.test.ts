import assert from 'node:assert/strict'
import { test } from 'node:test'
import { globMatcher, itemMatcher } from './globs.ts'

const paths = ['srv', 'srv/sub', 'srv/sub/b', 'srv/sub/ab', 'srv/sub/c', 'srv/.hidden-b', 'other/srv/b']
const chosen = (matches: (path: string) => boolean): string[] => paths.filter((path) => matches(path))

test('a pattern without a slash means items at any depth, hidden ones too', () => {
  assert.deepEqual(chosen(itemMatcher('*b')), ['srv/sub', 'srv/sub/b', 'srv/sub/ab', 'srv/.hidden-b', 'other/srv/b'])
  assert.deepEqual(chosen(itemMatcher('b')), ['srv/sub/b', 'other/srv/b'])
})

test('a path means that item; to take it means all that is in it as well', () => {
  assert.deepEqual(chosen(itemMatcher('/srv/sub')), ['srv/sub'])
  assert.deepEqual(chosen(globMatcher('/srv/sub/')), ['srv/sub', 'srv/sub/b', 'srv/sub/ab', 'srv/sub/c'])
  assert.deepEqual(chosen(globMatcher('srv/s*')), ['srv/sub', 'srv/sub/b', 'srv/sub/ab', 'srv/sub/c'])
  assert.deepEqual(chosen(globMatcher('sub')), ['srv/sub', 'srv/sub/b', 'srv/sub/ab', 'srv/sub/c'])
})
