/** What each storage that locks objects promises, whatever its locks are called. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { utf8 } from '../../src/base/bytes.ts'
import { isAppError } from '../../src/base/errors.ts'
import { collect, streamOf } from '../../src/base/streams.ts'
import type { ObjectLock, Storage } from '../../src/model/storage.ts'
import { listAll } from '../../src/operations/storage-promises.ts'

export type LockedStorage = Storage & { can: { lock: ObjectLock } }
export type OpenLocked = (prefix: string, time?: string, mode?: 'governance' | 'compliance') => LockedStorage

export const DAY = 86_400_000
/** Some count whole seconds. */
const OVER_MS = 2500

export const about = (date: Date | undefined, inMs: number): void =>
  assert.ok(Math.abs((date?.getTime() ?? 0) - Date.now() - inMs) < 60_000, `${date?.toISOString()}`)

export async function lockedAndRenewed(open: OpenLocked): Promise<void> {
  const storage = open('stored', '30d', 'compliance')
  const { lock } = storage.can
  await storage.put('small', utf8('x'))
  const large = randomBytes(3_000_000)
  await storage.put('large', streamOf(large))
  await storage.put('lease', utf8('x'), { lock: false })
  about(await lock.until('small'), 30 * DAY)
  about(await lock.until('large'), 30 * DAY)
  assert.ok(Buffer.from(await collect(storage.get('large'))).equals(large))
  assert.equal(await lock.until('lease'), undefined)
  await lock.extend('small', new Date(Date.now() + 40 * DAY))
  about(await lock.until('small'), 40 * DAY)
  await lock.extend('small', new Date(Date.now() + 10 * DAY))
  about(await lock.until('small'), 40 * DAY)
  await assert.rejects(lock.until('none'), (error) => isAppError(error, 'storage.not-found'))
  assert.deepEqual(await lock.state(), { versions: true, locks: true })
  await storage.close()
}

export async function hiddenThenRemoved(open: OpenLocked): Promise<void> {
  const storage = open('released', '2s')
  const { lock } = storage.can
  await storage.put('kept', utf8('kept'))
  await storage.put('going', randomBytes(1000))
  await storage.put('longer', utf8('longer'), { lock: new Date(Date.now() + DAY) })
  await storage.put('longer', utf8('other'))
  await storage.remove('going')
  assert.deepEqual(
    (await listAll(storage, '')).map(({ key }) => key),
    ['kept', 'longer'],
  )
  assert.deepEqual(await lock.release(), { removed: 0, bytes: 0, left: 2, leftBytes: 1006 })
  await sleep(1000 + OVER_MS)
  assert.deepEqual(await lock.release(), { removed: 1, bytes: 1000, left: 1, leftBytes: 6 })
  assert.equal(Buffer.from(await collect(storage.get('kept'))).toString(), 'kept')
  await storage.close()
}

export async function heldUntilEnded(open: OpenLocked): Promise<void> {
  const storage = open('held', '1s')
  const { lock } = storage.can
  const holds = lock.holds ?? assert.fail()
  await storage.put('a', utf8('held'))
  await holds.begin('a')
  assert.equal(await holds.held('a'), true)
  await storage.remove('a')
  await sleep(OVER_MS)
  assert.equal((await lock.release()).left, 1)
  await holds.end(new Set(), new Set(['a']))
  assert.equal((await lock.release()).left, 1, 'another backup needs it')
  await holds.end(new Set(), new Set())
  assert.equal((await lock.release()).removed, 1)
  await storage.close()
}
