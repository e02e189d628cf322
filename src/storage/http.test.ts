import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Bytes } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { networkError, request } from './http.ts'
import { webdav } from './webdav.ts'

const MiB = 1024 * 1024
const idleMs = 300

async function serving(t: TestContext, serve: (incoming: IncomingMessage, outgoing: ServerResponse) => void) {
  const server = createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** More than systems keep in their buffers. */
const SIZE = 64 * MiB

async function* chunks(everyMs = 0): AsyncGenerator<Bytes> {
  for (let at = 0; at < SIZE; at += MiB) {
    yield Buffer.alloc(MiB)
    if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
}

const put = async (url: string, body: Bytes | AsyncIterable<Bytes>): Promise<Response> => {
  const signal = AbortSignal.timeout(20_000)
  return request({ method: 'PUT', url, body, signal, idleMs }).catch((error: unknown) => {
    assert.ok(!signal.aborted, 'it hung')
    throw networkError(error, 'store')
  })
}

test('an upload ends when the server reads no more, of bytes and of streams, also through a driver', async (t) => {
  const url = await serving(t, (incoming, outgoing) => {
    if (incoming.method !== 'PUT') outgoing.writeHead(incoming.method === 'MKCOL' ? 201 : 404).end()
  })
  const silent = (error: unknown): boolean =>
    isAppError(error, 'storage.unreachable') && /took nothing for/.test(error.message)
  await assert.rejects(put(url, chunks()), silent)
  await assert.rejects(put(url, Buffer.alloc(SIZE)), silent)
  const storage = webdav({ url, idleTimeoutMs: idleMs }, { retry: { attempts: 1, baseMs: 1, maxMs: 1 } })
  await assert.rejects(storage.put('a', chunks()), silent)
  await assert.rejects(storage.put('a', Buffer.alloc(SIZE)), silent)
})

test('an upload that moves, however slowly, goes on; and one whose answer never comes ends', async (t) => {
  const slow = await serving(t, (incoming, outgoing) => {
    let received = 0
    incoming.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received % MiB < chunk.length) {
        incoming.pause()
        setTimeout(() => incoming.resume(), 20)
      }
    })
    incoming.on('end', () => outgoing.writeHead(201).end())
  })
  const started = performance.now()
  assert.equal((await put(slow, chunks())).status, 201)
  assert.equal((await put(slow, Buffer.alloc(SIZE))).status, 201)
  assert.ok(performance.now() - started > 2 * idleMs)
  const mute = await serving(t, (incoming) => void incoming.resume())
  await assert.rejects(put(mute, chunks()), (error) => isAppError(error, 'storage.unreachable'))
})

test('a success that is told before all was sent is none; a refusal is', async (t) => {
  let status = 201
  const hasty = await serving(t, (incoming, outgoing) => {
    if (incoming.method !== 'PUT') return void outgoing.writeHead(status).end()
    incoming.once('data', () => {
      outgoing.writeHead(status).end()
      incoming.resume()
    })
  })
  const early = (error: unknown): boolean =>
    isAppError(error, 'storage.unreachable') && /before it had all of it/.test(error.message)
  await assert.rejects(put(hasty, chunks(5)), early)
  const storage = webdav({ url: hasty }, { retry: { attempts: 1, baseMs: 1, maxMs: 1 } })
  await assert.rejects(storage.put('a', chunks(5)), isAppError)
  status = 507
  assert.equal((await put(hasty, chunks(5))).status, 507)
})
