/** The tree of a physical backup, in the order in which the server sends it: docs/formats/database-dumps.md. */
import * as z from 'zod'
import { parseDescription } from '../description.ts'

/** Folders: their files one after the other are the tar. */
export const BASE_TAR = 'base.tar.d'
/** The server's own list of files; after the tars, as it comes last. */
export const MANIFEST = 'manifest/backup_manifest'
export const ABOUT_CLUSTER = 'physical.json'

/** Numbered, so that the order of paths is that in which they come. */
export const tablespaceTar = (index: number, oid: string): string => `${String(index).padStart(4, '0')}-${oid}.tar.d`

const TAR = /^(?:incremental\/(\d{4})\/)?(?:base|\d{4}-(\d+))\.tar\.d\/(\d{7,})(?:\+(\d+))?$/
const INCREMENTAL_MANIFEST = /^incremental\/(\d{4})\/manifest$/

/** What changed since the backup before: the same as a whole one, below a folder. It is applied after what has a lower number. */
export const incrementalFolder = (number: number): string => `incremental/${String(number).padStart(4, '0')}`
export const incrementalManifest = (number: number): string => `${incrementalFolder(number)}/manifest`
export const INCREMENTALS = 'incremental'

/** Of which part this is the manifest: 0 is the full one. */
export function partOfManifest(path: string): number | undefined {
  if (path === MANIFEST) return 0
  const found = INCREMENTAL_MANIFEST.exec(path)
  return found === null ? undefined : Number(found[1])
}

/** `0000012`; `0000014+2` goes on with the file that piece 12 begins with. Vaults give pieces back in any order. */
export const tarPiece = (index: number, since: number): string =>
  `${String(index).padStart(7, '0')}${since === 0 ? '' : `+${since}`}`

/** Which tablespace a piece belongs to, none for the data folder; undefined for what is no piece. */
export function pieceOfTar(path: string): TarPlace | undefined {
  const found = TAR.exec(path)
  if (found === null) return undefined
  return { part: Number(found[1] ?? 0), oid: found[2], index: Number(found[3]), since: Number(found[4] ?? 0) }
}

export interface TarPlace {
  /** 0: of the full backup. */
  part: number
  oid: string | undefined
  index: number
  since: number
}

const about = z.object({
  holdfast: z.literal('postgres-physical'),
  /** 2: with parts that are applied after each other. */
  version: z.union([z.literal(1), z.literal(2)]),
  serverVersion: z.number().int(),
  /** The system identifier of the cluster. */
  system: z.string(),
  segmentSize: z.number().int().positive(),
  start: z.string(),
  end: z.string(),
  tablespaces: z.array(z.object({ oid: z.string().regex(/^\d+$/), path: z.string() })),
  /** When the full backup in it was made; how many parts come after it. */
  fullAt: z.iso.datetime().optional(),
  incrementals: z.number().int().optional(),
})

export type AboutCluster = z.output<typeof about>

export const parseAboutCluster = (bytes: Uint8Array, what: string): AboutCluster =>
  parseDescription(about, bytes, what, 'a PostgreSQL cluster')
