import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { contents, entriesOf, openVault, request, wantedOf, type Tree } from '../../test/support/archive.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { readerOfBytes } from '../base/reader.ts'
import type { SourceEntry } from '../model/entry.ts'
import type { Source } from '../model/source.ts'
import { memory } from '../storage/memory.ts'
import { faulty } from '../testing/faulty-storage.ts'
import { shareSource } from './shared-reading.ts'

const TREE: Tree = {
  'a-small': 'first',
  'b-large': randomBytes(5_000_000),
  'c-empty': '',
  'd-larger': randomBytes(9_000_001),
  'e-last': 'end',
}

interface Counted extends Source {
  reads: number
  opens: string[]
  /** Blocks of content that were read. */
  blocks: number
  closed: boolean
}

function counted(tree: Tree, change: (entry: SourceEntry) => SourceEntry = (entry) => entry): Counted {
  const source: Counted = {
    type: 'test',
    name: 'test',
    paths: ['/'],
    reads: 0,
    opens: [],
    blocks: 0,
    closed: false,
    test: async () => [],
    async read({ onWarning }) {
      source.reads += 1
      onWarning({ code: 'early', message: 'told at the beginning' })
      return {
        async *entries() {
          for (const entry of entriesOf(tree)) {
            const { open } = entry
            if (open === undefined) yield change(entry)
            else
              yield change({
                ...entry,
                async open() {
                  source.opens.push(entry.path)
                  const reader = await open.call(entry)
                  return {
                    ...reader,
                    read(into) {
                      source.blocks += 1
                      return reader.read(into)
                    },
                  }
                },
              })
          }
        },
        facts: () => ({ rows: 3 }),
        async close() {
          source.closed = true
        },
      }
    },
  }
  return source
}

async function store(source: Source, vault: Awaited<ReturnType<typeof openVault>>, more = {}): Promise<string> {
  const warnings: string[] = []
  const reading = await source.read({ onWarning: ({ code }) => void warnings.push(code) })
  try {
    const { backup } = await vault.backup(request(TREE, { reading, ...more }))
    assert.deepEqual(warnings, ['early'])
    return backup.id
  } finally {
    await reading.close()
  }
}

test('a source is read once for several vaults, each of which has all of it', async () => {
  const source = counted(TREE)
  const shared = shareSource(source, 3)
  const vaults = await Promise.all(shared.map(() => openVault(memory())))
  const ids = await Promise.all(
    shared.map(async ({ source: one, leave }, i) => {
      // Who comes later is waited for.
      await sleep(i * 30)
      const vault = vaults[i] ?? assert.fail()
      try {
        return await store(one, vault)
      } finally {
        leave()
      }
    }),
  )
  assert.equal(source.reads, 1)
  assert.deepEqual(source.opens, Object.keys(TREE))
  assert.ok(source.blocks < 30, `${source.blocks} blocks`)
  assert.ok(source.closed)
  for (const [i, vault] of vaults.entries()) assert.deepEqual(await contents(vault, ids[i] ?? ''), wantedOf(TREE))
})

test('a vault that wants less of it, fails, or never begins does not hold the others back', async () => {
  const [first, second] = [await openVault(memory()), memory()]
  const again = counted(TREE)
  const alone = shareSource(again, 1)
  await store(alone[0]?.source ?? assert.fail(), first)

  const source = counted(TREE)
  const shared = shareSource(source, 4)
  const failing = await openVault(faulty(second, { on: 'put', key: /\.tar/, how: 'fail' }))
  const whole = await openVault(memory())
  const work = [
    // It has everything already, and opens nothing.
    async () => store(shared[0]?.source ?? assert.fail(), first, { type: 'incremental' }),
    async () => store(shared[1]?.source ?? assert.fail(), failing),
    async () => Promise.reject(new AppError('storage.unreachable', 'it cannot even be opened')),
    async () => store(shared[3]?.source ?? assert.fail(), whole),
  ]
  const results = await Promise.allSettled(work.map(async (one, i) => one().finally(() => shared[i]?.leave())))
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  )
  const [one, , , four] = results
  if (one?.status !== 'fulfilled' || four?.status !== 'fulfilled') return assert.fail()
  assert.deepEqual(await contents(first, one.value), wantedOf(TREE))
  assert.deepEqual(await contents(whole, four.value), wantedOf(TREE))
  assert.ok(source.closed)
})

