import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { noFakeGcs, startFakeGcs, type GcsServer } from '../../test/servers/fake-gcs.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError, type ErrorCode } from '../base/errors.ts'
import { streamOf } from '../base/streams.ts'
import type { GcsStorageSettings } from '../model/settings.ts'
import { listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { gcs } from './gcs.ts'

const retry = { attempts: 1, baseMs: 1, maxMs: 1 }

let shared: GcsServer | undefined
storageSuite('driver:gcs', {
  unavailable: noFakeGcs,
  open: async () => gcs((shared = await startFakeGcs()).settings),
  close: () => shared?.stop(),
  except: {
    'killed-writer': 'Google does not list unfinished uploads: it ends them itself after a week',
    // What this server leaves out is tested in network-faults.test.ts.
    'many-keys': 'fake-gcs-server cuts lists at a thousand and has no second page',
    'one-winner-of-streams': 'fake-gcs-server forgets the precondition of resumable uploads',
  },
})

describe('driver:gcs as a user meets it', { skip: noFakeGcs }, () => {
  let server: GcsServer
  before(async () => {
    server = await startFakeGcs()
  })
  after(() => server.stop())

  async function codes(more: Partial<GcsStorageSettings>): Promise<(ErrorCode | undefined)[]> {
    const storage = gcs({ ...server.settings, ...more }, { retry })
    const results = await Promise.allSettled([storage.put('a', utf8('x')), listAll(storage, '')])
    await storage.close()
    return results.map((result) =>
      result.status === 'rejected' && isAppError(result.reason) ? result.reason.code : undefined,
    )
  }

  test('driver:gcs: a missing bucket, nobody listening, and no credentials are told apart', async () => {
    for (const code of await codes({ bucket: 'nothing-here' }))
      assert.ok(code === 'storage.missing-bucket' || code === 'storage.not-found', code)
    assert.deepEqual(await codes({ endpoint: 'http://127.0.0.1:1' }), ['storage.unreachable', 'storage.unreachable'])
  })

  test('driver:gcs: what is stored reads the same by the plain address of the object', async () => {
    const storage = gcs({ ...server.settings, prefix: 'some/where' })
    const bytes = randomBytes(3_000_001)
    const stored = await storage.put('a b/ü%20', streamOf(bytes))
    const plain = await fetch(
      `${server.endpoint}/storage/v1/b/backups/o/${encodeURIComponent('some/where/a b/ü%20')}?alt=media`,
    )
    assert.ok(Buffer.from(await plain.arrayBuffer()).equals(bytes))
    assert.equal(stored.size, bytes.length)
    await storage.close()
  })
})
