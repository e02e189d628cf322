/**
 * Every single call of a backup and of a removal in a repository fails once, in every way that a storage has: nothing
 * earlier is lost, the error is the storage's own, and the next run works.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { AppError } from '../../src/base/errors.ts'
import { literalSecret } from '../../src/model/secret.ts'
import type { Vault } from '../../src/model/vault.ts'
import { createRepository, type OpenRepository } from '../../src/repository/repository.ts'
import { vaultOf } from '../../src/repository/vault.ts'
import { memory } from '../../src/storage/memory.ts'
import { faulty, type Fault, type FaultyStorage, type StorageCall } from '../../src/testing/faulty-storage.ts'
import { collect } from '../../src/base/streams.ts'
import { contents, request, wantedOf, type Tree } from '../support/archive.ts'

const CALLS: StorageCall[] = ['put', 'get', 'stat', 'list', 'remove', 'sweep']
const FULL: Tree = { 'a/': '', 'a/one': 'first', 'a/two': Buffer.alloc(9000, 'two '), three: 'third' }
const NEXT: Tree = { 'a/': '', 'a/one': 'changed', 'a/two': Buffer.alloc(9000, 'two '), four: 'third' }
const LAST: Tree = { ...NEXT, five: 'fifth' }

/** Waiting between two looks at the locks is left out. */
const clock: Clock = { ...systemClock, sleep: async () => undefined }
const at = (minute: number): Date => new Date(Date.UTC(2024, 2, 15, 1, minute))

interface Scene {
  storage: FaultyStorage
  vault: Vault
  known: Map<string, Tree>
}

const open = (repository: OpenRepository): Vault =>
  vaultOf(repository, { settings: { name: 'vault' }, clock, program: 'holdfast test' })

/** Two backups; made once, and copied for each scene. */
async function first(): Promise<{ repository: OpenRepository; known: Map<string, Tree> }> {
  const repository = await createRepository(memory(), literalSecret('password', 'the test'), { now: at(0), p: 1 })
  const vault = open(repository)
  const known = new Map<string, Tree>()
  for (const [minute, tree] of [FULL, NEXT].entries())
    known.set((await vault.backup(request(tree, { type: 'auto', time: at(minute) }))).backup.id, tree)
  return { repository, known }
}

const made = first()

async function scene(): Promise<Scene> {
  const { repository, known } = await made
  const copy = memory()
  for await (const { key } of repository.storage.list(''))
    await copy.put(key, await collect(repository.storage.get(key)))
  const storage = faulty(copy)
  return { storage, vault: open({ ...repository, storage }), known: new Map(known) }
}

async function backup({ vault }: Scene, minute: number): Promise<string> {
  await vault.tidy()
  return (await vault.backup(request(LAST, { type: 'auto', time: at(minute) }))).backup.id
}

async function remove({ vault, known }: Scene): Promise<void> {
  await vault.tidy()
  const [oldest = ''] = known.keys()
  await vault.remove([oldest], { maxUnused: 0 })
}

async function allIsWhole({ vault, known }: Scene, what: string, mayBeGone: boolean): Promise<void> {
  const listed = new Set((await vault.backups()).map(({ id }) => id))
  for (const [id, tree] of known) {
    if (mayBeGone && !listed.has(id)) continue
    assert.ok(listed.has(id), `${what}: ${id} is lost`)
    assert.deepEqual((await vault.verify(id, 'V2')).damage, [], `${what}: ${id}`)
    assert.deepEqual(await contents(vault, id), wantedOf(tree), `${what}: ${id}`)
  }
  assert.deepEqual((await vault.check({ readData: true })).damage, [], what)
}

async function nextRunWorks(here: Scene, what: string): Promise<void> {
  here.known.set(await backup(here, 30), LAST)
  await here.vault.remove([], { maxUnused: 0 })
  await allIsWhole(here, `${what}, and the next run`, true)
  for await (const { key } of here.storage.list('locks/')) assert.fail(`${what}: ${key} is left`)
}

const error = (): AppError => new AppError('storage.denied', 'told so by the test')
const WAYS: Omit<Fault, 'on'>[] = [
  { how: 'fail', error },
  { how: 'fail-late', error },
  { how: 'cut', bytes: 1, error },
]

