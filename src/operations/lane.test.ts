import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../base/clock.ts'
import { AppError } from '../base/errors.ts'
import type { LaneSource } from '../model/lane.ts'
import type { Vault } from '../model/vault.ts'
import { LANE_OBJECT_BYTES } from '../model/vault.ts'
import { repositoryVault } from '../repository/vault.ts'
import { memory } from '../storage/memory.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { openVault, secret } from '../../test/support/archive.ts'
import { piece, scriptedLane, untilAborted } from '../../test/support/scripted-lane.ts'
import { followLane, type LaneState } from './lane.ts'
import { planLanePrune } from './prune-lanes.ts'
import { listSegments, readSegment, readSegmentNames } from './segments.ts'

const SMALL = Buffer.from('a change')

async function bothFormats(): Promise<Vault[]> {
  const settings = { name: 'repository', storage: { type: 'memory' as const, name: 'r' }, password: secret('x') }
  const repository = await repositoryVault({
    storage: memory(),
    settings,
    clock: manualClock(),
    program: 'test',
    create: true,
  })
  return [await openVault(memory()), repository]
}

/** Follows until `enough`; what the lane told meanwhile. */
async function follow(
  source: LaneSource,
  vaults: Vault[],
  enough: (stop: AbortController) => Promise<void>,
  sealMs = 50,
): Promise<{ states: LaneState[]; warnings: string[]; gaps: string[] }> {
  const stop = new AbortController()
  const states: LaneState[] = []
  const warnings: string[] = []
  const gaps: string[] = []
  const following = followLane(
    systemClock,
    { job: 'shop', source, vaults, sealMs },
    {
      signal: stop.signal,
      onWarning: ({ message }) => warnings.push(message),
      onState: (state) => states.push(state),
      onNewLineage: ({ first, message }) => first || gaps.push(message),
    },
  )
  await enough(stop)
  stop.abort(new AppError('run.interrupted', 'stopped'))
  await following
  return { states, warnings, gaps }
}

async function until(what: string, reached: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !(await reached()); await systemClock.sleep(10))
    if (Date.now() > end) throw new Error(`it did not come: ${what}`)
}

const names = async (vault: Vault): Promise<string[]> =>
  (await readSegmentNames(vault, 'shop')).filter(({ from, to }) => from !== to).map(({ from, to }) => `${from} ${to}`)

test('a transaction that is longer than an object of a vault may be is stored in several, and read again whole', async () => {
  const long = Buffer.alloc(300 * 1024 * 1024, 'a long transaction. ')
  for (const vault of await bothFormats()) {
    const source = scriptedLane(async function* ({ signal }) {
      yield piece(1, SMALL)
      yield piece(2, long)
      yield piece(3, SMALL)
      await untilAborted(signal)
    })
    await follow(source, [vault], () => until('all of it', () => source.acknowledged.includes('g1-3')))
    const segments = await readSegmentNames(vault, 'shop')
    const found = segments.find(({ to }) => to === 'g1-2')
    assert.ok(found !== undefined && found.parts > 1)
    const { payload } = await readSegment(vault, 'shop', found)
    assert.ok(long.equals(payload.subarray(0, payload.length)))
    payload.close?.()
    assert.deepEqual(await names(vault), ['g1-0 g1-1', 'g1-1 g1-2', 'g1-2 g1-3'], 'and it is not merged with others')

    // One whose storing was broken off is no segment, and goes away after a while.
    await vault.lanes.remove('shop', `${found.name}.2of${found.parts}`)
    assert.deepEqual(await names(vault), ['g1-0 g1-1', 'g1-2 g1-3'])
    const plan = async (now: Date) =>
      (await planLanePrune(vault, 'shop', { kept: new Set(), retention: { points: '7d' }, now })).map(({ to }) => to)
    assert.ok(!(await plan(found.toTime)).includes('g1-2'))
    assert.ok((await plan(new Date(found.toTime.getTime() + 2 * 86_400_000))).includes('g1-2'))
    assert.equal((await listSegments(vault, 'shop')).filter(({ whole }) => !whole).length, 1)
    await vault.close()
  }
})

