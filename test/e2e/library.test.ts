import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open, type RunEvent, type Source, type Storage } from '../../src/index.ts'
import { AppError } from '../../src/base/errors.ts'
import { readerOfBytes } from '../../src/base/reader.ts'
import { scratch } from '../support/holdfast.ts'

const letter: Source = {
  type: 'letters',
  name: 'one letter',
  paths: ['letters'],
  test: async () => [],
  read: async () => ({
    async *entries() {
      const bytes = Buffer.from('dear all')
      const file = { path: 'letter', kind: 'file', mode: 0o600, mtime: { s: 1, ns: 0 }, size: bytes.length } as const
      yield { ...file, open: () => readerOfBytes(bytes) }
    },
    close: async () => {},
  }),
}

test('a source of a third party is backed up, listed, verified, restored and pruned by the library', async (t) => {
  const dir = scratch(t, 'library')
  const events: string[] = []
  const config = {
    version: 1,
    server: { dataDir: join(dir, 'state') },
    vaults: { v: { storage: `file:${dir}/v`, format: 'archive' } },
  }
  await using holdfast = await open(config, { env: {}, onEvent: (_, event) => events.push(event.type) })
  const made = await holdfast.backup({ source: letter, job: 'letters', vault: 'v' })
  assert.deepEqual(
    (await holdfast.list('v')).map(({ id, source }) => [id, source]),
    [[made.id, 'letters']],
  )
  assert.equal((await holdfast.verify({ vault: 'v', backup: 'latest', level: 'V2' })).level, 'V2')
  const target = holdfast.app.filesTarget({ root: join(dir, 'out') })
  await holdfast.restore({ vault: 'v', backup: made.id, target })
  assert.equal(readFileSync(join(dir, 'out/letter'), 'utf8'), 'dear all')
  assert.equal((await holdfast.prune({ vault: 'v', retention: { last: 1 } })).keep.length, 1)
  assert.ok(events.includes('stage'))
  await assert.rejects(holdfast.backup({ source: letter, job: 'l', vault: 'v' }, { signal: AbortSignal.abort() }), {
    code: 'run.cancelled',
  })
})

test('two instances with configurations of their own run jobs side by side', async (t) => {
  const dir = scratch(t, 'library')
  mkdirSync(join(dir, 'data'))
  writeFileSync(join(dir, 'data/a'), 'a')
  const config = (name: string): Record<string, unknown> => ({
    version: 1,
    server: { dataDir: join(dir, `state-${name}`) },
    vaults: { v: { storage: `file:${dir}/${name}`, format: 'archive' } },
    jobs: { [name]: { source: { type: 'files', paths: [join(dir, 'data')] }, vaults: 'v' } },
  })
  await using first = await open(config('one'), { env: {} })
  await using second = await open(config('two'), { env: {} })
  const results = await Promise.all([first.runJobs(), second.runJobs(['two'])])
  assert.deepEqual(
    results.map(([result]) => [result?.job, result?.run.status]),
    [
      ['one', 'success'],
      ['two', 'success'],
    ],
  )
  await assert.rejects(open({ version: 1, vaultz: {} }, { env: {} }), { code: 'config.invalid' })
})

