/** The catalogue in one SQLite file, used by several processes at once. */
import { chmodSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/errors.ts'
import { makeFolders } from '../base/folders.ts'
import { openDatabase, type Database } from '../base/sqlite.ts'
import type { Catalogue } from '../model/catalogue.ts'
import { catalogueOn } from './catalogue.ts'
import { migrate } from './migrate.ts'
import { sealOf } from './seal.ts'

const BUSY_MS = 10_000

export function sqliteCatalogue(path: string, clock: Clock): Catalogue {
  const keyFile = path === ':memory:' ? undefined : join(dirname(path), 'server.key')
  return catalogueOn(openCatalogue(path), clock, sealOf(keyFile))
}

/** By the numbers that the system gives them. Locks of SQLite do not hold there, and WAL needs shared memory. */
const NETWORK: Record<number, string> = {
  0x6969: 'NFS',
  0x517b: 'SMB',
  0xff534d42: 'CIFS',
  0xfe534d42: 'SMB',
  0x5346414f: 'AFS',
  0x01021997: '9P',
  0x00c36400: 'Ceph',
}

export function refuseNetwork(path: string, type: number): void {
  const system = NETWORK[type]
  if (system === undefined) return
  throw new AppError('catalogue.failed', `the catalogue ${path} lies on a network file system (${system})`, {
    hint: 'Set server.dataDir to a folder on a disk of this machine; vaults may lie on the network.',
  })
}

function openCatalogue(path: string): Database {
  try {
    if (path !== ':memory:') {
      makeFolders(dirname(path), 0o700)
      refuseNetwork(path, statfsSync(dirname(path)).type)
    }
    const database = openDatabase(path, { timeout: BUSY_MS })
    if (path !== ':memory:') chmodSync(path, 0o600)
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON')
    migrate(database, path)
    return database
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError(
      'catalogue.failed',
      `cannot open the catalogue ${path}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
