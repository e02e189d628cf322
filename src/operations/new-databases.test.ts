import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { entriesOf } from '../../test/support/archive.ts'
import { watchDatabases } from './new-databases.ts'

test('databases that come and go on a server are told, once each, and never at the first backup', async () => {
  const catalogue = sqliteCatalogue(':memory:', manualClock())
  const backup = async (type: string, ...names: string[]): Promise<string[]> => {
    const told: string[] = []
    const tree = Object.fromEntries(
      names.flatMap((name) => [
        [`${name}/`, {}],
        [`${name}/tables/`, {}],
      ]),
    )
    const reading = {
      entries: async function* () {
        yield* entriesOf(tree)
      },
      close: async () => {},
    }
    const watched = watchDatabases({ catalogue }, { job: 'db', type }, reading, ({ message }) => told.push(message))
    for await (const _entry of watched.reading.entries()) continue
    watched.announce()
    return told
  }
  assert.deepEqual(await backup('postgres', 'shop'), [])
  assert.deepEqual(await backup('postgres', 'shop', 'blog', 'wiki'), [
    'new on the server, and in the backup from now on: blog, wiki',
  ])
  assert.deepEqual(await backup('postgres', 'blog', 'wiki'), ['on the server no more, nor in the backup: shop'])
  assert.deepEqual(await backup('postgres', 'blog', 'wiki'), [])
  assert.deepEqual(await backup('files', 'home'), [], 'folders are no databases')
})
