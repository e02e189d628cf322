import { memory } from '../../storage/memory.ts'
import { randomUUID } from 'node:crypto'
import { sourceSuite } from '../../testing/source-suite.ts'
import { storageSuite } from '../../testing/storage-suite.ts'
import { closeDatabases, freshConnection, noS3db, openDatabase, removeFolders } from '../../../test/support/s3db.ts'
import { sampleDatabase } from '../../../test/support/s3db-plugin.ts'
import { clientStorage } from './client-storage.ts'
import { openClient, s3db } from './source.ts'

const close = async (): Promise<void> => {
  await closeDatabases()
  removeFolders()
}

for (const kind of ['memory', 'file', 'sqlite'] as const)
  sourceSuite(`driver:s3db source of the ${kind} client`, {
    open: async () => s3db(openClient((await sampleDatabase(kind)).client)),
    close,
    unavailable: noS3db,
  })

storageSuite('driver:s3db objects of a client as a storage', {
  open: async () =>
    noS3db === undefined
      ? clientStorage((await openDatabase(freshConnection('memory'))).client, 'vault')
      : memory(randomUUID()),
  close,
  except: { 'flat-memory': 'a client takes an object as a whole: the parts of a vault in it are kept small' },
  unavailable: noS3db,
})
