/** Which database a restore goes to. */
import { basename, dirname, extname, join } from 'node:path'
import { kindOf, type ObjectClient } from '../sources/s3db/object-client.ts'
import { isObjectClient } from './destination.ts'
import { BackupError, optionError } from './errors.ts'
import type { DatabaseLike } from './types.ts'

export interface RestoreTarget {
  client: ObjectClient | string
  /** Called when all is in place: an open database learns what it has now. */
  refresh(): Promise<void>
}

export function targetOf(target: unknown, own: DatabaseLike): RestoreTarget {
  if (target === undefined) return ofDatabase(own)
  if (typeof target === 'string') {
    if (URL.canParse(target)) return { client: target, refresh: async () => {} }
    return { client: beside(clientOf(own), target), refresh: async () => {} }
  }
  if (typeof target === 'object' && target !== null && 'client' in target) return ofDatabase(target as DatabaseLike)
  throw optionError('target is no database of s3db.js, no connection string and no name')
}

function ofDatabase(database: DatabaseLike): RestoreTarget {
  const client = clientOf(database)
  return {
    client,
    async refresh() {
      await database.connect?.()
    },
  }
}

export function clientOf({ client }: DatabaseLike): ObjectClient {
  if (typeof client === 'object' && client !== null && isObjectClient(client)) return client
  throw new BackupError('source.unsupported', 'the database is not connected, or its client is not known', {
    operation: 'connect',
    hint: 'Call `await db.connect()` first, then `await db.usePlugin(plugin)`.',
  })
}

/** A database of another name in the same place: another prefix of the bucket, another folder, another file. */
function beside(client: ObjectClient, name: string): ObjectClient {
  if (!/^[\w.-]+$/.test(name) || /^\.+$/.test(name))
    throw optionError(`${JSON.stringify(name)} is no name of a database`)
  const { config = {}, connectionString } = client
  const { keyPrefix = '', basePath, bucket } = config
  const Client = client.constructor as new (options: object) => unknown
  const prefix = keyPrefix === '' ? name : join(dirname(keyPrefix), name)
  const options = ((): object => {
    switch (kindOf(client)) {
      case 'memory':
        return { bucket, keyPrefix: prefix, logLevel: 'silent' }
      case 'file':
        return { bucket, keyPrefix, basePath: join(dirname(basePath ?? '.'), name), logLevel: 'silent' }
      case 'sqlite': {
        const file = basePath ?? ''
        const other = join(dirname(file), extname(name) === '' ? name + extname(basename(file)) : name)
        return { bucket, keyPrefix, basePath: other, logLevel: 'silent' }
      }
      case 'network': {
        const url = new URL(connectionString ?? '')
        const parts = url.pathname.split('/')
        // `s3://bucket/prefix`, or `http://host/bucket/prefix`.
        const fixed = url.protocol === 's3:' ? 1 : 2
        url.pathname = [...parts.slice(0, Math.max(fixed, parts.length - 1)), name].join('/')
        return { connectionString: url.href, logLevel: 'silent', httpClientOptions: { useReckerHandler: false } }
      }
    }
  })()
  const made = new Client(options)
  if (typeof made === 'object' && made !== null && isObjectClient(made)) return made
  throw optionError(`a database ${name} cannot be opened beside this one`, 'Give a database or a connection string.')
}
