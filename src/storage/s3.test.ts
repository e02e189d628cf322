import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  FAUXQS_EXCEPTIONS,
  noVersitygw,
  plain,
  startNpmServer,
  startVersitygw,
  type S3Server,
} from '../../test/servers/s3-servers.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError, type ErrorCode } from '../base/errors.ts'
import type { S3StorageSettings } from '../model/settings.ts'
import { checkStoragePromises, listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { openStorage } from './open.ts'
import { s3 } from './s3.ts'
import { withRetry } from './with-retry.ts'

const opener = join(import.meta.dirname, 'open.ts')

let versitygw: S3Server | undefined
storageSuite('driver:s3-versitygw', {
  unavailable: noVersitygw,
  // Removals that race with writers end in an internal error here, now and then.
  open: async () => {
    versitygw = await startVersitygw()
    return withRetry(s3(versitygw.settings), { attempts: 4, baseMs: 20, maxMs: 200, driverRepeats: ['put', 'list'] })
  },
  close: () => versitygw?.stop(),
  child: () => ({ module: opener, call: 'openStorage', args: [versitygw?.url], env: versitygw?.env ?? {} }),
})

let npm: S3Server | undefined
storageSuite('driver:s3-npm', {
  open: async () => s3((npm = await startNpmServer()).settings),
  close: () => npm?.stop(),
  except: FAUXQS_EXCEPTIONS,
  // The other one shows pages.
  manyKeys: 203,
  child: () => ({ module: opener, call: 'openStorage', args: [npm?.url], env: npm?.env ?? {} }),
})

describe('driver:s3-versitygw as a user meets it', { skip: noVersitygw }, () => {
  let server: S3Server
  before(async () => {
    server = await startVersitygw()
  })
  after(() => server.stop())

  async function codes(more: Partial<S3StorageSettings>): Promise<(ErrorCode | undefined)[]> {
    const storage = s3({ ...server.settings, ...more }, { retry: { attempts: 1, baseMs: 1, maxMs: 1 } })
    const results = await Promise.allSettled([storage.put('a', utf8('x')), storage.stat('a'), listAll(storage, '')])
    await storage.close()
    return results.map((result) =>
      result.status === 'rejected' && isAppError(result.reason) ? result.reason.code : undefined,
    )
  }
  const all = (code: ErrorCode): ErrorCode[] => [code, code, code]

  test('driver:s3-versitygw: a wrong key or secret is storage.denied', async () => {
    assert.deepEqual(await codes({ secretAccessKey: plain('wrong') }), all('storage.denied'))
    assert.deepEqual(await codes({ accessKeyId: plain('nobody') }), all('storage.denied'))
  })

  test('driver:s3-versitygw: a bucket that is not there is storage.missing-bucket, to stat too', async () => {
    assert.deepEqual(await codes({ bucket: 'nothing-here' }), all('storage.missing-bucket'))
  })

  test('driver:s3-versitygw: a wrong region is storage.wrong-region', async () => {
    assert.deepEqual(await codes({ region: 'eu-west-3' }), all('storage.wrong-region'))
  })

  test('driver:s3-versitygw: two prefixes of a bucket do not see each other', async () => {
    const [one, two] = ['one', 'one-more'].map((prefix) => s3({ ...server.settings, prefix }))
    await one?.put('a', utf8('x'))
    assert.deepEqual(await listAll(two ?? assert.fail(), ''), [])
    assert.equal((await listAll(one ?? assert.fail(), '')).length, 1)
    await Promise.all([one?.close(), two?.close()])
  })

  test('driver:s3-versitygw: opened by its address, doctor finds every promise kept and leaves nothing', async () => {
    const kept = { ...process.env }
    Object.assign(process.env, server.env)
    const storage = await openStorage(server.url.replace('backups?', 'backups/prefix?'))
    try {
      const results = await checkStoragePromises(storage)
      assert.deepEqual(
        results.filter(({ ok }) => !ok),
        [],
      )
      assert.ok(results.length >= 14)
      assert.deepEqual(await listAll(storage, ''), [])
    } finally {
      await storage.close()
      process.env = kept
    }
  })
})
