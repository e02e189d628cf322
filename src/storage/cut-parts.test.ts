import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { streamOf } from '../base/streams.ts'
import type { Connection } from './s3/client.ts'
import { cutBytes, cutParts, type Part } from './cut-parts.ts'
import { upload, type Upload } from './s3/upload.ts'

async function sizes(parts: AsyncIterable<Part>): Promise<string> {
  const seen: string[] = []
  for await (const { bytes, last } of parts) seen.push(`${bytes.length}${last ? '!' : ''}`)
  return seen.join(' ')
}

test('parts are equal, the last is shorter and known as the last', async () => {
  for (const [length, wanted] of [
    [0, '0!'],
    [9, '9!'],
    [10, '10!'],
    [11, '10 1!'],
    [30, '10 10 10!'],
  ] as const) {
    assert.equal(await sizes(cutBytes(new Uint8Array(length), 10)), wanted)
    for (const chunk of [1, 3, 7, 100]) {
      const bytes = new Uint8Array(length)
      const chunks = Array.from({ length: Math.ceil(length / chunk) }, (_, i) =>
        bytes.subarray(i * chunk, (i + 1) * chunk),
      )
      assert.equal(await sizes(cutParts(streamOf(...chunks), 10)), wanted, `${length} bytes by ${chunk}`)
    }
  }
})

test('memory of released parts is used again, that of others never', async () => {
  const bytes = randomBytes(4_000_000)
  const buffers = new Set<ArrayBufferLike>()
  const held: Part[] = []
  const got: Uint8Array[] = []
  for await (const part of cutParts(streamOf(bytes), 300_000)) {
    buffers.add(part.bytes.buffer)
    held.push(part)
    if (held.length < 3) continue
    const done = held.shift()
    got.push(new Uint8Array(done?.bytes ?? []))
    done?.release()
  }
  for (const part of held) got.push(new Uint8Array(part.bytes))
  assert.equal(Buffer.compare(Buffer.concat(got), bytes), 0)
  assert.ok(buffers.size <= 4, `${buffers.size} buffers for three parts at once`)
})

test('a stream of more than 10,000 parts is refused, naming the setting', async () => {
  const answer = { UploadId: 'id', ETag: '"e"' }
  const connection = { call: async () => answer, persist: async () => answer, close: () => undefined }
  const job: Upload = {
    connection: connection as unknown as Connection,
    bucket: 'b',
    objectName: 'k',
    key: 'k',
    tried: 'store k in s3://b',
    headers: {},
    checksums: false,
    partSize: 10,
    concurrency: 3,
    ifAbsent: false,
    onUnconditional: () => undefined,
    signal: undefined,
    onBytes: () => undefined,
  }
  assert.equal((await upload(job, streamOf(new Uint8Array(100_000)))).size, 100_000)
  await assert.rejects(upload(job, streamOf(new Uint8Array(100_001))), (error) => {
    assert.ok(isAppError(error, 'storage.unsupported'))
    assert.match(error.hint, /uploadPartSize/)
    return true
  })
  assert.equal((await upload(job, new Uint8Array(1_000_001))).size, 1_000_001, 'bytes of known length get larger parts')
})
