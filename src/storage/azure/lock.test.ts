import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startScriptedAzure, type ScriptedAzure } from '../../../test/servers/scripted-azure.ts'
import { utf8 } from '../../base/bytes.ts'
import { isAppError } from '../../base/errors.ts'
import { collect, streamOf } from '../../base/streams.ts'
import type { ObjectLock, Storage } from '../../model/storage.ts'
import { listAll } from '../../operations/storage-promises.ts'
import { azure } from '../azure.ts'
import { openStorage } from '../open.ts'

const DAY = 86_400_000

describe('immutability policies of Azure, by a server that does as its documents say', () => {
  let server: ScriptedAzure
  before(async () => {
    server = await startScriptedAzure()
  })
  after(() => server.stop())

  const open = (prefix: string, time = '30d', mode: 'governance' | 'compliance' = 'governance') => {
    const storage = azure({ ...server.settings, prefix, objectLock: { mode, for: time } })
    assert.ok(storage.can.lock)
    return storage as Storage & { can: { lock: ObjectLock } }
  }
  const about = (date: Date | undefined, inMs: number): void =>
    assert.ok(Math.abs((date?.getTime() ?? 0) - Date.now() - inMs) < 60_000, `${date?.toISOString()}`)

  test('what is stored is locked, in one request and in parts, and locks are renewed, never shortened', async () => {
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
    assert.equal(server.seen.at(-1), 'PUT comp=immutabilityPolicies Locked')
    await assert.rejects(lock.until('none'), (error) => isAppError(error, 'storage.not-found'))
    assert.deepEqual(await lock.state(), { versions: true, locks: true })
    await storage.close()
  })

  test('what is removed or replaced is hidden while it is locked, and removed for good later', async () => {
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
    // Policies end at whole seconds.
    await sleep(3500)
    assert.deepEqual(await lock.release(), { removed: 1, bytes: 1000, left: 1, leftBytes: 6 })
    assert.equal(Buffer.from(await collect(storage.get('kept'))).toString(), 'kept')
    await storage.close()
  })

  test('destroy is refused for a locked object, and tells of who may end an unlocked policy', async () => {
    const storage = open('destroyed')
    const strict = open('destroyed', '1h', 'compliance')
    server.mayEnd = false
    await storage.put('a', utf8('x'))
    assert.equal(await storage.can.destroy?.('a'), false)
    // To try it, it had to be hidden.
    await storage.put('a', utf8('x'))
    server.mayEnd = true
    assert.equal(await storage.can.destroy?.('a'), true)
    await strict.put('b', utf8('x'))
    assert.equal(await strict.can.destroy?.('b'), false)
    await Promise.all([storage.close(), strict.close()])
  })

  test('what is held stays without a lock too, also hidden, until the hold is ended', async () => {
    const storage = open('held', '1s')
    const { lock } = storage.can
    const holds = lock.holds ?? assert.fail()
    await storage.put('a', utf8('held'))
    await holds.begin('a')
    assert.equal(await holds.held('a'), true)
    await storage.remove('a')
    await sleep(2500)
    assert.equal((await lock.release()).left, 1)
    await holds.end(new Set(), new Set(['a']))
    assert.equal((await lock.release()).left, 1, 'another backup needs it')
    await holds.end(new Set(), new Set())
    assert.equal((await lock.release()).removed, 1)
    await storage.close()
  })

  test('the address of a storage may say how its objects are locked; a container without policies says so', async () => {
    Object.assign(process.env, server.env)
    const storage = await openStorage(`${server.url}&objectLock=governance,1d`)
    await storage.put('by-address', utf8('x'))
    about(await storage.can.lock?.until('by-address'), DAY)
    server.keeps = false
    assert.deepEqual(await storage.can.lock?.state(), { versions: false, locks: false })
    server.keeps = true
    for (const key of Object.keys(server.env)) delete process.env[key]
    await storage.close()
  })
})
