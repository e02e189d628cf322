/** What goes over the wire: an interrupted backup does not send its data again, and a single file costs its ranges. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { isAppError } from '../../src/base/errors.ts'
import { literalSecret } from '../../src/model/secret.ts'
import type { Storage } from '../../src/model/storage.ts'
import type { Vault } from '../../src/model/vault.ts'
import { createRepository } from '../../src/repository/repository.ts'
import { vaultOf } from '../../src/repository/vault.ts'
import { filesTarget } from '../../src/sources/files/target.ts'
import { memory } from '../../src/storage/memory.ts'
import { faulty } from '../../src/testing/faulty-storage.ts'
import { request, type Tree } from '../support/archive.ts'
import { scratch } from '../support/file-tree.ts'

const MIB = 1024 * 1024
const clock: Clock = { ...systemClock, sleep: async () => undefined }

interface Traffic {
  storage: Storage
  sent: number
  got: number
  gets: number
}

/** Counts bytes of packs that were stored, and all that was read. */
function counting(inner: Storage, onSent: (bytes: number) => void = () => undefined): Traffic {
  const traffic: Traffic = { storage: inner, sent: 0, got: 0, gets: 0 }
  traffic.storage = {
    ...inner,
    async put(key, body, options) {
      const stored = await inner.put(key, body, options)
      if (key.startsWith('data/')) onSent((traffic.sent += stored.size))
      return stored
    },
    async *get(key, options) {
      traffic.gets += 1
      for await (const chunk of inner.get(key, options)) {
        traffic.got += chunk.length
        yield chunk
      }
    },
  }
  return traffic
}

async function openOn(storage: Storage): Promise<(storage: Storage) => Vault> {
  const secret = literalSecret('password', 'the test')
  const repository = await createRepository(storage, secret, { now: new Date(), p: 1 })
  return (other) =>
    vaultOf({ ...repository, storage: other }, { settings: { name: 'vault' }, clock, program: 'holdfast test' })
}

function largeTree(files: number): Tree {
  const tree: Tree = { 'folder/': '' }
  for (let n = 0; n < files; n += 1) tree[`folder/file${n}`] = randomBytes(MIB / 2)
  tree['folder/small'] = randomBytes(10_000)
  return tree
}

for (const how of ['cancelled', 'failed'] as const)
  test(`a backup that ${how === 'failed' ? 'failed' : 'was cancelled'} half-way does not send its data again`, async () => {
    const cancel = new AbortController()
    const counted = counting(memory(), (sent) => {
      if (how === 'cancelled' && sent > 30 * MIB) cancel.abort()
    })
    const open = await openOn(counted.storage)
    const tree = largeTree(140)
    const bytes = 70 * MIB
    const failing = faulty(counted.storage)
    if (how === 'failed') failing.add({ on: 'put', key: /^data\//, how: 'fail', after: 2, times: 1 })
    await assert.rejects(
      open(failing).backup(request(tree, { type: 'auto', time: new Date(), signal: cancel.signal })),
      (error) => isAppError(error, how === 'failed' ? 'storage.unreachable' : 'run.cancelled'),
    )
    const before = counted.sent
    assert.ok(before > 30 * MIB && before < bytes, `${before} bytes were sent first`)
    await open(counted.storage).backup(request(tree, { type: 'auto', time: new Date() }))
    assert.ok(counted.sent < bytes * 1.02, `${counted.sent} bytes were sent in all, for ${bytes}`)
  })

test('a single file costs the ranges that hold it, not the packs', async (t) => {
  const inner = memory()
  const open = await openOn(inner)
  const tree = largeTree(100)
  const { backup } = await open(inner).backup(request(tree, { type: 'auto', time: new Date() }))
  const traffic = counting(inner)
  const root = join(scratch(t), 'out')
  const entries = open(traffic.storage).open(backup.id, { under: 'folder/small', transient: true })
  await filesTarget({ root, ownership: false }).write(entries, { onWarning: () => undefined })
  assert.ok(readFileSync(join(root, 'folder/small')).equals(tree['folder/small'] as Buffer))
  assert.ok(traffic.got < 200_000, `${traffic.got} bytes were read`)
  assert.ok(traffic.gets <= 8, `${traffic.gets} requests`)
})
