import assert from 'node:assert/strict'
import {
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { after, before, describe, test } from 'node:test'
import {
  AZURITE_ACCOUNT,
  AZURITE_KEY,
  noAzurite,
  startAzurite,
  type AzuriteServer,
} from '../../test/servers/azurite.ts'
import { BUCKET, plain } from '../../test/servers/s3-servers.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError, type ErrorCode } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { AzureStorageSettings } from '../model/settings.ts'
import { listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { azure } from './azure.ts'

const retry = { attempts: 1, baseMs: 1, maxMs: 1 }

let shared: AzuriteServer | undefined
storageSuite('driver:azure', {
  unavailable: noAzurite,
  open: async () => azure((shared = await startAzurite()).settings),
  close: () => shared?.stop(),
  // Its pages have five thousand.
  manyKeys: 203,
  except: { 'killed-writer': 'Azure does not list blocks without a blob: it discards them itself after a week' },
})

describe('driver:azure as a user meets it', { skip: noAzurite }, () => {
  let server: AzuriteServer
  before(async () => {
    server = await startAzurite()
  })
  after(() => server.stop())

  async function code(more: Partial<AzureStorageSettings>): Promise<ErrorCode | undefined> {
    const storage = azure({ ...server.settings, ...more }, { retry })
    const results = await Promise.allSettled([storage.put('a', utf8('x')), storage.stat('a'), listAll(storage, '')])
    await storage.close()
    const codes = results.map((result) =>
      result.status === 'rejected' && isAppError(result.reason) ? result.reason.code : undefined,
    )
    assert.equal(new Set(codes).size, 1, codes.join())
    return codes[0]
  }
  const bare = { account: undefined, accountKey: undefined, endpoint: undefined }

  test('driver:azure: connection strings, keys and SAS tokens open the container; wrong ones are storage.denied', async () => {
    assert.equal(await code({}), undefined)
    assert.equal(await code({ ...bare, connectionString: plain(server.connectionString) }), undefined)
    const sas = (until: number): string =>
      generateBlobSASQueryParameters(
        {
          containerName: BUCKET,
          permissions: ContainerSASPermissions.parse('racwdl'),
          startsOn: new Date(until - 7_200_000),
          expiresOn: new Date(until),
        },
        new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY),
      ).toString()
    const token = plain(sas(Date.now() + 3_600_000))
    assert.equal(await code({ accountKey: undefined, sasToken: token }), undefined)
    assert.equal(await code({ accountKey: plain(Buffer.from('another key').toString('base64')) }), 'storage.denied')
    assert.ok(
      ['storage.denied', 'storage.expired'].includes(
        String(await code({ accountKey: undefined, sasToken: plain(sas(Date.now() - 3_600_000)) })),
      ),
    )
    assert.equal(await code({ ...bare, connectionString: plain('nonsense') }), 'storage.invalid')
  })

  test('driver:azure: a SAS token that expires is read anew, and the work goes on', async () => {
    let reads = 0
    const credential = new StorageSharedKeyCredential(AZURITE_ACCOUNT, AZURITE_KEY)
    const sasToken = {
      origin: 'a program',
      async read() {
        reads += 1
        const expiresOn = new Date(Date.now() + (reads === 1 ? -60_000 : 3_600_000))
        const permissions = ContainerSASPermissions.parse('racwdl')
        return generateBlobSASQueryParameters(
          { containerName: BUCKET, permissions, startsOn: new Date(Date.now() - 7_200_000), expiresOn },
          credential,
        ).toString()
      },
    }
    const storage = azure({ ...server.settings, accountKey: undefined, sasToken }, { retry })
    await storage.put('renewed', streamOf(Buffer.alloc(20e6)))
    assert.equal(reads, 2)
    assert.equal((await storage.stat('renewed'))?.size, 20e6)
    await storage.close()
  })

  test('driver:azure: a container that is not there is storage.missing-bucket; nobody listening is storage.unreachable', async () => {
    assert.equal(await code({ container: 'nothing-here' }), 'storage.missing-bucket')
    assert.equal(await code({ endpoint: 'http://127.0.0.1:1/x' }), 'storage.unreachable')
  })

  test('driver:azure: payloads get the access tier, metadata does not', async () => {
    const storage = azure({ ...server.settings, accessTier: 'Cool', uploadBlockSize: 65_536 })
    await storage.put('tier/small', utf8('x'))
    await storage.put('tier/large', streamOf(Buffer.alloc(200_000)))
    await storage.put('tier/warm', utf8('x'), { storageClass: 'warm' })
    const tiers = Object.fromEntries(
      (await listAll(storage, 'tier/')).map(({ key, storageClass }) => [key, storageClass]),
    )
    assert.deepEqual([tiers['tier/small'], tiers['tier/large'], tiers['tier/warm']], ['Cool', 'Cool', 'Hot'])
    await storage.close()
  })

  test('driver:azure: what is stored reads the same by the SDK alone', async () => {
    const storage = azure({ ...server.settings, prefix: 'some/where', uploadBlockSize: 65_536 })
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
    await storage.put('a b/ü%20', streamOf(bytes))
    assert.ok((await server.container.getBlobClient('some/where/a b/ü%20').downloadToBuffer()).equals(bytes))
    assert.ok(Buffer.from(await collect(storage.get('a b/ü%20'))).equals(bytes))
    await storage.close()
  })
})