for (const [name, work] of [
  ['backup', async (here: Scene) => backup(here, 10)],
  ['removal', remove],
] as const)
  test(`a ${name} in a repository that fails in any one call of the storage loses nothing, and the next run works`, async () => {
    const counting = await scene()
    await work(counting)
    const calls = counting.storage.calls.length
    let failed = 0
    for (const way of WAYS)
      for (let k = 0; k < calls; k += 1) {
        const here = await scene()
        here.storage.add({ on: CALLS, after: k, times: 1, ...way })
        const what = `${name}, ${way.how} in call ${k}`
        try {
          const id = await work(here)
          if (typeof id === 'string') here.known.set(id, LAST)
        } catch (thrown) {
          assert.ok(thrown instanceof AppError && thrown.code === 'storage.denied', `${what}: ${String(thrown)}`)
          failed += 1
        }
        here.storage.release()
        await allIsWhole(here, `${what}, ${here.storage.calls[k] ?? ''}`, name === 'removal')
        await nextRunWorks(here, what)
      }
    assert.ok(failed > calls, `${failed} of ${3 * calls} faults are failures`)
  })

test('reads that are cut short or wrong in a bit are noticed wherever they happen, and damage nothing', async () => {
  const counting = await scene()
  await backup(counting, 10)
  const gets = counting.storage.calls.filter((call) => call.startsWith('get')).length
  for (const how of ['truncate', 'flip'] as const)
    for (let k = 0; k < gets; k += 1) {
      const here = await scene()
      here.storage.add({ on: 'get', after: k, times: 1, how, bytes: 20 })
      try {
        here.known.set(await backup(here, 10), LAST)
      } catch (thrown) {
        assert.ok(thrown instanceof AppError && thrown.code !== 'internal.bug', String(thrown))
      }
      here.storage.release()
      await allIsWhole(here, `${how} in get ${k}`, false)
    }
})

test('a backup of what has not changed asks little of the storage, and says how often', async () => {
  const here = await scene()
  const told: string[] = []
  await here.vault.backup({
    ...request(NEXT, { type: 'auto', time: at(10) }),
    onProgress: (event) => void (event.type === 'log' && told.push(event.message)),
  })
  // Three looks at the locks, snapshots and indexes; two snapshots, two indexes, trees; the lock, packs, index, snapshot.
  assert.ok(here.storage.calls.length <= 14, here.storage.calls.join('\n'))
  assert.match(told.join('\n'), /requests to the storage: \d+ put, \d+ get, \d+ list/)
})

test('credentials that may add, and remove nothing but locks, are enough for backups', async () => {
  const here = await scene()
  here.storage.add({ on: 'remove', key: /^(?!locks\/)/, how: 'fail', error })
  here.storage.add({ on: 'sweep', how: 'fail', error })
  here.known.set(await backup(here, 10), LAST)
  for await (const { key } of here.storage.list('locks/')) assert.fail(`${key} is left`)
  await assert.rejects(here.vault.remove([...here.known.keys()]), { code: 'storage.denied' })
  await allIsWhole(here, 'after a refused removal', false)
})

test('a backup that stalls in any one call of the storage ends when it is cancelled, and the next run works', async () => {
  const counting = await scene()
  await backup(counting, 10)
  const calls = counting.storage.calls.length
  for (let k = 0; k < calls; k += 1) {
    const here = await scene()
    here.storage.add({ on: CALLS, after: k, times: 1, how: 'stall' })
    const cancel = new AbortController()
    const running = here.vault.backup(request(LAST, { type: 'auto', time: at(10), signal: cancel.signal }))
    const timer = setTimeout(() => cancel.abort(), 60)
    // Taking the lock away may not be cancelled; it gives up by itself after a while. Here it is let go.
    const last = setTimeout(() => here.storage.release(), 400)
    const what = `stall in call ${k}, ${here.storage.calls[k] ?? ''}`
    try {
      here.known.set((await running).backup.id, LAST)
    } catch (thrown) {
      assert.ok(thrown instanceof AppError && thrown.code === 'run.cancelled', `${what}: ${String(thrown)}`)
    }
    clearTimeout(timer)
    clearTimeout(last)
    here.storage.release()
    await allIsWhole(here, what, false)
    await nextRunWorks(here, what)
  }
})

test('a storage that is full at any point of a backup loses nothing, and the next run finds what was sent', async () => {
  const full = (): AppError => new AppError('storage.full', 'told so by the test')
  const counting = await scene()
  await backup(counting, 10)
  const puts = counting.storage.calls.filter((call) => call.startsWith('put')).length
  for (let k = 0; k < puts; k += 1) {
    const here = await scene()
    here.storage.add({ on: 'put', after: k, how: 'fail', error: full })
    await assert.rejects(backup(here, 10), { code: 'storage.full' })
    here.storage.release()
    await allIsWhole(here, `full at put ${k}`, false)
    await nextRunWorks(here, `full at put ${k}`)
  }
})
