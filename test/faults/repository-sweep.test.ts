import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scratch } from '../support/holdfast.ts'
import { RESTICS } from '../support/restic.ts'
import { repositorySweep } from './repository-sweep.ts'

test('backups, prunes, copies and repairs of repositories killed at random moments lose nothing and need nobody', async (t) => {
  const { killed, snapshotsAtEnd } = await repositorySweep(scratch(t, 'repository-sweep'), 12, RESTICS.at(-1))
  assert.ok(killed >= 4, `only ${killed} of the kills came in time`)
  assert.ok(snapshotsAtEnd >= 1)
})
