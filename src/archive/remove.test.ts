import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keysOf, openVault, request, type Tree } from '../../test/support/archive.ts'
import { AppError } from '../base/errors.ts'
import type { Storage } from '../model/storage.ts'
import { memory } from '../storage/memory.ts'

const TREE: Tree = { one: 'first', two: 'second' }

/** As a bucket with a policy of retention: what it locks it does not remove. */
function locking(storage: Storage): Storage & { locked: (key: string) => boolean } {
  const locks = {
    ...storage,
    locked: (_key: string): boolean => false,
    async remove(key: string, options = {}) {
      if (locks.locked(key)) throw new AppError('storage.locked', `cannot remove ${key}: it is locked`)
      await storage.remove(key, options)
    },
  }
  return locks
}

test('what the storage locks is left by a removal, which goes on with the rest; a later one removes it', async () => {
  const storage = locking(memory())
  const vault = await openVault(storage)
  const made: string[] = []
  for (let i = 0; i < 3; i += 1)
    made.push(
      (await vault.backup(request(TREE, { type: 'full', time: new Date(Date.UTC(2026, 10, 1 + i)) }))).backup.id,
    )
  const [one = '', two = ''] = made
  storage.locked = (key) => key.includes('2026-11-01')
  assert.deepEqual((await vault.remove([one, two])).removed, [two])
  assert.deepEqual(
    (await vault.backups()).map(({ id }) => id),
    [made[0], made[2]],
  )
  assert.ok((await vault.verify(one, 'V1')).ok)
  storage.locked = () => false
  assert.deepEqual((await vault.remove([one])).removed, [one])
  // Its manifest goes, its payload not yet.
  storage.locked = (key) => key.includes('2026-11-03') && !key.endsWith('.manifest.json')
  assert.deepEqual((await vault.remove([made[2] ?? ''])).removed, [made[2]])
  assert.ok((await keysOf(storage)).some((key) => key.includes('2026-11-03')))
  await vault.tidy()
  storage.locked = () => false
  await vault.tidy()
  assert.ok(!(await keysOf(storage)).some((key) => key.includes('2026-11-03')))
})