/** The simplest storage that keeps the contract: a map. */
function shelf(): Storage {
  const objects = new Map<string, { bytes: Uint8Array<ArrayBuffer>; modified: Date }>()
  const told = (key: string) => {
    const found = objects.get(key)
    return found && { key, size: found.bytes.length, modified: found.modified }
  }
  return {
    name: 'shelf',
    can: { conditionalCreate: true, storageClasses: false, serverChecksums: false },
    async put(key, body, { ifAbsent = false } = {}) {
      const bytes = new Uint8Array(body instanceof Uint8Array ? body : await collect(body))
      if (ifAbsent && objects.has(key)) throw new AppError('storage.exists', `${key} is on the shelf`)
      objects.set(key, { bytes, modified: new Date() })
      return { key, size: bytes.length, modified: new Date() }
    },
    async *get(key, { range } = {}) {
      const found = objects.get(key)
      if (found === undefined) throw new AppError('storage.not-found', `${key} is not on the shelf`)
      yield range === undefined ? found.bytes : found.bytes.slice(range.start, range.end)
    },
    stat: async (key) => told(key),
    async *list(prefix) {
      for (const key of [...objects.keys()].filter((each) => each.startsWith(prefix)).sort()) {
        const object = told(key)
        if (object !== undefined) yield object
      }
    },
    remove: async (key) => void objects.delete(key),
    sweep: async () => ({ removed: 0, bytes: 0 }),
    close: async () => {},
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

test('storages of a third party hold vaults for methods and for jobs, by name', async (t) => {
  const dir = scratch(t, 'library')
  mkdirSync(join(dir, 'data'))
  writeFileSync(join(dir, 'data/a'), 'from a job')
  const config = {
    version: 1,
    server: { dataDir: join(dir, 'state') },
    vaults: { shelf: { storage: 'memory:replaced', format: 'archive' } },
    jobs: { data: { source: { type: 'files', paths: [join(dir, 'data')] }, vaults: 'shelf' } },
  }
  const vaults = { shelf: { storage: shelf(), password: 'a shelf password' }, other: { storage: shelf() } }
  await using holdfast = await open(config, { env: {}, vaults })
  const [run] = await holdfast.runJobs()
  assert.equal(run?.run.status, 'success', run?.error?.message)
  await holdfast.backup({ source: letter, job: 'letters', vault: 'shelf', labels: { why: 'a test' } })
  const backups = await holdfast.list('shelf')
  assert.deepEqual(
    backups.map(({ job, encrypted, labels }) => [job, encrypted, labels?.['why']]),
    [
      ['data', true, undefined],
      ['letters', true, 'a test'],
    ],
  )
  assert.equal((await holdfast.check({ vault: 'shelf', readData: true })).ok, true)
  assert.equal((await holdfast.copy({ vault: 'shelf', backup: 'latest', to: 'other' })).skipped, false)
  const paths: string[] = []
  for await (const { path } of holdfast.entries('other', 'latest')) paths.push(path)
  assert.deepEqual(paths, ['letter'])
  await holdfast.annotate('other', 'latest', { addTags: ['kept'], hold: true })
  assert.deepEqual(
    (await holdfast.list('other', { tags: ['kept'] })).map(({ hold }) => hold),
    [true],
  )
  assert.equal((await holdfast.stats('shelf')).backups, 2)
  await holdfast.restore({
    vault: 'other',
    backup: 'latest',
    target: holdfast.app.filesTarget({ root: join(dir, 'out') }),
  })
  assert.equal(readFileSync(join(dir, 'out/letter'), 'utf8'), 'dear all')
})

test('operations are iterated for their events and awaited for their result; one that fails throws at both', async (t) => {
  const dir = scratch(t, 'library')
  await using holdfast = await open({ version: 1, server: { dataDir: join(dir, 'state') } }, { env: {} })
  const everything: RunEvent[] = []
  const listening = (async () => {
    for await (const event of holdfast.events()) everything.push(event)
  })()
  const making = holdfast.backup({ source: letter, job: 'letters', vault: join(dir, 'v'), verifyAfter: 'V2' })
  const stages: string[] = []
  for await (const event of making) if (event.type === 'stage') stages.push(`${event.run.kind} ${event.stage}`)
  assert.deepEqual(stages, ['backup prepare', 'backup backup', 'backup commit', 'backup verify'])
  assert.equal((await making).job, 'letters')
  const broken: Source = { ...letter, read: async () => Promise.reject(new Error('no letters today')) }
  const failing = holdfast.backup({ source: broken, job: 'letters', vault: join(dir, 'v') })
  await assert.rejects(async () => {
    for await (const event of failing) assert.equal(event.run.status, 'running')
  }, /no letters today/)
  await assert.rejects(failing, { code: 'internal.bug' })
  const abort = new AbortController()
  const cancelled = holdfast.verify({ vault: join(dir, 'v'), backup: 'latest', level: 'V3' }, { signal: abort.signal })
  abort.abort()
  await assert.rejects(cancelled, { code: 'run.cancelled' })
  await holdfast.close()
  await listening
  assert.ok(everything.length > stages.length)
})