test('a slow vault is waited for, with a block in memory at most', async () => {
  const size = 40 * 1024 * 1024
  let given = 0
  const source = counted({ big: 'x' }, (entry) => ({
    ...entry,
    size,
    open: () => ({
      read(into) {
        const count = Math.min(into.length, size - given)
        given += count
        return count
      },
      close() {},
    }),
  }))
  const [fast, slow] = shareSource(source, 2)
  let [had, slowly] = [0, 0]
  const drain = async (one: Source, each: (count: number) => Promise<void> | void): Promise<void> => {
    const reading = await one.read({ onWarning: () => undefined })
    const buffer = new Uint8Array(300_000)
    for await (const { open } of reading.entries()) {
      const reader = await open?.()
      for (;;) {
        const count = (await reader?.read(buffer)) ?? 0
        if (count === 0) break
        await each(count)
      }
      await reader?.close()
    }
    await reading.close()
  }
  await Promise.all([
    drain(fast?.source ?? assert.fail(), (count) => {
      had += count
      assert.ok(had - slowly <= 2 * 1024 * 1024, 'the fast one ran away')
    }),
    drain(slow?.source ?? assert.fail(), async (count) => {
      slowly += count
      await sleep(1)
    }),
  ])
  assert.deepEqual([had, slowly, given], [size, size, size])
})

test('a source that fails fails for all; a run that is cancelled leaves the others alone', async () => {
  const broken = counted(TREE, (entry) =>
    entry.path === 'd-larger'
      ? {
          ...entry,
          open: () => ({
            read: () => Promise.reject(new AppError('source.failed', 'the connection is gone')),
            close() {},
          }),
        }
      : entry,
  )
  const shared = shareSource(broken, 2)
  const seen = await Promise.allSettled(
    shared.map(async ({ source }) => {
      const reading = await source.read({ onWarning: () => undefined })
      for await (const { open } of reading.entries()) {
        const reader = await open?.()
        while (((await reader?.read(new Uint8Array(100_000))) ?? 0) > 0);
      }
    }),
  )
  for (const one of seen) assert.ok(one.status === 'rejected' && isAppError(one.reason, 'source.failed'))

  const source = counted(TREE)
  const [going, staying] = shareSource(source, 2)
  const controller = new AbortController()
  const vault = await openVault(memory())
  const cancelled = (async () => {
    const reading = await (going?.source ?? assert.fail()).read({
      onWarning: () => undefined,
      signal: controller.signal,
    })
    for await (const { path } of reading.entries()) await sleep(path === 'c-empty' ? 200 : 0)
  })()
  const waiting = store(staying?.source ?? assert.fail(), vault)
  setTimeout(() => controller.abort(), 5)
  await assert.rejects(cancelled, (error) => isAppError(error, 'run.cancelled'))
  assert.deepEqual(await contents(vault, await waiting), wantedOf(TREE))
})

test('content that is wanted twice is read again by who wants it', async () => {
  let opens = 0
  const source = counted({ one: 'abc' }, (entry) => ({
    ...entry,
    open() {
      opens += 1
      return readerOfBytes(Buffer.from('abc'))
    },
  }))
  const [once, twice] = shareSource(source, 2)
  const read = async (one: Source | undefined, times: number): Promise<string[]> => {
    const texts: string[] = []
    const reading = await (one ?? assert.fail()).read({ onWarning: () => undefined })
    for await (const { open } of reading.entries())
      for (let time = 0; time < times; time += 1) {
        const buffer = Buffer.alloc(10)
        const reader = await open?.()
        const count = (await reader?.read(buffer)) ?? 0
        texts.push(buffer.subarray(0, count).toString())
        await reader?.close()
      }
    await reading.close()
    return texts
  }
  assert.deepEqual(await Promise.all([read(once?.source, 1), read(twice?.source, 2)]), [['abc'], ['abc', 'abc']])
  assert.equal(opens, 2)
})
