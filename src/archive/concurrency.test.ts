/** Several processes on one vault, clocks that jump, owners that died. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  backupSeries,
  contents,
  entriesOf,
  keysOf,
  leftovers,
  openVault,
  readingOf,
  request,
  wantedOf,
  type Tree,
} from '../../test/support/archive.ts'
import { scratch } from '../../test/support/holdfast.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { processIdentity, type ProcessIdentity } from '../base/process-identity.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { Storage } from '../model/storage.ts'
import { local } from '../storage/local.ts'
import { memory } from '../storage/memory.ts'
import { faulty } from '../testing/faulty-storage.ts'
import { manualClock, type ManualClock } from '../testing/manual-clock.ts'
import { takeLease } from './lease.ts'

const TREE: Tree = { one: 'first', two: 'second' }
const HOUR = 3_600_000

/** A source that waits in the middle until it is let go. */
function held(tree: Tree): { entries: AsyncIterable<SourceEntry>; reached: Promise<void>; go: () => void } {
  const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  async function* entries(): AsyncGenerator<SourceEntry> {
    yield* entriesOf(tree)
    reached.resolve()
    await gate.promise
  }
  return { entries: entries(), reached: reached.promise, go: () => gate.resolve() }
}

const STORAGES: Record<string, (t: Parameters<typeof scratch>[0]) => Storage> = {
  memory: () => memory(),
  'local folder': (t) => local({ path: scratch(t, 'vault') }),
}

for (const [name, make] of Object.entries(STORAGES)) {
  test(`a second backup of a job is refused while the first is at work, and fine afterwards (${name})`, async (t) => {
    const storage = make(t)
    const [one, two] = [await openVault(storage), await openVault(storage)]
    const source = held(TREE)
    const first = one.backup(request(TREE, { reading: readingOf(source.entries) }))
    await source.reached
    await assert.rejects(two.backup(request(TREE)), (error) => {
      assert.ok(isAppError(error, 'vault.locked'))
      assert.match(error.message, new RegExp(`by process ${process.pid} on `))
      assert.match(error.hint, /wait/)
      return true
    })
    source.go()
    await first
    await two.backup(request(TREE, { type: 'incremental', time: new Date('2024-03-16T00:00:00Z') }))
    assert.equal((await one.backups()).length, 2)
    assert.deepEqual(await leftovers(storage), [])
  })

  test(`of several backups of a job that begin at the same moment exactly one is made (${name})`, async (t) => {
    const storage = make(t)
    await (await openVault(storage)).close()
    for (let round = 0; round < 8; round += 1) {
      const before = (await (await openVault(storage)).backups()).length
      const tries = await Promise.allSettled(
        Array.from({ length: 4 }, async (_, n) => {
          const vault = await openVault(storage)
          return vault.backup(request(TREE, { time: new Date(Date.UTC(2024, 3, 1, round, n)) }))
        }),
      )
      const refused = tries.filter(({ status }) => status === 'rejected')
      for (const { reason } of refused as PromiseRejectedResult[])
        assert.ok(isAppError(reason, 'vault.locked'), String(reason))
      const made = (await (await openVault(storage)).backups()).length - before
      // One that begins when another has ended is a run of its own.
      assert.equal(made, tries.length - refused.length)
      assert.ok(made >= 1, `round ${round}: none was made`)
      assert.deepEqual(await leftovers(storage), [])
    }
  })

  test(`different jobs at once get their backups, also where the template gives both one name (${name})`, async (t) => {
    const storage = make(t)
    const jobs = ['a', 'b', 'c', 'd', 'e']
    const made = await Promise.all(
      jobs.map(async (job) => {
        const vault = await openVault(storage, { path: 'backups/{date}_{time}_{type}' })
        await vault.tidy()
        return vault.backup(request({ ...TREE, job }, { job }))
      }),
    )
    const vault = await openVault(storage)
    for (const [n, { backup }] of made.entries())
      assert.deepEqual(await contents(vault, backup.id), wantedOf({ ...TREE, job: jobs[n] as string }))
    assert.deepEqual((await vault.check({ readData: true })).damage, [])
    assert.deepEqual(await leftovers(storage), [])
  })
}

test('a removal is refused while a backup builds on what it would remove', async () => {
  const storage = memory()
  const vault = await openVault(storage)
  const { backup: full } = await vault.backup(request(TREE))
  const source = held({ ...TREE, three: 'third' })
  const going = vault.backup(
    request(TREE, { type: 'incremental', reading: readingOf(source.entries), time: new Date('2024-03-16T00:00:00Z') }),
  )
  await source.reached
  await assert.rejects(vault.remove([full.id]), { code: 'vault.locked' })
  source.go()
  const { backup } = await going
  await assert.rejects(vault.remove([full.id]), { code: 'backup.held' })
  assert.deepEqual(await contents(vault, backup.id), wantedOf({ ...TREE, three: 'third' }))
})