test('a vault refuses what it could not give back', async () => {
  for (const vault of await bothFormats()) {
    const put = vault.lanes.put('shop', 'x', Buffer.alloc(LANE_OBJECT_BYTES + 1))
    await assert.rejects(put, { code: 'source.unsupported' })
    await vault.close()
  }
})

test('a transaction that cannot be stored at all is a gap, and what follows it is stored', async () => {
  const vault = await openVault(memory())
  const source = scriptedLane(async function* ({ signal, after }, count) {
    if (count === 1) {
      yield piece(1, SMALL)
      // Never touched: it takes no memory.
      yield piece(2, new Uint8Array(1024 ** 3 + 1))
    } else yield piece(Number(after?.position.split('-')[1] ?? 2) + 1, SMALL)
    await untilAborted(signal)
  })
  const { gaps } = await follow(source, [vault], () => until('what follows', () => source.acknowledged.length === 2))
  assert.deepEqual(source.begun, [undefined, undefined])
  assert.match(gaps[0] ?? '', /a transaction has 1\.00 GiB of log/)
  assert.equal((await names(vault)).length, 2)
})

test('a stop stores what came before it', async () => {
  const vault = await openVault(memory())
  let given = false
  const source = scriptedLane(async function* ({ signal }) {
    yield piece(1, SMALL)
    given = true
    await untilAborted(signal)
  })
  const { warnings } = await follow(source, [vault], () => until('the piece', () => given), 60_000)
  assert.deepEqual(warnings, [])
  assert.deepEqual(await names(vault), ['g1-0 g1-1'])
  assert.deepEqual(source.acknowledged, ['g1-1'])
})

test('what a source gave before it was gone is stored: it may be all that there will ever be of it', async () => {
  const vault = await openVault(memory())
  const source = scriptedLane(async function* ({ signal }, count) {
    if (count > 1) await untilAborted(signal)
    yield piece(1, SMALL)
    throw new AppError('source.unreachable', 'the disk of the server burnt')
  })
  const { states } = await follow(source, [vault], () => until('a second try', () => source.begun.length === 2), 60_000)
  assert.deepEqual(await names(vault), ['g1-0 g1-1'])
  assert.deepEqual(source.begun, [undefined, 'g1-1'])
  assert.match(states.find(({ state }) => state === 'waiting')?.problem ?? '', /burnt/)
})

test('a log that ends is stored, and asked for again after a wait', async () => {
  const vault = await openVault(memory())
  const source = scriptedLane(async function* (_, count) {
    yield piece(count, SMALL)
  })
  const began = Date.now()
  await follow(source, [vault], () => until('two more', () => source.begun.length === 3), 60_000)
  assert.ok(Date.now() - began > 900, 'it waits before each')
  assert.deepEqual((await names(vault)).slice(0, 2), ['g1-0 g1-1', 'g1-1 g1-2'])
})

test('a vault that refuses every piece is asked less and less often', async () => {
  const vault = await openVault(memory())
  let tries = 0
  const failing: Vault = {
    ...vault,
    lanes: {
      ...vault.lanes,
      async put(job, name, bytes, cancel) {
        if (bytes.length < 500) return vault.lanes.put(job, name, bytes, cancel)
        tries += 1
        throw new AppError('storage.full', 'no space')
      },
    },
  }
  const source = scriptedLane(async function* ({ signal }) {
    yield piece(1, Buffer.alloc(1000), { seal: true })
    await untilAborted(signal)
  })
  await follow(source, [failing], async () => systemClock.sleep(3200))
  // After 0, 0.5, 1.5, 3.5 s.
  assert.ok(tries >= 2 && tries <= 3, `${tries} tries`)
})

test('what goes over to another history is a segment of its own, whatever came just before it', async () => {
  const vault = await openVault(memory())
  const source = scriptedLane(async function* ({ signal }) {
    yield piece(1, SMALL)
    yield piece(2, new Uint8Array(0), { alone: true })
    yield piece(3, SMALL)
    await untilAborted(signal)
  })
  await follow(source, [vault], () => until('all of it', () => source.acknowledged.includes('g1-3')))
  assert.deepEqual(await names(vault), ['g1-0 g1-1', 'g1-1 g1-2', 'g1-2 g1-3'])
})
