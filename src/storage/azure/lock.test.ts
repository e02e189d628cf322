import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startScriptedAzure, type ScriptedAzure } from '../../../test/servers/scripted-azure.ts'
import {
  about,
  DAY,
  heldUntilEnded,
  hiddenThenRemoved,
  lockedAndRenewed,
  type LockedStorage,
} from '../../../test/support/lock-promises.ts'
import { utf8 } from '../../base/bytes.ts'
import { azure } from '../azure.ts'
import { openStorage } from '../open.ts'

describe('immutability policies of Azure, by a server that does as its documents say', () => {
  let server: ScriptedAzure
  before(async () => {
    server = await startScriptedAzure()
  })
  after(() => server.stop())

  const open = (prefix: string, time = '30d', mode: 'governance' | 'compliance' = 'governance') => {
    const storage = azure({ ...server.settings, prefix, objectLock: { mode, for: time } })
    assert.ok(storage.can.lock)
    return storage as LockedStorage
  }

  test('what is stored is locked, in one request and in parts, and locks are renewed, never shortened', async () => {
    await lockedAndRenewed(open)
    assert.ok(server.seen.includes('PUT comp=immutabilityPolicies Locked'))
  })

  test('what is removed or replaced is hidden while it is locked, and removed for good later', async () => {
    await hiddenThenRemoved(open)
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
    await heldUntilEnded(open)
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
