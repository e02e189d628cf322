/**
 * Every single call of a backup and of a prune fails once, in every way that a storage has: nothing earlier is lost, the
 * error is the storage's own, and the next run works and cleans up, also within the same process.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, isAppError } from '../../src/base/errors.ts'
import type { Vault } from '../../src/model/vault.ts'
import { memory } from '../../src/storage/memory.ts'
import { faulty, type Fault, type FaultyStorage, type StorageCall } from '../../src/testing/faulty-storage.ts'
import { contents, leftovers, openVault, request, wantedOf, type Tree } from '../support/archive.ts'

const CALLS: StorageCall[] = ['put', 'get', 'stat', 'list', 'remove', 'sweep']
const FULL: Tree = { 'a/': '', 'a/one': 'first', 'a/two': Buffer.alloc(9000, 'two '), three: 'third' }
const NEXT: Tree = { 'a/': '', 'a/one': 'changed', 'a/two': Buffer.alloc(9000, 'two '), four: 'third' }
const LAST: Tree = { ...NEXT, five: 'fifth' }

const at = (minute: number): Date => new Date(Date.UTC(2024, 2, 15, 1, minute))

interface Scene {
  storage: FaultyStorage
  vault: Vault
  /** Id → what it restores to. */
  known: Map<string, Tree>
}

async function scene(): Promise<Scene> {
  const storage = faulty(memory())
  const vault = await openVault(storage, { partSize: 4000, compression: { type: 'none' } })
  const known = new Map<string, Tree>()
  for (const [minute, tree] of [FULL, NEXT].entries()) {
    const type = minute === 0 ? 'full' : 'incremental'
    const { backup } = await vault.backup(request(tree, { type, time: at(minute) }))
    known.set(backup.id, tree)
  }
  storage.calls.length = 0
  return { storage, vault, known }
}

/** What an operation does first: it cleans up. */
async function backup({ vault }: Scene, minute: number, signal?: AbortSignal): Promise<string> {
  const cancel = signal ? { signal } : {}
  await vault.tidy(cancel)
  const made = await vault.backup(request(LAST, { type: 'incremental', time: at(minute), ...cancel }))
  return made.backup.id
}

async function prune({ vault, known }: Scene, signal?: AbortSignal): Promise<void> {
  const cancel = signal ? { signal } : {}
  await vault.tidy(cancel)
  await vault.remove([...known.keys()], cancel)
}

async function earlierOnesAreWhole({ vault, known }: Scene, what: string, mayBeGone: boolean): Promise<void> {
  const listed = new Map((await vault.backups()).map((backup) => [backup.id, backup]))
  for (const [id, tree] of known) {
    if (mayBeGone && !listed.has(id)) continue
    assert.equal(listed.get(id)?.broken, undefined, `${what}: ${id} is broken`)
    assert.deepEqual((await vault.verify(id, 'V2')).damage, [], `${what}: ${id}`)
    assert.deepEqual(await contents(vault, id), wantedOf(tree), `${what}: ${id}`)
  }
}

async function nextRunCleansUp(scene: Scene, what: string): Promise<void> {
  const id = await backup(scene, 30)
  scene.known.set(id, LAST)
  await scene.vault.tidy()
  assert.deepEqual(await leftovers(scene.storage), [], `${what}: leftovers`)
  assert.deepEqual((await scene.vault.check({ readData: true })).damage, [], what)
}

/** How many calls the operation makes when nothing fails. */
async function countCalls(work: (scene: Scene) => Promise<unknown>): Promise<number> {
  const fresh = await scene()
  await work(fresh)
  return fresh.storage.calls.length
}

const error = (): AppError => new AppError('storage.denied', 'told so by the test')
const WAYS: Omit<Fault, 'on'>[] = [
  { how: 'fail', error },
  { how: 'fail-late', error },
  { how: 'cut', bytes: 1, error },
]

