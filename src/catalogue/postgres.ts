/** The catalogue in PostgreSQL, for schedulers and workers on several machines. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/errors.ts'
import type { Catalogue } from '../model/catalogue.ts'
import { catalogueOn } from './catalogue.ts'
import { transaction, type Database } from './database.ts'
import { postgresDatabase } from './postgres/database.ts'
import { sealOf, type Seal } from './seal.ts'

const FOLDER = new URL('./postgres/', import.meta.url)
const SCHEMA = 'holdfast'
const SEAL_KEY = 'mark of the seal'

/** `keyFile`: the same file on all machines. */
export function postgresCatalogue(url: string, clock: Clock, keyFile: string): Catalogue {
  const database = postgresDatabase(url, SCHEMA)
  try {
    migrate(database)
  } catch (error) {
    database.close()
    throw error
  }
  return catalogueOn(database, clock, sharedSeal(database, sealOf(keyFile)))
}

/** Numbered files, each run once. Whoever is first makes the step; the others wait for it. */
function migrate(database: Database): void {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  transaction(database, () => {
    database.exec(`CREATE SCHEMA IF NOT EXISTS ${SCHEMA}`)
    database.exec('CREATE TABLE IF NOT EXISTS version (number INTEGER NOT NULL)')
    const { have } = database.prepare('SELECT coalesce(max(number), 0) AS have FROM version').get() as { have: number }
    if (have > files.length)
      throw new AppError(
        'catalogue.failed',
        `the catalogue in PostgreSQL was written by a newer Holdfast (${have}, this one knows ${files.length})`,
        { hint: 'Update Holdfast on all machines that share the catalogue.' },
      )
    for (let next = have; next < files.length; next += 1) {
      database.exec(readFileSync(new URL(files[next] as string, FOLDER), 'utf8'))
      database.prepare('INSERT INTO version (number) VALUES (?)').run(next + 1)
    }
  })
}

/** With another key than the others have, what one machine stores the others could not read: refused before anything is. */
function sharedSeal(database: Database, seal: Seal): Seal {
  let checked = false
  const check = (): void => {
    if (checked) return
    database.prepare('INSERT INTO state (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING').run(SEAL_KEY, seal.mark())
    const { value } = database.prepare('SELECT value FROM state WHERE key = ?').get(SEAL_KEY) as { value: string }
    if (value !== seal.mark())
      throw new AppError('catalogue.failed', 'this machine has another key than those that share the catalogue', {
        hint: 'Copy server.key of the data folder of the first machine to all others, or name it with server.keyFile.',
      })
    checked = true
  }
  return {
    mark: () => seal.mark(),
    seal(value) {
      check()
      return seal.seal(value)
    },
    open(bytes) {
      check()
      return seal.open(bytes)
    },
  }
}
