import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { contents, openVault, readingOf, entriesOf, request, wantedOf, type Tree } from '../../test/support/archive.ts'
import { isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Vault } from '../model/vault.ts'
import { memory } from '../storage/memory.ts'
import { faulty, type Fault } from '../testing/faulty-storage.ts'
import { siblingsOf, withSiblings } from './fallback.ts'

const TREE: Tree = {
  'a-small': 'first',
  'b-large': randomBytes(3_000_000),
  'c-empty': '',
  'd-larger': randomBytes(5_000_001),
  'e-last': 'end',
}
const time = new Date('2026-11-01T03:00:00Z')

async function made(name: string, storage = faulty(memory()), tree = TREE) {
  const vault = await openVault(storage, { name })
  const { backup } = await vault.backup(request(TREE, { time, reading: readingOf(entriesOf(tree)) }))
  return { vault, storage, backup }
}

test('a restore goes on from another vault wherever the first one fails, also in the middle of a file', async () => {
  const faults: Fault[] = [
    ...[0, 1, 100_000, 3_100_000, 7_900_000].map((bytes): Fault => ({ on: 'get', key: /\.tar/, how: 'cut', bytes })),
    { on: 'get', key: /\.tar/, how: 'fail' },
    { on: 'get', key: /\.index/, how: 'fail' },
    { on: 'list', how: 'fail' },
  ]
  const other = await made('two')
  for (const fault of faults) {
    const one = await made('one')
    one.storage.add({ ...fault })
    const told: string[] = []
    const siblings = (): AsyncGenerator<{ vault: Vault; id: string }> =>
      siblingsOf(one.backup, ['one', 'two'], async (name) => (name === 'two' ? other.vault : assert.fail()))
    const vault = withSiblings(one.vault, siblings, (message) => told.push(message))
    const got = await contents(vault, one.backup.id)
    assert.deepEqual(got, wantedOf(TREE), JSON.stringify(fault))
    assert.ok(told.length >= 1 && /one failed .* from two/.test(told[0] ?? ''), JSON.stringify(fault))
  }
})

test('with no vault left that has the same moment, the failure of the first is told', async () => {
  const one = await made('one')
  one.storage.add({ on: 'get', key: /\.tar/, how: 'cut', bytes: 3_100_000 })
  const late = await openVault(memory(), { name: 'two' })
  await late.backup(request(TREE, { time: new Date(time.getTime() + 1) }))
  const siblings = () =>
    siblingsOf(one.backup, ['one', 'two', 'three'], async (name) => {
      if (name === 'three') throw new Error('not there')
      return late
    })
  await assert.rejects(
    contents(
      withSiblings(one.vault, siblings, () => undefined),
      one.backup.id,
    ),
    (error) => isAppError(error, 'storage.truncated', 'storage.unreachable', 'storage.failed', 'backup.damaged'),
  )
})

test('a file that differs in the other vault is never pieced together', async () => {
  const changed = await made('two', faulty(memory()), { ...TREE, 'd-larger': randomBytes(5_000_001) })
  const whole = [TREE, { ...TREE, 'd-larger': await largerOf(changed.vault, changed.backup.id) }]
  for (const fault of [
    { on: 'get', key: /\.tar/, how: 'cut', bytes: 6_000_000 },
    { on: 'get', key: /\.tar/, how: 'flip', bytes: 4_000_000 },
  ] as const) {
    const one = await made('one')
    one.storage.add(fault)
    const siblings = () => siblingsOf(one.backup, ['two'], async () => changed.vault)
    const got = await contents(
      withSiblings(one.vault, siblings, () => undefined),
      one.backup.id,
    ).catch((error: unknown) => assert.ok(isAppError(error, 'backup.damaged')))
    if (got !== undefined) assert.ok(whole.some((tree) => isDeepStrictEqual(got, wantedOf(tree))))
  }
})

async function largerOf(vault: Vault, id: string): Promise<Uint8Array> {
  for await (const { path, open } of vault.open(id)) if (path === 'd-larger' && open) return await collect(open())
  return assert.fail()
}
