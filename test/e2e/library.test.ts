import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open, type Source } from '../../src/index.ts'
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
