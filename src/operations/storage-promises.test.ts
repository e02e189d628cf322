import assert from 'node:assert/strict'
import { test } from 'node:test'
import { utf8 } from '../base/bytes.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { memory } from '../storage/memory.ts'
import { readOnly } from '../storage/read-only.ts'
import type { Storage } from '../model/storage.ts'
import { faulty } from '../testing/faulty-storage.ts'
import { checkStoragePromises, listAll, STORAGE_PROMISES } from './storage-promises.ts'

const broken = async (storage: Storage): Promise<string[]> =>
  (await checkStoragePromises(storage)).filter(({ ok }) => !ok).map(({ name }) => name)

test('a storage that keeps its promises passes all, and nothing is left behind', async () => {
  const storage = memory()
  await storage.put('mine', utf8('x'))
  const results = await checkStoragePromises(storage, { prefix: 'scratch/' })
  assert.equal(results.length, STORAGE_PROMISES.length + 1)
  assert.ok(results.every(({ ok }) => ok))
  assert.deepEqual(
    (await listAll(storage, '')).map(({ key }) => key),
    ['mine'],
  )
})

test('each way of breaking a promise is seen', async () => {
  const inner = memory()
  const cases: [string, Storage][] = [
    ['round-trip', faulty(inner, { on: 'get', how: 'flip', bytes: 1 })],
    ['round-trip', faulty(inner, { on: 'get', how: 'truncate', bytes: 10 })],
    ['list', faulty(inner, { on: 'list', key: /\/list\/$/, how: 'truncate', bytes: 3 })],
    ['if-absent', { ...inner, put: (key, body, options) => inner.put(key, body, { ...options, ifAbsent: false }) }],
    ['one-winner', { ...inner, put: (key, body, options) => inner.put(key, body, { ...options, ifAbsent: false }) }],
    ['remove', { ...inner, async remove() {} }],
    ['cancel', { ...inner, put: (key, body) => inner.put(key, body) }],
    ['missing', { ...inner, stat: async (key) => ({ key, size: 0, modified: new Date() }) }],
    ['failed-put', { ...inner, put: storesHalf(inner) }],
  ]
  for (const [name, storage] of cases) assert.ok((await broken(storage)).includes(name), `${name} was not noticed`)
})

test('a storage that cannot be used is asked once', async () => {
  const results = await checkStoragePromises(readOnly(memory()))
  assert.deepEqual(
    results.map(({ name, ok }) => [name, ok]),
    [
      ['round-trip', false],
      ['clean-up', true],
    ],
  )
  assert.equal(results[0]?.error?.code, 'storage.denied')
})

test('what cannot be removed again is said', async () => {
  const error = new AppError('storage.denied', 'this key may not delete')
  const names = await broken(faulty(memory(), { on: 'remove', how: 'fail', error }))
  assert.ok(names.includes('clean-up'))
})

test('checks end with the signal', async () => {
  const controller = new AbortController()
  const storage = faulty(memory(), { on: 'put', after: 3, how: 'stall' })
  setTimeout(() => controller.abort(), 30)
  const checks = checkStoragePromises(storage, { signal: controller.signal })
  await assert.rejects(checks, (error) => isAppError(error, 'run.cancelled'))
})

/** Keeps what came before the body broke. */
function storesHalf(inner: Storage): Storage['put'] {
  return async (key, body, options) => {
    if (body instanceof Uint8Array) return inner.put(key, body, options)
    const chunks: Uint8Array[] = []
    try {
      for await (const chunk of body) chunks.push(chunk)
    } catch (error) {
      await inner.put(key, Buffer.concat(chunks))
      throw error
    }
    return inner.put(key, Buffer.concat(chunks), options)
  }
}
