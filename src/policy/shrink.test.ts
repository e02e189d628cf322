import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Backup } from '../model/backup.ts'
import { SHRUNKEN, shrunkenFrom } from './shrink.ts'

const MB = 1024 * 1024
const backup = (id: number, sourceBytes: number, more: Partial<Backup> = {}): Backup => ({
  id: String(id),
  job: 'shop',
  vault: 'v',
  source: 'postgres',
  type: 'full',
  time: new Date(id * 1000),
  needs: [],
  tags: [],
  paths: [],
  sourceBytes,
  storedBytes: 1,
  files: 1,
  proof: { level: 'V0', at: new Date(0) },
  warnings: 0,
  ...more,
})

test('a dump that lost half of what was usual is told, one outlier and other jobs do not count', () => {
  const before = [10, 11, 12, 500, 11].map((size, at) => backup(at, size * MB))
  assert.equal(shrunkenFrom(backup(9, 5 * MB), before, 0.5), 11 * MB)
  assert.equal(shrunkenFrom(backup(9, 6 * MB), before, 0.5), undefined)
  assert.equal(shrunkenFrom(backup(9, 0), before, 0), undefined, 'a share of 0 looks at nothing')
  assert.equal(shrunkenFrom(backup(9, 1 * MB), [], 0.5), undefined)
  assert.equal(shrunkenFrom(backup(9, 1), [backup(1, 9000)], 0.5), undefined)
  assert.equal(shrunkenFrom(backup(9, 1 * MB), [backup(1, 10 * MB, { job: 'other' })], 0.5), undefined)
})

test('what was flagged is no measure until somebody agrees', () => {
  const flagged = [backup(1, 10 * MB), backup(2, 1 * MB, { tags: [SHRUNKEN] }), backup(3, 1 * MB, { tags: [SHRUNKEN] })]
  assert.equal(shrunkenFrom(backup(9, 1 * MB), flagged, 0.5), 10 * MB)
  const agreed = flagged.map((each) => ({ ...each, tags: [] }))
  assert.equal(shrunkenFrom(backup(9, 1 * MB), agreed, 0.5), undefined)
})
