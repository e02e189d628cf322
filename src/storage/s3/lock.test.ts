import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noVersitygw, startVersitygw, type S3Server } from '../../../test/servers/s3-servers.ts'
import { utf8 } from '../../base/bytes.ts'
import { isAppError } from '../../base/errors.ts'
import { collect, streamOf } from '../../base/streams.ts'
import type { ObjectLock, Storage } from '../../model/storage.ts'
import { listAll } from '../../operations/storage-promises.ts'
import { openStorage } from '../open.ts'
import { s3 } from '../s3.ts'

const SECOND = 1000
const MiB = 1024 * 1024

describe('driver:s3-versitygw with object lock', { skip: noVersitygw }, () => {
  let server: S3Server
  before(async () => {
    server = await startVersitygw({ locking: true })
  })
  after(() => server.stop())

  const open = (prefix: string, time = '30d'): Storage & { can: { lock: ObjectLock } } => {
    const storage = s3({ ...server.settings, prefix, objectLock: { mode: 'governance', for: time } })
    assert.ok(storage.can.lock)
    return storage as Storage & { can: { lock: ObjectLock } }
  }
  const about = (date: Date | undefined, inMs: number): void => {
    const off = Math.abs((date?.getTime() ?? 0) - Date.now() - inMs)
    assert.ok(off < 10 * SECOND, `${date?.toISOString()} is not in ${inMs} ms`)
  }

  test('driver:s3-versitygw: what is stored is locked, in one request and in parts, unless it is removed again soon', async () => {
    const storage = open('stored')
    const { lock } = storage.can
    const day = 86_400 * SECOND
    await storage.put('small', utf8('x'))
    await storage.put('large', streamOf(randomBytes(6 * MiB)))
    await storage.put('lease', utf8('x'), { lock: false })
    await storage.put('short', utf8('x'), { lock: new Date(Date.now() + day) })
    about(await lock.until('small'), 30 * day)
    about(await lock.until('large'), 30 * day)
    about(await lock.until('short'), day)
    assert.equal(await lock.until('lease'), undefined)
    await assert.rejects(lock.until('none'), (error) => isAppError(error))
    assert.deepEqual(await lock.state(), { versions: true, locks: true })
    await lock.extend('short', new Date(Date.now() + 40 * day))
    about(await lock.until('short'), 40 * day)
    await lock.extend('lease', new Date(Date.now() + day))
    about(await lock.until('lease'), day)
    await storage.close()
  })

  test('driver:s3-versitygw: what is removed is hidden while it is locked, and removed for good later', async () => {
    const storage = open('released', '4s')
    const { lock } = storage.can
    await storage.put('kept', utf8('kept'))
    await storage.put('going', randomBytes(1000))
    await storage.put('longer', utf8('longer'), { lock: new Date(Date.now() + 60 * SECOND) })
    await storage.remove('going')
    await storage.remove('longer')
    assert.deepEqual(
      (await listAll(storage, '')).map(({ key }) => key),
      ['kept'],
    )
    assert.deepEqual(await lock.release(), { removed: 0, bytes: 0, left: 2, leftBytes: 1006 })
    await sleep(6 * SECOND)
    assert.deepEqual(await lock.release(), { removed: 1, bytes: 1000, left: 1, leftBytes: 6 })
    assert.equal(Buffer.from(await collect(storage.get('kept'))).toString(), 'kept')
    await storage.close()
  })

  test('driver:s3-versitygw: what is held stays without a lock too, also hidden, until the hold is ended', async () => {
    const storage = open('held', '2s')
    const { lock } = storage.can
    const holds = lock.holds ?? assert.fail()
    // This server lets go of what is held once a lock of it is over, which S3 itself does not.
    await storage.put('a', utf8('held'), { lock: false })
    await storage.put('b', utf8('free'))
    assert.equal(await holds.held('a'), false)
    await holds.begin('a')
    assert.deepEqual([await holds.held('a'), await holds.held('b')], [true, false])
    await assert.rejects(holds.begin('none'), (error) => isAppError(error, 'storage.not-found'))
    await storage.remove('a')
    await storage.remove('b')
    await sleep(4 * SECOND)
    assert.deepEqual(await lock.release(), { removed: 1, bytes: 4, left: 1, leftBytes: 4 })
    await holds.end(new Set(), new Set(['a']))
    assert.equal((await lock.release()).left, 1, 'another backup needs it')
    await holds.end(new Set(), new Set())
    assert.deepEqual(await lock.release(), { removed: 1, bytes: 4, left: 0, leftBytes: 0 })
    await storage.close()
  })

  test('driver:s3-versitygw: destroy tells whether an object is gone for good', async () => {
    const storage = s3({ ...server.settings, prefix: 'destroyed' })
    await storage.put('a', utf8('x'))
    assert.equal(await storage.can.destroy?.('a'), true)
    assert.equal(await storage.stat('a'), undefined)
    const strict = s3({ ...server.settings, prefix: 'destroyed', objectLock: { mode: 'compliance', for: '1h' } })
    await strict.put('b', utf8('x'), { lock: new Date(Date.now() + 20 * SECOND) })
    assert.equal(await strict.can.destroy?.('b'), false)
    assert.ok((await strict.stat('b')) !== undefined)
    await Promise.all([storage.close(), strict.close()])
  })

  test('driver:s3-versitygw: the address of a storage may say how its objects are locked', async () => {
    const credentials = server.env
    Object.assign(process.env, credentials)
    const storage = await openStorage(`${server.url}&objectLock=governance,1d`)
    await storage.put('by-address', utf8('x'))
    about(await storage.can.lock?.until('by-address'), 86_400 * SECOND)
    await storage.close()
    for (const key of Object.keys(credentials)) delete process.env[key]
  })
})
