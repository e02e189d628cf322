import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { isNewer } from '../../src/operations/update.ts'
import { holdfast, scratch } from '../support/holdfast.ts'

test('a newer version is found in the registry, fetched, and used only if it is what the registry says', async (t) => {
  const tarball = Buffer.from('a package, as far as this test goes')
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`
  let served = tarball
  let version = '99.0.0'
  const registry = createServer((request, response) => {
    if (request.url === '/holdfast/latest')
      response.end(JSON.stringify({ version, dist: { tarball: `${address}/holdfast.tgz`, integrity } }))
    else if (request.url === '/holdfast.tgz') response.end(served)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve))
  t.after(() => registry.close())
  const address = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`
  const cli = holdfast(scratch(t, 'update'))
  const env = { HOLDFAST_UPDATE__REGISTRY: address, HOLDFAST_SERVER__DATA_DIR: join(cli.dir, 'state') }
  const updates = join(cli.dir, 'state/updates')

  assert.deepEqual(
    (await cli.json<{ newer: boolean; latest: string }>(['update', '--check'], { env })).latest,
    '99.0.0',
  )
  assert.ok(!existsSync(updates))
  const { file } = await cli.json<{ file: string }>(['update', '--download'], { env })
  assert.deepEqual(readFileSync(file), tarball)

  served = Buffer.from('something else, as far as this test goes')
  const wrong = await cli.run(['update'], { env })
  assert.equal(wrong.code, 4, wrong.stderr)
  assert.match(wrong.stderr, /is not what the registry says it is/)
  assert.deepEqual(readdirSync(updates), ['holdfast-99.0.0.tgz'], 'what was there stays, and nothing else')
  assert.deepEqual(readFileSync(file), tarball)

  version = '99.0.0/../../../etc/passwd'
  assert.equal((await cli.run(['update', '--download'], { env })).code, 14)
  version = '0.0.1'
  assert.equal((await cli.json<{ newer: boolean }>(['update', '--check'], { env })).newer, false)
  registry.close()
  registry.closeAllConnections()
  assert.equal((await cli.run(['update', '--check'], { env })).code, 14)
})

test('versions are compared as semantic versions', () => {
  const newer: [string, string][] = [
    ['1.0.1', '1.0.0'],
    ['1.10.0', '1.9.9'],
    ['2.0.0', '1.99.99'],
    ['1.0.0', '1.0.0-rc.1'],
  ]
  for (const [a, b] of newer) assert.deepEqual([isNewer(a, b), isNewer(b, a)], [true, false], `${a} ${b}`)
  assert.equal(isNewer('1.0.0', '1.0.0'), false)
})
