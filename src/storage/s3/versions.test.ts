import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noVersitygw, startVersioned, type S3Server } from '../../../test/servers/s3-servers.ts'
import { utf8 } from '../../base/bytes.ts'
import { isAppError } from '../../base/errors.ts'
import { collect } from '../../base/streams.ts'
import { listAll } from '../../operations/storage-promises.ts'
import { s3 } from '../s3.ts'

/** Versions have their time in whole seconds. */
const SECOND = 1100

describe('driver:s3-versitygw with versions', { skip: noVersitygw }, () => {
  let server: S3Server
  before(async () => {
    server = await startVersioned()
  })
  after(() => server.stop())

  test('driver:s3-versitygw: a versioned bucket is read as it was at a moment, and not written', async () => {
    const settings = { ...server.settings, prefix: 'vault' }
    const now = s3(settings)
    const text = async (storage: typeof now, key: string): Promise<string> =>
      Buffer.from(await collect(storage.get(key))).toString()
    await now.put('a', utf8('first'))
    await now.put('b/deep', utf8('will be deleted'))
    await now.put('gone', utf8('deleted before'))
    await sleep(SECOND)
    await now.remove('gone')
    await sleep(SECOND)
    const moment = new Date()
    await sleep(SECOND)
    await now.put('a', utf8('by an attacker'))
    await now.remove('b/deep')
    await now.put('c', utf8('came later'))

    const then = s3({ ...settings, asOf: moment.toISOString() })
    assert.deepEqual(
      (await listAll(then, '')).map(({ key, size }) => [key, size]),
      [
        ['a', 5],
        ['b/deep', 15],
      ],
    )
    assert.equal(await text(then, 'a'), 'first')
    assert.equal(await text(then, 'b/deep'), 'will be deleted')
    assert.equal(Buffer.from(await collect(then.get('a', { range: { start: 1, end: 3 } }))).toString(), 'ir')
    assert.equal((await then.stat('b/deep'))?.size, 15)
    for (const key of ['gone', 'c', 'b']) {
      assert.equal(await then.stat(key), undefined, key)
      await assert.rejects(collect(then.get(key)), (error) => isAppError(error, 'storage.not-found'))
    }
    await assert.rejects(then.put('x', utf8('x')), (error) => isAppError(error, 'storage.denied'))
    await assert.rejects(then.remove('a'), (error) => isAppError(error, 'storage.denied'))
    assert.equal(await text(now, 'a'), 'by an attacker')
    await Promise.all([now.close(), then.close()])
  })
})
