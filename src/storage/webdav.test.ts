import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { plain } from '../../test/servers/s3-servers.ts'
import { noRclone, startNpmDav, startRcloneDav, type DavServer } from '../../test/servers/webdav.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError, type ErrorCode } from '../base/errors.ts'
import type { WebdavStorageSettings } from '../model/settings.ts'
import { listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { webdav } from './webdav.ts'
import { find, parseXml } from './webdav/xml.ts'

const opener = join(import.meta.dirname, 'open.ts')

/** Servers refuse for a moment what others are at work on. */
const retry = { attempts: 8, baseMs: 20, maxMs: 500 }

let npm: DavServer | undefined
storageSuite('driver:webdav', {
  open: async () => webdav((npm = await startNpmDav()).settings, { retry }),
  except: { keys: 'webdav-server does not escape question marks and angle brackets in its answers' },
  close: () => npm?.stop(),
  manyKeys: 203,
  child: () => ({ module: opener, call: 'openStorage', args: [npm?.url] }),
})

let rclone: DavServer | undefined
storageSuite('driver:webdav-rclone', {
  unavailable: noRclone,
  open: async () => webdav((rclone = await startRcloneDav()).settings, { retry }),
  except: { 'racing-writers': 'its server refuses a move onto what another one is just moved onto' },
  close: () => rclone?.stop(),
  manyKeys: 203,
  child: () => ({ module: opener, call: 'openStorage', args: [rclone?.url] }),
})

describe('driver:webdav as a user meets it', () => {
  let server: DavServer
  before(async () => {
    server = await startNpmDav()
  })
  after(() => server.stop())

  async function codes(more: Partial<WebdavStorageSettings>): Promise<(ErrorCode | undefined)[]> {
    const storage = webdav({ ...server.settings, ...more }, { retry: { attempts: 1, baseMs: 1, maxMs: 1 } })
    const results = await Promise.allSettled([storage.put('a', utf8('x')), storage.stat('a'), listAll(storage, '')])
    await storage.close()
    return results.map((result) =>
      result.status === 'rejected' && isAppError(result.reason) ? result.reason.code : undefined,
    )
  }
  const all = (code: ErrorCode): ErrorCode[] => [code, code, code]

  test('driver:webdav: a wrong password is storage.denied, nobody listening storage.unreachable', async () => {
    assert.deepEqual(await codes({ password: plain('wrong-password') }), all('storage.denied'))
    assert.deepEqual(await codes({ url: 'http://127.0.0.1:1/x' }), all('storage.unreachable'))
  })
})

test('answers of servers: namespaces, entities, CDATA and empty elements are read, broken ones are not', () => {
  const text =
    '<?xml version="1.0"?><!-- x --><D:multistatus xmlns:D="DAV:"><D:response><D:href>/a%20b/&#228;&amp;</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype><x:y xmlns:x="u"><![CDATA[<z>]]></x:y></D:prop></D:propstat></D:response></D:multistatus>'
  const root = parseXml(text) ?? assert.fail()
  assert.equal(root.name, 'multistatus')
  assert.equal(find(root, 'href')?.text, '/a%20b/ä&')
  assert.equal(find(root, 'y')?.text, '<z>')
  assert.ok(find(root, 'collection'))
  for (const broken of ['', '<a>', '<a></b>', '</a>', '<a><b></a></b>'])
    assert.equal(parseXml(broken), undefined, broken)
})
