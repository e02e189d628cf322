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

const TAR = /^(?:base|\d{4}-(\d+))\.tar\.d\/(\d{7,})(?:\+(\d+))?$/

/** `0000012`; `0000014+2` goes on with the file that piece 12 begins with. Vaults give pieces back in any order. */
export const tarPiece = (index: number, since: number): string =>
  `${String(index).padStart(7, '0')}${since === 0 ? '' : `+${since}`}`

/** Which tablespace a piece belongs to, none for the data folder; undefined for what is no piece. */
export function pieceOfTar(path: string): { oid: string | undefined; index: number; since: number } | undefined {
  const found = TAR.exec(path)
  return found === null ? undefined : { oid: found[1], index: Number(found[2]), since: Number(found[3] ?? 0) }
}

const about = z.object({
  holdfast: z.literal('postgres-physical'),
  version: z.literal(1),
  serverVersion: z.number().int(),
  /** The system identifier of the cluster. */
  system: z.string(),
  segmentSize: z.number().int().positive(),
  start: z.string(),
  end: z.string(),
  tablespaces: z.array(z.object({ oid: z.string().regex(/^\d+$/), path: z.string() })),
})

export type AboutCluster = z.output<typeof about>

export const parseAboutCluster = (bytes: Uint8Array, what: string): AboutCluster =>
  parseDescription(about, bytes, what, 'a PostgreSQL cluster')