test('a backup and the removal of what it would build on, at every interleaving, never break a chain', async () => {
  let both = 0
  for (let delay = 0; delay < 60; delay += 1) {
    const storage = memory()
    const vault = await openVault(storage)
    const make = backupSeries(vault)
    const { backup: first } = await make(TREE)
    const { backup: second } = await make({ ...TREE, three: 'third' }, { type: 'incremental' })
    const removal = (async () => {
      for (let turn = 0; turn < delay; turn += 1) await Promise.resolve()
      return vault.remove([second.id, ...(delay % 2 === 0 ? [first.id] : [])])
    })()
    const backup = make({ ...TREE, three: 'third', four: 'fourth' }, { type: 'incremental' })
    const [removed, made] = await Promise.allSettled([removal, backup])
    for (const end of [removed, made])
      if (end.status === 'rejected')
        assert.ok(isAppError(end.reason, 'vault.locked', 'backup.held'), `delay ${delay}: ${String(end.reason)}`)
    if (removed.status === 'fulfilled' && made.status === 'fulfilled') both += 1
    for (const { id, broken } of await vault.backups()) {
      assert.equal(broken, undefined, `delay ${delay}: ${id}`)
      assert.equal((await vault.verify(id, 'V2')).ok, true)
    }
    if (made.status === 'fulfilled')
      assert.deepEqual(
        await contents(vault, made.value.backup.id),
        wantedOf({ ...TREE, three: 'third', four: 'fourth' }),
      )
    assert.deepEqual(await leftovers(storage), [])
  }
  assert.ok(both > 0, 'some interleavings let both through')
})

const lease = (owner: ProcessIdentity, expires: Date, more: Record<string, unknown> = {}): Uint8Array =>
  utf8(
    JSON.stringify({
      holdfast: 'lease',
      kind: 'backup',
      job: 'job',
      bases: ['job/dead'],
      needs: [],
      removes: [],
      owner,
      expires: expires.toISOString(),
      ...more,
    }),
  )

const NOW = new Date('2024-03-15T14:30:45Z')
const here = processIdentity()
const boot = (space: string): ProcessIdentity => ({ ...here, space, pid: 1 })
const DEAD: Record<string, [ProcessIdentity, Date, Record<string, unknown>?]> = {
  'whose process is gone': [{ ...here, pid: 4_190_000 }, new Date(NOW.getTime() + HOUR)],
  'whose process id belongs to another process now': [{ ...here, started: '1' }, new Date(NOW.getTime() + HOUR)],
  'from before this machine was started anew': [boot('other-boot pid:[1]'), new Date(NOW.getTime() + HOUR)],
  'of another machine that ran out long ago': [{ host: 'elsewhere', pid: 1 }, new Date(NOW.getTime() - HOUR)],
  'that its owner gave up': [{ host: 'elsewhere', pid: 1 }, new Date(NOW.getTime() + HOUR), { abandoned: true }],
}
const LIVE: Record<string, [ProcessIdentity, Date]> = {
  'of another machine': [{ host: 'elsewhere', pid: 1 }, new Date(NOW.getTime() + HOUR)],
  'of another machine that ran out a minute ago': [{ host: 'elsewhere', pid: 1 }, new Date(NOW.getTime() - 60_000)],
  'of another process of this machine': [{ ...here, pid: process.ppid, started: undefined }, new Date(0)],
  'of another container of this machine': [
    boot(`${here.space?.split(' ')[0]} pid:[1]`),
    new Date(NOW.getTime() + HOUR),
  ],
}

for (const [what, [owner, expires, more]] of Object.entries(DEAD)) {
  test(`a lease ${what} stops nobody, and what it names is cleaned up`, async () => {
    const storage = memory()
    const vault = await openVault(storage, { clock: manualClock(NOW) })
    await storage.put('.holdfast/leases/backup-dead.json', lease(owner, expires, more))
    for (const end of ['tar.zst', 'tar.zst.0001', 'index.zst']) await storage.put(`job/dead.${end}`, utf8('half'))
    await storage.put('job/dead.text', utf8('not ours'))
    await vault.backup(request(TREE))
    const { removed } = await vault.tidy()
    assert.equal(removed, 3)
    assert.deepEqual(await leftovers(storage), ['job/dead.text'])
  })
}

for (const [what, [owner, expires]] of Object.entries(LIVE)) {
  test(`a lease ${what} is respected, and so is what it names`, async () => {
    const storage = memory()
    const vault = await openVault(storage, { clock: manualClock(NOW) })
    await storage.put('.holdfast/leases/backup-live.json', lease(owner, expires))
    await storage.put('job/dead.tar.zst', utf8('half'))
    await assert.rejects(vault.backup(request(TREE)), { code: 'vault.locked' })
    assert.equal((await vault.tidy()).removed, 0)
    assert.ok((await keysOf(storage)).includes('job/dead.tar.zst'))
    await vault.backup(request(TREE, { job: 'another' }))
  })
}

