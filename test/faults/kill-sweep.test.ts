import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratch } from '../support/holdfast.ts'
import { killSweep } from './kill-sweep.ts'

test('fifty backups and prunes killed at random moments lose nothing and need no repair', async (t) => {
  const { rounds, killed, backupsAtEnd } = await killSweep(scratch(t, 'kill'), 50)
  assert.equal(rounds, 50)
  assert.ok(killed >= 15, `only ${killed} of the kills came in time`)
  assert.ok(backupsAtEnd >= 1)
})
