import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratch } from '../support/file-tree.ts'
import { noRestic, RESTICS } from '../support/restic.ts'
import { interleave } from './interleave.ts'

test(
  'driver:restic and Holdfast work in turns on one repository, and every snapshot is what it was',
  {
    skip: noRestic,
  },
  async (t) => {
    assert.ok((await interleave(scratch(t), 30, RESTICS)) >= 2)
  },
)
