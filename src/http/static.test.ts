import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { serveStatic } from './static.ts'

const dir = mkdtempSync(join(tmpdir(), 'holdfast-static-'))
const folder = join(dir, 'page')
const script = 'export const answer = 42\n'
const PREFIX = '/backup"s'

let prefix = ''
const server = createServer((request, response) => {
  void serveStatic(request, response, { folder, prefix }).then((answered) => {
    if (!answered) response.writeHead(404).end('none')
  })
})

before(async () => {
  mkdirSync(join(folder, 'assets'), { recursive: true })
  writeFileSync(join(dir, 'secret.js'), 'outside')
  writeFileSync(join(folder, 'index.html'), '<!doctype html><base href="/" /><title>page</title>')
  writeFileSync(join(folder, 'icon.svg'), '<svg/>')
  const asset = join(folder, 'assets/index-abc.js')
  writeFileSync(asset, script)
  writeFileSync(`${asset}.br`, brotliCompressSync(script))
  writeFileSync(`${asset}.gz`, gzipSync(script))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
after(() => {
  server.close()
  rmSync(dir, { recursive: true, force: true })
})

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** As written: `fetch` would tidy the path. */
async function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const { port } = server.address() as AddressInfo
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ port, host: '127.0.0.1', path, method, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString('latin1'),
        }),
      )
    })
    asked.on('error', reject).end()
  })
}

test('the page answers at each path of its own, uncached, under a policy that allows nothing inline', async () => {
  for (const path of ['/', '/backups/new', '/runs/abc?tab=log', '/index.html']) {
    const { status, headers, body } = await ask(path)
    assert.equal(status, 200, path)
    assert.equal(body, '<!doctype html><base href="/" /><title>page</title>')
    assert.equal(headers['cache-control'], 'no-store')
    assert.match(String(headers['content-security-policy']), /script-src 'self';(?!.*unsafe)/)
    assert.equal(headers['x-content-type-options'], 'nosniff')
  }
})

test('hashed files are kept for ever, in the best form that the browser takes', async () => {
  const plain = await ask('/assets/index-abc.js')
  assert.equal(plain.body, script)
  assert.match(plain.headers['cache-control'] ?? '', /immutable/)
  assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8')
  const wanted = async (accept: string): Promise<string | undefined> =>
    (await ask('/assets/index-abc.js', { 'accept-encoding': accept })).headers['content-encoding']
  assert.equal(await wanted('gzip, deflate, br'), 'br')
  assert.equal(await wanted('gzip'), 'gzip')
  assert.equal(await wanted('br;q=0, gzip;q=0.5'), 'gzip')
  assert.equal(await wanted('identity'), undefined)
})

test('an unchanged file is not sent again', async () => {
  const etag = String((await ask('/icon.svg')).headers.etag)
  const again = await ask('/icon.svg', { 'if-none-match': `"other", W/${etag}` })
  assert.equal(again.status, 304)
  assert.equal(again.body, '')
  assert.equal((await ask('/icon.svg', { 'if-none-match': '"other"' })).status, 200)
})

test('HEAD gives the headers alone', async () => {
  const { status, headers, body } = await ask('/assets/index-abc.js', {}, 'HEAD')
  assert.deepEqual([status, headers['content-length'], body], [200, String(script.length), ''])
})

test('a path that is none of the page is 404, for people with the page that says so', async () => {
  assert.equal((await ask('/nowhere')).status, 404)
  const { status, body } = await ask('/nowhere', { accept: 'text/html,*/*' })
  assert.deepEqual([status, body.includes('<title>page</title>')], [404, true])
})

test('each route of the page is known here', async () => {
  const routes = readFileSync(join(import.meta.dirname, '../../ui/src/app/routes.ts'), 'utf8')
  const paths = [...routes.matchAll(/^  \['(\/[^']*)'/gm)].map(([, path]) => path ?? '')
  assert.ok(paths.length > 15)
  for (const path of paths) assert.equal((await ask(path)).status, 200, path)
})

test('no path leads outside, and what is not there is not the page', async () => {
  for (const path of [
    '/../secret.js',
    '/assets/../../secret.js',
    '/%2e%2e/secret.js',
    '/assets/%2e%2e%2f%2e%2e%2fsecret.js',
    '/..%5csecret.js',
    '//secret.js',
  ])
    assert.doesNotMatch((await ask(path)).body, /outside/, path)
  assert.equal((await ask('/assets/index-old.js')).status, 404)
  assert.equal((await ask('/%ff')).status, 404)
  assert.equal((await ask('/', {}, 'POST')).status, 404)
})

test('below a prefix the page names it, whether or not the proxy takes it off', async () => {
  prefix = PREFIX
  try {
    for (const path of [`${encodeURI(PREFIX)}/runs`, '/runs']) {
      const { body } = await ask(path)
      assert.equal(body, '<!doctype html><base href="/backup&quot;s/" /><title>page</title>')
    }
    assert.equal((await ask(`${encodeURI(PREFIX)}/assets/index-abc.js`)).body, script)
  } finally {
    prefix = ''
  }
})
