import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { utf8, type Bytes } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { compareKeys } from '../base/keys.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { listAll, type PromiseContext } from '../operations/storage-promises.ts'

/** How a process of its own opens the storage under test: `(await import(module))[call](...args)`. */
export interface ChildOpen {
  module: string
  call: string
  args: unknown[]
  env?: Record<string, string>
  /** Something of it outlives a killed process and may clean up by itself, before or after `sweep` looks. */
  cleansUp?: boolean
}

export interface StressCheck {
  name: string
  promise: string
  check(context: PromiseContext & { child?: ChildOpen; manyKeys?: number }): Promise<void>
}

const MiB = 1024 * 1024

/** The checks that take too long, or too many objects, for a user's own storage. */
export const STORAGE_STRESS: readonly StressCheck[] = [
  {
    name: 'large-stream',
    promise: 'a stream of many parts comes back whole, also by ranges across its parts',
    async check({ storage, prefix }) {
      const key = `${prefix}large`
      const size = 40 * MiB + 12_345
      const bytes = randomBytes(size)
      const chunks = streamOf(...cut(bytes, 700_001))
      assert.equal((await storage.put(key, chunks)).size, size)
      assert.equal(Buffer.compare(await collect(storage.get(key)), bytes), 0)
      for (const start of [5 * MiB - 3, 16 * MiB - 3, size - 7]) {
        const range = { start, end: Math.min(start + 100_000, size) }
        assert.equal(Buffer.compare(await collect(storage.get(key, { range })), bytes.subarray(start, range.end)), 0)
      }
    },
  },
  {
    name: 'lent-chunks',
    promise: 'a chunk of a stream is used only until the next one is asked for: its memory may then hold other bytes',
    async check({ storage, prefix }) {
      const wanted = randomBytes(12 * MiB + 77)
      const lent = Buffer.alloc(2 * MiB)
      async function* lending(): AsyncGenerator<Bytes> {
        for (let at = 0; at < wanted.length; at += lent.length) {
          const count = wanted.copy(lent, 0, at, at + lent.length)
          yield lent.subarray(0, count)
          lent.fill(0xaa)
        }
      }
      await storage.put(`${prefix}lent`, lending())
      assert.ok(Buffer.from(await collect(storage.get(`${prefix}lent`))).equals(wanted))
    },
  },
  {
    name: 'flat-memory',
    promise: 'a stream of 200 MB is stored and read in bounded memory',
    async check({ storage, prefix }) {
      const key = `${prefix}flat`
      const block = randomBytes(MiB)
      const blocks = 200
      const start = memoryInUse()
      let most = 0
      const look = (): void => void (most = Math.max(most, memoryInUse() - start))
      async function* body(): AsyncGenerator<Bytes> {
        for (let i = 0; i < blocks; i += 1) {
          look()
          yield block
        }
      }
      await storage.put(key, body())
      let [size, sum, wanted] = [0, 0, 0]
      for await (const chunk of storage.get(key)) {
        size += chunk.length
        sum = crc32(chunk, sum)
        look()
      }
      for (let i = 0; i < blocks; i += 1) wanted = crc32(block, wanted)
      await storage.remove(key)
      assert.equal(size, blocks * MiB)
      assert.equal(sum, wanted, 'the content differs')
      assert.ok(most < 150 * MiB, `memory grew by ${Math.round(most / MiB)} MiB`)
    },
  },
  {
    name: 'many-keys',
    promise: 'a list of many objects is complete and in order',
    async check({ storage, prefix, manyKeys = 1203 }) {
      const keys = Array.from({ length: manyKeys }, (_, i) => `${prefix}${i % 7}/${i}`)
      await inParallel(keys, 16, async (key) => void (await storage.put(key, utf8(key))))
      const found: string[] = []
      for await (const { key } of storage.list(prefix)) found.push(key)
      assert.deepEqual(found, keys.toSorted(compareKeys))
      await inParallel(keys, 16, (key) => storage.remove(key))
    },
  },
  {
    name: 'one-winner-of-streams',
    promise: 'of many streams with ifAbsent one wins, and the object is the whole of one',
    async check({ storage, prefix }) {
      const key = `${prefix}winner`
      const bodies = Array.from({ length: 8 }, () => randomBytes(6 * MiB))
      const results = await Promise.allSettled(
        bodies.map((body) => storage.put(key, streamOf(...cut(body, MiB)), { ifAbsent: true })),
      )
      const winners = results.flatMap(({ status }, i) => (status === 'fulfilled' ? [i] : []))
      const stored = await collect(storage.get(key))
      const owner = bodies.findIndex((body) => Buffer.compare(body, stored) === 0)
      assert.ok(winners.includes(owner), `the object is that of writer ${owner}, who is not among ${winners.join()}`)
      if (storage.can.conditionalCreate) assert.deepEqual(winners, [owner])
    },
  },
  {
    name: 'racing-writers',
    promise: 'readers see whole objects while writers replace and remove them',
    async check({ storage, prefix }) {
      const key = `${prefix}deep/folder/racing`
      const bodies = Array.from({ length: 6 }, (_, i) => Buffer.alloc(200_000 + i, i))
      const writes = Array.from({ length: 24 }, async (_, i) => {
        const body = bodies[i % bodies.length] ?? Buffer.alloc(0)
        if (i % 8 === 7) await storage.remove(key)
        else await storage.put(key, i % 2 === 0 ? body : streamOf(body))
      })
      const reads = Array.from({ length: 24 }, async () => {
        try {
          const bytes = await collect(storage.get(key))
          const whole = bodies.some((body) => Buffer.compare(body, bytes) === 0)
          assert.ok(whole, `read ${bytes.length} bytes that nobody wrote`)
        } catch (error) {
          // Removed or replaced between the answer and its bytes.
          if (!isAppError(error, 'storage.not-found', 'storage.truncated', 'storage.checksum')) throw error
        }
      })
      await Promise.all([...writes, ...reads])
    },
  },
  {
    name: 'racing-removals',
    promise: 'an object that others remove while it is replaced is stored, and told apart from one of the same length',
    async check({ storage, prefix }) {
      const key = `${prefix}deep/folder/raced`
      const writers = Array.from({ length: 3 }, async (_, writer) => {
        for (let round = 10; round < 22; round += 1) {
          await storage.put(key, utf8(`round ${round} of ${writer}`))
          if ((round + writer) % 2 === 0) await removed(storage, key)
        }
      })
      await Promise.all(writers)
      const etags = new Set<string>()
      const texts = ['first of all', 'other of all', 'third of all']
      for (const text of texts) {
        const { etag } = await storage.put(key, utf8(text))
        assert.equal(Buffer.from(await collect(storage.get(key))).toString(), text)
        const told = (await storage.stat(key))?.etag
        if (etag !== undefined) assert.equal(etag, told)
        etags.add(told ?? text)
      }
      assert.equal(etags.size, texts.length, 'one etag stands for objects that differ')
    },
  },
  {
    name: 'cancelled-put',
    promise: 'a put is cancelled while its body hangs, and leaves nothing',
    async check({ storage, prefix }) {
      const controller = new AbortController()
      async function* hanging(): AsyncGenerator<Bytes> {
        yield randomBytes(9 * MiB)
        setTimeout(() => controller.abort(), 50)
        await new Promise<void>((resolve) => setTimeout(resolve, 60_000).unref())
      }
      const put = storage.put(`${prefix}hanging`, hanging(), { signal: controller.signal })
      await assert.rejects(put, (error) => isAppError(error, 'run.cancelled'))
      assert.deepEqual(await keysOf(storage, prefix), [])
      const left = await storage.sweep(new Date(Date.now() + 3_600_000))
      assert.equal(left.removed, 0, 'an unfinished write was left behind')
    },
  },
  {
    name: 'cancelled-get',
    promise: 'a get is cancelled or given up in the middle, and another follows',
    async check({ storage, prefix }) {
      const key = `${prefix}given-up`
      await storage.put(key, randomBytes(8 * MiB))
      const controller = new AbortController()
      const read = async (): Promise<void> => {
        for await (const _ of storage.get(key, { signal: controller.signal })) controller.abort()
      }
      await assert.rejects(read(), (error) => isAppError(error, 'run.cancelled'))
      for await (const _ of storage.get(key)) break
      assert.equal((await collect(storage.get(key))).length, 8 * MiB)
    },
  },
  {
    name: 'killed-writer',
    promise: 'a writer killed in the middle leaves what was there before, and sweep cleans up',
    async check({ storage, prefix, child }) {
      assert.ok(child)
      const key = `${prefix}killed`
      await storage.put(key, utf8('before'))
      const env = { ...process.env, ...child.env }
      const script = join(import.meta.dirname, 'put-and-hang.ts')
      const args = ['--disable-warning=ExperimentalWarning', script, JSON.stringify({ ...child, env: undefined, key })]
      const writer = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
      const [said] = await Promise.race([once(writer.stdout, 'data'), once(writer, 'exit')])
      assert.match(String(said), /hanging/)
      const exit = once(writer, 'exit')
      writer.kill('SIGKILL')
      await exit

      assert.equal(Buffer.from(await collect(storage.get(key))).toString(), 'before')
      assert.deepEqual(await keysOf(storage, prefix), [key])
      const untouched = await storage.sweep(new Date(Date.now() - 3_600_000))
      assert.equal(untouched.removed, 0, 'sweep took what is younger than asked')
      const swept = await storage.sweep(new Date(Date.now() + 3_600_000))
      if (child.cleansUp === true) assert.ok(swept.removed <= 1, `${swept.removed} leftovers of one put`)
      else assert.equal(swept.removed, 1)
      if (child.cleansUp !== true) assert.equal((await storage.sweep(new Date(Date.now() + 3_600_000))).removed, 0)
      assert.deepEqual(await keysOf(storage, prefix), [key])
    },
  },
]

/** Some servers refuse for a moment what others are at work on: such a failure may be repeated, others may not be. */
async function removed(storage: Storage, key: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await storage.remove(key)
    } catch (error) {
      if (!isAppError(error) || !error.retryable || attempt === 60) throw error
    }
    await sleep(10 * attempt)
  }
}

const keysOf = async (storage: Storage, prefix: string): Promise<string[]> =>
  (await listAll(storage, prefix)).map(({ key }) => key)

function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function cut(bytes: Bytes, size: number): Bytes[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values()
  const worker = async (): Promise<void> => {
    for (const item of rest) await work(item)
  }
  await Promise.all(Array.from({ length: width }, worker))
}
