/** What goes wrong on the way to storages over HTTP, the same for each driver: real servers behind a proxy that fails. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { inspect } from 'node:util'
import { noAzurite, startAzurite } from '../../test/servers/azurite.ts'
import { noFakeGcs, startFakeGcs } from '../../test/servers/fake-gcs.ts'
import { startFaultProxy, type Fault, type FaultProxy, type Passing } from '../../test/servers/fault-proxy.ts'
import { noRclone, startRcloneDav } from '../../test/servers/webdav.ts'
import { utf8, type Bytes } from '../base/bytes.ts'
import { isAppError, type AppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import { manualClock, type ManualClock } from '../testing/manual-clock.ts'
import { listAll } from '../operations/storage-promises.ts'
import { azure } from './azure.ts'
import type { DriverOptions } from './driver-options.ts'
import { gcs } from './gcs.ts'
import { webdav } from './webdav.ts'
import { withRetry } from './with-retry.ts'

const MiB = 1024 * 1024
const retry = { attempts: 4, baseMs: 100, maxMs: 1000 }
const idleTimeoutMs = 500

interface Behind {
  origin: string
  open(origin: string, options: DriverOptions): Storage
  stop(): Promise<void>
}

/** What Google answers when it is asked how much of an upload it has; fake-gcs-server takes that for an empty upload. */
function resumableSessions(): FaultProxy['around'] {
  const sessions = new Map<string, { end: number; done: boolean }>()
  return (passing, fault) => {
    const range = passing.method === 'PUT' ? passing.headers['content-range'] : undefined
    const session = new URL(passing.path, 'http://x').searchParams.get('upload_id')
    if (range === undefined || session === null || fault === 'reset') return fault
    const state = sessions.get(session) ?? { end: 0, done: false }
    sessions.set(session, state)
    const [, last, total] = /-(\d+)\/(\d+|\*)$/.exec(range) ?? []
    if (last === undefined) {
      if (fault !== undefined) return fault
      if (state.done) return { status: 200, body: JSON.stringify({ size: String(state.end), generation: '1' }) }
      return { status: 308, headers: state.end > 0 ? { range: `bytes=0-${state.end - 1}` } : {} }
    }
    if (typeof fault !== 'object' || !('status' in fault)) {
      state.end = Number(last) + 1
      state.done = String(state.end) === total
    }
    return fault
  }
}

interface Driver {
  name: string
  unavailable: string | undefined
  /** Sums are stored with objects. */
  sums: boolean
  around?: FaultProxy['around']
  start(): Promise<Behind>
}

const DRIVERS: Driver[] = [
  {
    name: 'azure',
    unavailable: noAzurite,
    sums: true,
    async start() {
      const { settings, endpoint, stop } = await startAzurite()
      const { origin, pathname } = new URL(endpoint)
      const more = { uploadBlockSize: MiB, idleTimeoutMs }
      return {
        origin,
        stop,
        open: (at, options) => azure({ ...settings, ...more, endpoint: `${at}${pathname}` }, options),
      }
    },
  },
  {
    name: 'gcs',
    unavailable: noFakeGcs,
    sums: true,
    around: resumableSessions(),
    async start() {
      const { settings, endpoint, stop } = await startFakeGcs()
      const more = { uploadChunkSize: MiB, idleTimeoutMs }
      return { origin: endpoint, stop, open: (at, options) => gcs({ ...settings, ...more, endpoint: at }, options) }
    },
  },
  {
    name: 'webdav',
    unavailable: noRclone,
    sums: false,
    async start() {
      const { settings, stop } = await startRcloneDav()
      return {
        origin: settings.url,
        stop,
        open: (at, options) => webdav({ ...settings, url: at, idleTimeoutMs }, options),
      }
    },
  },
]

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    assert.ok(isAppError(error), inspect(error))
    return error
  }
  return assert.fail('it succeeded')
}