test('leases that cannot be read, or that lie, are no obstacle and crash nobody', async () => {
  const storage = memory()
  const vault = await openVault(storage)
  const bad = ['', 'null', '{', '[]', '{"holdfast":"lease"}', '{"holdfast":"lease","bases":[1],"owner":{"pid":-1}}']
  for (const [n, text] of bad.entries()) await storage.put(`.holdfast/leases/x${n}.json`, utf8(text))
  await storage.put('.holdfast/leases/pid.json', lease({ ...here, pid: 0 }, NOW, { needs: null }))
  await vault.tidy()
  const { backup } = await vault.backup(request(TREE))
  assert.deepEqual(await vault.remove([backup.id]), {
    removed: [backup.id],
    bytesFreed: backup.storedBytes,
  })
})

test('a backup that was taken for dead and cleaned away does not commit what is no longer there', async () => {
  const storage = memory()
  const vault = await openVault(storage)
  const source = held(TREE)
  const going = vault.backup(request(TREE, { reading: readingOf(source.entries) }))
  await source.reached
  source.go()
  const watching = faulty(storage)
  // Another machine whose clock is a day ahead sees the lease as long over.
  const thief = (async () => {
    for (;;) {
      for (const key of await keysOf(watching, 'job/')) {
        await watching.remove(key)
        return
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()
  await Promise.all([thief, assert.rejects(going, { code: 'vault.locked' })])
  assert.deepEqual(await vault.backups(), [])
  assert.deepEqual(await leftovers(storage), [])
})

/** A clock that can be set, as an administrator or a dead battery does. */
function settable(): ManualClock & { jump: (ms: number) => void } {
  let shift = 0
  const clock = manualClock(NOW)
  return { ...clock, slept: 0, now: () => new Date(clock.now().getTime() + shift), jump: (ms) => (shift += ms) }
}

for (const [direction, ms] of [
  ['forward', 24 * HOUR],
  ['back', -24 * HOUR],
] as const) {
  test(`a clock that jumps a day ${direction} between and during backups breaks neither chain, nor order, nor leases`, async () => {
    const clock = settable()
    const storage = memory()
    const vault = await openVault(storage, { clock })
    const trees: Tree[] = [TREE, { ...TREE, a: '1' }, { ...TREE, a: '2' }, { ...TREE, a: '2', b: '3' }]
    const ids: string[] = []
    for (const [n, tree] of trees.entries()) {
      const source = held(tree)
      const going = vault.backup(
        request(tree, {
          type: n === 0 ? 'full' : 'incremental',
          time: clock.now(),
          reading: readingOf(source.entries),
        }),
      )
      await source.reached
      if (n === 2) clock.jump(ms)
      await assert.rejects(vault.backup(request(tree)), { code: 'vault.locked' })
      assert.equal((await vault.tidy()).removed, 0)
      source.go()
      ids.push((await going).backup.id)
      if (n === 0) clock.jump(ms)
      else clock.jump(60_000)
    }
    const listed = await vault.backups()
    assert.deepEqual(
      listed.map(({ id }) => id),
      ids,
      'in the order in which they were made',
    )
    assert.deepEqual(
      listed.map(({ parent }) => parent),
      [undefined, ids[0], ids[1], ids[2]],
    )
    assert.deepEqual(await contents(vault, 'latest'), wantedOf(trees[3] as Tree))
    for (const [n, id] of ids.entries()) assert.deepEqual(await contents(vault, id), wantedOf(trees[n] as Tree))
    assert.deepEqual(await leftovers(storage), [])
  })
}

test('two processes that make one new vault at once share it', async () => {
  const storage = memory()
  const vaults = await Promise.all([openVault(storage), openVault(storage), openVault(storage)])
  await Promise.all(vaults.map(async (vault, n) => vault.backup(request(TREE, { job: `job${n}` }))))
  assert.equal((await vaults[0].backups()).length, 3)
})

test('who tidies up a vault takes nothing from who begins at that moment', async (t) => {
  const path = scratch(t)
  const clock = { now: () => new Date(), monotonic: () => performance.now(), sleep: async () => undefined }
  const vault = await openVault(local({ path }), { clock })
  await vault.backup(request(TREE))
  let over = false
  const tidying = (async () => {
    // Each backup tidies up once as it begins. Without a pause nobody would ever get a lease through on a slow disk.
    for (let round = 0; !over; round += 1) {
      await vault.tidy()
      await sleep((round * 7) % 40)
    }
  })()
  const storages = Array.from({ length: 4 }, () => local({ path }))
  await Promise.all(
    storages.map(async (storage) => {
      for (let round = 0; round < 40; round += 1) {
        const lease = await takeLease(storage, clock, { kind: 'backup', job: 'web' })
        await lease.release()
      }
    }),
  ).finally(() => (over = true))
  await tidying
})