async function eachCall(name: 'backup' | 'prune'): Promise<number> {
  const work = async (scene: Scene): Promise<unknown> => (name === 'backup' ? backup(scene, 10) : prune(scene))
  const calls = await countCalls(work)
  let failed = 0
  for (const way of WAYS) {
    for (let k = 0; k < calls; k += 1) {
      const here = await scene()
      here.storage.add({ on: CALLS, after: k, times: 1, ...way })
      const what = `${name}, ${way.how} in call ${k}, ${here.storage.calls.at(-1)}`
      let made: unknown
      try {
        made = await work(here)
      } catch (thrown) {
        assert.ok(thrown instanceof AppError && thrown.code === 'storage.denied', `${what}: ${String(thrown)}`)
        assert.notEqual(thrown.hint, '')
        failed += 1
      }
      here.storage.release()
      if (typeof made === 'string') here.known.set(made, LAST)
      await earlierOnesAreWhole(here, what, name === 'prune')
      await nextRunCleansUp(here, what)
    }
  }
  return failed
}

test('a backup that fails in any one call of the storage loses nothing, and the next one cleans up', async () => {
  assert.ok((await eachCall('backup')) > 30, 'most of the faults are failures')
})

test('a prune that fails in any one call of the storage leaves whole backups, and the next run cleans up', async () => {
  assert.ok((await eachCall('prune')) > 20, 'most of the faults are failures')
})

for (const name of ['backup', 'prune'] as const) {
  test(`a ${name} that a silent storage holds up in any call ends when it is cancelled, and leaves nothing`, async () => {
    const work = async (scene: Scene, signal?: AbortSignal): Promise<unknown> =>
      name === 'backup' ? backup(scene, 10, signal) : prune(scene, signal)
    const calls = await countCalls(work)
    let cancelled = 0
    for (let k = 0; k < calls; k += 1) {
      const here = await scene()
      here.storage.add({ on: CALLS, after: k, times: 1, how: 'stall' })
      const stop = new AbortController()
      const going = work(here, stop.signal)
      while (here.storage.faults === 0) await new Promise((resolve) => setImmediate(resolve))
      const what = `${name}, stall in call ${k}, ${here.storage.calls.at(-1)}`
      stop.abort()
      // What ends a run may not be cancelled; it gives up by itself after a while. Here it is let go.
      let letGo = false
      const last = setTimeout(() => {
        letGo = true
        here.storage.release()
      }, 300)
      try {
        const made = await going
        if (typeof made === 'string') here.known.set(made, LAST)
      } catch (thrown) {
        assert.ok(isAppError(thrown, 'run.cancelled'), `${what}: ${String(thrown)}`)
        if (!letGo) cancelled += 1
      }
      clearTimeout(last)
      here.storage.release()
      await earlierOnesAreWhole(here, what, name === 'prune')
      await nextRunCleansUp(here, what)
    }
    assert.ok(cancelled >= calls - 4, `${cancelled} of ${calls} stalls ended by the abort`)
  })
}

test('an abort at any moment leaves no leftovers and takes no backup away', async () => {
  const calls = await countCalls(async (scene) => backup(scene, 10))
  for (let k = 0; k < calls; k += 1) {
    const here = await scene()
    const stop = new AbortController()
    const { calls: made } = here.storage
    const watch = setInterval(() => made.length > k && stop.abort(), 0)
    try {
      here.known.set(await backup(here, 10, stop.signal), LAST)
    } catch (thrown) {
      assert.ok(isAppError(thrown, 'run.cancelled'), String(thrown))
      assert.deepEqual(await leftovers(here.storage), [], `abort at call ${k}`)
    }
    clearInterval(watch)
    await earlierOnesAreWhole(here, `abort at call ${k}`, false)
  }
})

test('when the answer to the very last write is lost, the backup is found to be there', async () => {
  const here = await scene()
  here.storage.add({ on: 'put', key: /manifest\.json$/, how: 'fail-late', error })
  const id = await backup(here, 10)
  assert.deepEqual(await contents(here.vault, id), wantedOf(LAST))
})

test('a storage that cuts reads short without a word never passes for a good one', async () => {
  const { storage, vault, known } = await scene()
  const [id] = known.keys()
  for (const bytes of [0, 1, 100]) {
    storage.add({ on: 'get', key: /\.tar$/, how: 'truncate', bytes })
    await assert.rejects(contents(vault, id ?? ''), { code: 'backup.damaged' })
    assert.equal((await vault.verify(id ?? '', 'V1')).ok, false)
    storage.release()
  }
})
