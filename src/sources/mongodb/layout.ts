/** The tree of a MongoDB backup, which is that of mongodump: docs/formats/database-dumps.md. */
import * as z from 'zod'
import { comparePaths } from '../../base/paths.ts'
import { parseDescription } from '../description.ts'

/**
 * Ours, beside what mongodump writes; mongorestore passes over it. It tells how many documents were read, and so has to be
 * the last: `~` comes after what names begin with.
 */
export function aboutName(databases: readonly string[]): string {
  let name = '~holdfast.json'
  while (databases.some((database) => comparePaths(database, name) > 0)) name = `~${name}`
  return name
}

export const isAbout = (path: string): boolean => /^~+holdfast\.json$/.test(path)

const BSON = '.bson'
const METADATA = '.metadata.json'

/** As mongodump escapes names of collections: as one segment of a URL's path. */
export const escapeName = (name: string): string =>
  encodeURIComponent(name)
    .replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll(/%(24|26|2B|3D|3A|40)/g, (code) => decodeURIComponent(code))

export const bsonPath = (database: string, collection: string): string => `${database}/${escapeName(collection)}${BSON}`
export const metadataPath = (database: string, collection: string): string =>
  `${database}/${escapeName(collection)}${METADATA}`

export interface CollectionPath {
  database: string
  collection: string
  is: 'rows' | 'metadata'
}

export function parsePath(path: string): CollectionPath | undefined {
  const slash = path.indexOf('/')
  const file = path.slice(slash + 1)
  const ending = [METADATA, BSON].find((each) => file.endsWith(each))
  if (slash <= 0 || ending === undefined) return undefined
  return {
    database: path.slice(0, slash),
    collection: decodeURIComponent(file.slice(0, -ending.length)),
    is: ending === BSON ? 'rows' : 'metadata',
  }
}

const about = z.object({
  holdfast: z.literal('mongodb'),
  version: z.literal(1),
  server: z.string(),
  replicaSet: z.string().optional(),
  collections: z.array(
    z.object({
      database: z.string(),
      name: z.string(),
      type: z.string(),
      /** Documents, as read; none for views. */
      documents: z.number().int().nonnegative(),
    }),
  ),
})

export type AboutMongo = z.output<typeof about>

export const parseAbout = (bytes: Uint8Array, what: string): AboutMongo =>
  parseDescription(about, bytes, what, 'a MongoDB backup')