for (const { name, unavailable, sums, around, start } of DRIVERS)
  describe(`driver:${name} when things go wrong`, { skip: unavailable }, () => {
    let behind: Behind
    let proxy: FaultProxy
    let clock: ManualClock
    let storage: Storage
    before(async () => {
      behind = await start()
      proxy = await startFaultProxy(behind.origin)
      if (around !== undefined) proxy.around = around
    })
    after(async () => {
      await proxy.stop()
      await behind.stop()
    })
    beforeEach(() => {
      clock = manualClock()
      storage = behind.open(proxy.origin, { retry, clock })
    })
    afterEach(async () => {
      proxy.script = () => undefined
      proxy.seen.length = 0
      await storage.close()
    })

    /** The first `times` requests that carry data to the storage. */
    function failing(when: (passing: Passing) => boolean, fault: Fault, times = 1): () => number {
      let done = 0
      proxy.script = (passing) => (when(passing) && done < times ? ((done += 1), fault) : undefined)
      return () => done
    }
    const isUpload = ({ method, length }: Passing): boolean => ['PUT', 'POST'].includes(method) && length > 100_000
    const isRead = ({ method, path }: Passing): boolean =>
      method === 'GET' && !/restype|comp=list|maxResults/.test(path)
    const bytes = randomBytes(3 * MiB + 77)
    const stream = (): AsyncIterable<Bytes> => streamOf(bytes.subarray(0, MiB), bytes.subarray(MiB))
    const stored = async (key: string): Promise<Buffer> =>
      Buffer.from(await collect(behind.open(behind.origin, {}).get(key)))

    test(`driver:${name}: 503 with Retry-After: an upload waits as long as asked, then goes on`, async () => {
      const count = failing(isUpload, { status: 503, headers: { 'retry-after': '7' }, body: '' })
      await storage.put('slow-down', stream())
      assert.equal(count(), 1)
      assert.ok(clock.slept >= 7000, `slept ${clock.slept} ms`)
      assert.ok((await stored('slow-down')).equals(bytes))
    })

    test(`driver:${name}: 429 on a list is storage.throttled, repeated and then told`, async () => {
      proxy.script = () => ({ status: 429, headers: { 'retry-after': '1' }, body: '' })
      assert.equal((await errorOf(listAll(storage, ''))).code, 'storage.throttled')
      assert.equal(proxy.seen.length, retry.attempts)
    })

    test(`driver:${name}: a storm of 500 ends after the attempts, and nothing is stored`, async () => {
      proxy.script = (passing) => (isUpload(passing) ? { status: 500, body: '' } : undefined)
      assert.equal((await errorOf(storage.put('storm', stream()))).code, 'storage.failed')
      proxy.script = () => undefined
      assert.equal(await storage.stat('storm'), undefined)
    })

    test(`driver:${name}: a connection that is reset, or whose answer is lost, in an upload is made good`, async () => {
      for (const fault of ['reset', 'lost'] as const) {
        failing(isUpload, fault)
        await storage.put(`stream-${fault}`, stream())
        assert.ok((await stored(`stream-${fault}`)).equals(bytes))
        failing(
          ({ method, path }) => ['PUT', 'POST', 'MOVE'].includes(method) && path.includes(`bytes-${fault}`),
          fault,
        )
        await storage.put(`bytes-${fault}`, utf8('x'))
        assert.equal((await stored(`bytes-${fault}`)).toString(), 'x')
      }
    })

    test(`driver:${name}: a refusal for good is not repeated`, async () => {
      proxy.script = (passing) => (isUpload(passing) ? { status: 403, body: '' } : undefined)
      assert.equal((await errorOf(storage.put('refused', bytes))).code, 'storage.denied')
      // Of each of the requests that were under way: one, and one with credentials that were asked for anew.
      assert.ok(proxy.seen.filter(isUpload).length <= 8)
      assert.equal(clock.slept, 0)
    })

    test(`driver:${name}: a body that ends early is storage.truncated, and with retries it is read on from there`, async () => {
      await storage.put('cut', bytes)
      failing(isRead, { cutAfter: MiB })
      assert.equal((await errorOf(collect(storage.get('cut')))).code, 'storage.truncated')
      failing(isRead, { cutAfter: MiB })
      const got = await collect(withRetry(storage, { ...retry, clock }).get('cut'))
      assert.ok(Buffer.from(got).equals(bytes))
      assert.match(
        proxy.seen.at(-1)?.headers['range'] ?? proxy.seen.at(-1)?.headers['x-ms-range'] ?? '',
        /bytes=\d{3,}-/,
      )
    })

    test(`driver:${name}: a body that never comes, or stops coming, is storage.unreachable; a slow one is read to its end`, async () => {
      await storage.put('idle', bytes)
      failing(isRead, 'stall')
      assert.equal((await errorOf(collect(storage.get('idle')))).code, 'storage.unreachable')
      failing(isRead, { stallAfter: 1000 })
      assert.equal((await errorOf(collect(storage.get('idle')))).code, 'storage.unreachable')
      failing(isRead, { slowly: { bytes: 300_000, everyMs: 100 } })
      assert.ok(Buffer.from(await collect(storage.get('idle'))).equals(bytes))
    })

    test(
      `driver:${name}: a changed byte is storage.checksum where sums are kept`,
      { skip: !sums && 'no sums' },
      async () => {
        await storage.put('flip', bytes)
        failing(isRead, 'flip')
        assert.equal((await errorOf(collect(storage.get('flip')))).code, 'storage.checksum')
      },
    )

    test(`driver:${name}: the answer to a creation is lost: it knows its own object, and not that of another`, async () => {
      failing(({ method, path }) => ['PUT', 'POST', 'MOVE'].includes(method) && path.includes('created'), 'lost')
      await storage.put('created', utf8('mine'), { ifAbsent: true }).catch((error: unknown) => {
        // Without conditions the driver cannot know: saying that it exists is the safe answer.
        assert.ok(!storage.can.conditionalCreate && isAppError(error, 'storage.exists'), inspect(error))
      })
      assert.equal((await stored('created')).toString(), 'mine')
      await assert.rejects(storage.put('created', utf8('other'), { ifAbsent: true }), (error) =>
        isAppError(error, 'storage.exists'),
      )
      assert.equal((await stored('created')).toString(), 'mine')
    })
  })

