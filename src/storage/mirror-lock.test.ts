import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { noVersitygw, startVersitygw, type S3Server } from '../../test/servers/s3-servers.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { memory } from './memory.ts'
import { mirror } from './mirror.ts'
import { s3 } from './s3.ts'

const MINUTE_MS = 60_000

describe('driver:s3-versitygw: locks of a mirror', { skip: noVersitygw }, () => {
  let server: S3Server
  before(async () => {
    server = await startVersitygw({ locking: true })
  })
  after(() => server.stop())

  test('driver:s3-versitygw: each member renews its own locks for its own time, and what a mirror tells is true of all', async () => {
    const member = (prefix: string, minutes: number) =>
      s3({ ...server.settings, prefix, objectLock: { mode: 'governance', for: `${minutes}m` } })
    const [short, long, plain] = [member('short', 10), member('long', 60), memory()]
    const storage = mirror({ strategy: 'any' }, [plain, short, long])
    const lock = storage.can.lock ?? assert.fail('it has no locks')
    assert.deepEqual([lock.mode, lock.forMs], ['governance', 10 * MINUTE_MS])
    assert.deepEqual(await lock.state(), { versions: true, locks: true })
    const left = async (one: typeof short, key = 'a'): Promise<number> =>
      (((await one.can.lock?.until(key))?.getTime() ?? 0) - Date.now()) / MINUTE_MS
    const near = (value: number, wanted: number): void => assert.ok(Math.abs(value - wanted) < 1, `${value}`)

    await storage.put('a', utf8('x'))
    near(await left(short), 10)
    near(await left(long), 60)
    near(((await lock.until('a'))?.getTime() ?? 0) / MINUTE_MS - Date.now() / MINUTE_MS, 10)
    await lock.extend('a', new Date(Date.now() + 20 * MINUTE_MS))
    near(await left(short), 20)
    near(await left(long), 70)

    // One member was down when this was stored.
    await long.put('b', utf8('x'))
    await lock.extend('b', new Date(Date.now() + 30 * MINUTE_MS))
    near(await left(long, 'b'), 80)
    await assert.rejects(lock.until('nothing'), (error) => isAppError(error, 'storage.not-found'))
    await plain.put('unlocked', utf8('x'))
    await short.put('unlocked', utf8('x'), { lock: false })
    assert.equal(await lock.until('unlocked'), undefined)

    await storage.remove('a')
    const released = await lock.release()
    assert.deepEqual([released.removed, released.left], [0, 2], 'what is locked on either stays, hidden')
    await storage.close()
    assert.equal(mirror({ strategy: 'all' }, [memory(), memory()]).can.lock, undefined)
  })
})
