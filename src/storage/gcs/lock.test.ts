import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startScriptedGcs, type ScriptedGcs } from '../../../test/servers/scripted-gcs.ts'
import {
  about,
  DAY,
  heldUntilEnded,
  hiddenThenRemoved,
  lockedAndRenewed,
  type LockedStorage,
} from '../../../test/support/lock-promises.ts'
import { utf8 } from '../../base/bytes.ts'
import { gcs } from '../gcs.ts'
import { openStorage } from '../open.ts'

describe('object retention of Google, by a server that does as its documents say', () => {
  let server: ScriptedGcs
  before(async () => {
    server = await startScriptedGcs()
  })
  after(() => server.stop())

  const open = (prefix: string, time = '30d', mode: 'governance' | 'compliance' = 'governance') => {
    const storage = gcs({ ...server.settings, prefix, objectLock: { mode, for: time } })
    assert.ok(storage.can.lock)
    return storage as LockedStorage
  }

  test('what is stored is locked, in one request and in parts, and locks are renewed, never shortened', async () => {
    await lockedAndRenewed(open)
    const last = server.seen.filter((line) => line.startsWith('PATCH')).at(-1) ?? ''
    assert.match(last, /^PATCH o\? \{"retention":\{"mode":"Locked","retainUntilTime":"[-\dT:.]+Z"\}\}$/)
  })

  test('what is removed or replaced is hidden while it is locked, and removed for good later', async () => {
    await hiddenThenRemoved(open)
  })

  test('destroy is refused for a locked object, and tells of who may end an unlocked retention', async () => {
    const storage = open('destroyed')
    const strict = open('destroyed', '1h', 'compliance')
    server.mayOverride = false
    await storage.put('a', utf8('x'))
    assert.equal(await storage.can.destroy?.('a'), false)
    server.mayOverride = true
    assert.equal(await storage.can.destroy?.('a'), true)
    await strict.put('b', utf8('x'))
    assert.equal(await strict.can.destroy?.('b'), false)
    assert.ok((await strict.stat('b')) !== undefined)
    await Promise.all([storage.close(), strict.close()])
  })

  test('what is held stays without a lock too, also hidden, until the hold is ended', async () => {
    await heldUntilEnded(open)
  })

  test('the address of a storage may say how its objects are locked; a bucket without retention says so', async () => {
    const storage = await openStorage(`${server.url}&objectLock=governance,1d`)
    await storage.put('by-address', utf8('x'))
    about(await storage.can.lock?.until('by-address'), DAY)
    server.keeps = false
    assert.deepEqual(await storage.can.lock?.state(), { versions: false, locks: false })
    server.keeps = true
    await storage.close()
  })
})