describe('driver:gcs what its test server leaves out', { skip: noFakeGcs }, () => {
  let behind: Behind
  let proxy: FaultProxy
  before(async () => {
    behind = await (DRIVERS[1] ?? assert.fail()).start()
    proxy = await startFaultProxy(behind.origin)
  })
  after(async () => {
    await proxy.stop()
    await behind.stop()
  })

  test('driver:gcs: lists are read page by page', async () => {
    const storage = behind.open(proxy.origin, { retry })
    const keys = Array.from({ length: 25 }, (_, i) => `page/${String(i).padStart(2, '0')}`)
    for (const key of keys) await storage.put(key, utf8('x'))
    proxy.script = ({ path }) => ({
      change(answer) {
        const from = Number(new URL(path, 'http://x').searchParams.get('pageToken') ?? 0)
        const { items } = JSON.parse(answer.body.toString()) as { items: unknown[] }
        const more = from + 10 < items.length ? { nextPageToken: String(from + 10) } : {}
        answer.body = Buffer.from(JSON.stringify({ items: items.slice(from, from + 10), ...more }))
      },
    })
    assert.deepEqual(
      (await listAll(storage, 'page/')).map(({ key }) => key),
      keys,
    )
  })

  test('driver:gcs: a stream is created on condition, and refused at its end when another came first', async () => {
    const storage = behind.open(proxy.origin, { retry })
    proxy.script = ({ method, headers }) =>
      method === 'PUT' && /\/\d+$/.test(headers['content-range'] ?? '')
        ? { status: 412, body: JSON.stringify({ error: { code: 412, errors: [{ reason: 'conditionNotMet' }] } }) }
        : undefined
    proxy.seen.length = 0
    const body = streamOf(randomBytes(MiB), randomBytes(MiB))
    assert.equal((await errorOf(storage.put('raced', body, { ifAbsent: true }))).code, 'storage.exists')
    assert.ok(
      proxy.seen.some(({ path }) => path.includes('uploadType=resumable') && path.includes('ifGenerationMatch=0')),
    )
    proxy.script = () => undefined
    assert.equal(await storage.stat('raced'), undefined)
  })
})
