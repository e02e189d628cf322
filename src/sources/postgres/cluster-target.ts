/** A folder that becomes a cluster: tars unpacked, tablespaces beside it, nothing started. */
import { createHash } from 'node:crypto'
import { chownSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { syncFolder } from '../../base/folders.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { bytesOf, noOutcome } from '../restored.ts'
import { applyPart } from './cluster-combine.ts'
import { ABOUT_CLUSTER, parseAboutCluster, partOfManifest, pieceOfTar, type AboutCluster } from './physical-layout.ts'
import { unpacking, type Unpacking } from './tar-unpack.ts'

export interface ClusterTargetSettings {
  folder: string
  /** Where tablespaces go, by their number or their old path; beside the folder where absent. */
  tablespaces?: Record<string, string>
  /** Who owns what is made. */
  owner?: { uid: number; gid: number }
  dryRun?: boolean
}

export function clusterTarget(settings: ClusterTargetSettings): Target & { about(): AboutCluster } {
  let about: AboutCluster | undefined
  const isFile = ({ kind }: Entry): boolean => kind === 'file'
  return {
    name: settings.folder,
    rounds: [
      (entry) => isFile(entry) && entry.path === ABOUT_CLUSTER,
      (entry) => isFile(entry) && pieceOfTar(entry.path)?.part === 0,
      (entry) => isFile(entry) && ((pieceOfTar(entry.path)?.part ?? 0) > 0 || partOfManifest(entry.path) !== undefined),
    ],
    async check() {
      refuseWhatIsThere(settings)
    },
    write: async (entries, options) => {
      refuseWhatIsThere(settings)
      return write(settings, entries, options, (found) => (about = found))
    },
    about() {
      if (about === undefined) throw new AppError('backup.damaged', `the backup has no ${ABOUT_CLUSTER}`)
      return about
    },
  }
}

function refuseWhatIsThere({ folder, dryRun }: ClusterTargetSettings): void {
  if (dryRun === true || !existsSync(folder)) return
  if (readdirSync(folder).length > 0) throw new AppError('restore.exists', `${folder} is not empty`)
}

export const tablespaceFolder = (
  { folder, tablespaces = {} }: Pick<ClusterTargetSettings, 'folder' | 'tablespaces'>,
  { oid, path }: { oid: string; path: string },
): string => resolve(tablespaces[oid] ?? tablespaces[path] ?? `${resolve(folder)}.tablespaces/${oid}`)

async function write(
  settings: ClusterTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
  know: (about: AboutCluster) => void,
): Promise<RestoreOutcome> {
  const { folder, dryRun } = settings
  const outcome = noOutcome()
  let about: AboutCluster | undefined
  const parts = new Map<number, Part>()
  const partOf = (number: number): Part => {
    const part = parts.get(number) ?? { sums: new Map(), tars: new Map() }
    parts.set(number, part)
    return part
  }
  try {
    for await (const entry of entries) {
      throwIfAborted(options.signal)
      const piece = pieceOfTar(entry.path)
      const manifestOf = partOfManifest(entry.path)
      if (entry.path === ABOUT_CLUSTER) {
        about = parseAboutCluster(await bytesOf(entry), entry.path)
        know(about)
        if (dryRun !== true) prepare(settings, about)
      } else if (manifestOf !== undefined) partOf(manifestOf).manifest = Buffer.from(await bytesOf(entry))
      else if (piece !== undefined) {
        if (about === undefined) throw new AppError('backup.damaged', `the backup has no ${ABOUT_CLUSTER}`)
        outcome.bytes += entry.size
        if (dryRun === true) continue
        const { sums, tars } = partOf(piece.part)
        const key = piece.oid ?? ''
        let tar = tars.get(key)
        if (tar === undefined) {
          const root = rootOf(settings, about, piece)
          makeFolder(root, settings)
          tar = unpacking({
            root,
            prefix: piece.oid === undefined ? '' : `pg_tblspc/${piece.oid}/`,
            sums,
            makeFolder: (path) => makeFolder(path, settings),
            ...(settings.owner && { owner: settings.owner }),
          })
          tars.set(key, tar)
        }
        const bytes = Buffer.from(await bytesOf(entry))
        tar.take(piece, bytes)
        options.onBytes?.(bytes.length)
        options.onEntry?.(entry, 'create')
      }
    }
    if (about === undefined) throw new AppError('backup.damaged', `the backup has no ${ABOUT_CLUSTER}`)
    if (dryRun !== true) {
      options.onStep?.('comparing every file with the manifest of the server')
      for (let number = 0; number <= (about.incrementals ?? 0); number += 1) {
        const { tars, sums, manifest } = partOf(number)
        for (const tar of tars.values()) {
          tar.end()
          outcome.files += tar.files()
        }
        if (!tars.has('')) throw new AppError('backup.damaged', 'the backup has no data folder')
        if (manifest === undefined) throw new AppError('backup.damaged', 'the backup has no manifest')
        compareManifest(manifest, sums)
      }
      for (let number = 1; number <= (about.incrementals ?? 0); number += 1) {
        options.onStep?.(`applying the blocks that changed: ${number} of ${about.incrementals}`)
        for (const oid of [undefined, ...about.tablespaces.map((one) => one.oid)])
          applyPart(rootOf(settings, about, { part: number, oid }), rootOf(settings, about, { part: 0, oid }))
      }
      mapTablespaces(settings, about)
      syncFolder(folder)
    }
    outcome.effects.create += outcome.files
    return outcome
  } catch (error) {
    if (errno(error) === 'ENOSPC') throw new AppError('target.full', 'no space for the cluster', { cause: error })
    throw error
  } finally {
    if (about !== undefined)
      for (let number = 1; number <= (about.incrementals ?? 0); number += 1)
        for (const oid of [undefined, ...about.tablespaces.map((one) => one.oid)])
          rmSync(rootOf(settings, about, { part: number, oid }), { recursive: true, force: true })
  }
}

interface Part {
  sums: Map<string, string>
  tars: Map<string, Unpacking>
  manifest?: Buffer
}

/** Where a tar is unpacked: what changed since lies beside until it is applied. */
function rootOf(
  settings: ClusterTargetSettings,
  about: AboutCluster,
  { part, oid }: { part: number; oid: string | undefined },
): string {
  const tablespace = about.tablespaces.find((one) => one.oid === oid)
  if (oid !== undefined && tablespace === undefined)
    throw new AppError('backup.damaged', `tablespace ${oid} is not described`)
  const root = tablespace === undefined ? resolve(settings.folder) : tablespaceFolder(settings, tablespace)
  return part === 0 ? root : `${root}.incremental-${part}`
}

function prepare(settings: ClusterTargetSettings, about: AboutCluster): void {
  for (const folder of [settings.folder, ...about.tablespaces.map((one) => tablespaceFolder(settings, one))]) {
    if (folder !== settings.folder && existsSync(folder) && readdirSync(folder).length > 0)
      throw new AppError('restore.exists', `${folder} is not empty`)
    makeFolder(folder, settings)
  }
}

function makeFolder(path: string, { owner }: ClusterTargetSettings): void {
  try {
    const made = mkdirSync(path, { recursive: true, mode: 0o700 })
    if (owner !== undefined) {
      chownSync(path, owner.uid, owner.gid)
      for (let at = path; made !== undefined && at !== made; at = dirname(at))
        chownSync(dirname(at), owner.uid, owner.gid)
    }
  } catch (cause) {
    throw new AppError('target.denied', `${path} cannot be made: ${errno(cause)}`, { cause })
  }
}

/** The manifest is the server's word on what it sent. */
function compareManifest(bytes: Buffer, sums: ReadonlyMap<string, string>): void {
  const damaged = (why: string): AppError =>
    new AppError('backup.damaged', `the cluster is not what the server sent: ${why}`)
  const text = bytes.toString('utf8')
  const own = /"Manifest-Checksum": "([0-9a-f]{64})"\}\s*$/.exec(text)
  const upTo = text.lastIndexOf('"Manifest-Checksum"')
  if (
    own === null ||
    createHash('sha256')
      .update(Buffer.from(text.slice(0, upTo)))
      .digest('hex') !== own[1]
  )
    throw damaged('the sum of its manifest is wrong')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('backup.damaged', 'the manifest of the server cannot be read', { cause })
  }
  const files: unknown = typeof value === 'object' && value !== null && 'Files' in value ? value.Files : undefined
  if (!Array.isArray(files)) throw damaged('its manifest names no files')
  for (const file of files as unknown[]) {
    if (typeof file !== 'object' || file === null) continue
    const { Path: path, 'Encoded-Path': encoded, Checksum: sum } = file as Record<string, unknown>
    const name =
      typeof path === 'string' ? path : typeof encoded === 'string' ? Buffer.from(encoded, 'hex').toString() : ''
    const got = sums.get(name)
    if (got === undefined) throw damaged(`${name} is missing`)
    if (got !== sum) throw damaged(`${name} has other bytes`)
  }
}

/** The map that came is for the old place; the server makes its links anew from it when it starts. */
function mapTablespaces(settings: ClusterTargetSettings, about: AboutCluster): void {
  if (about.tablespaces.length === 0) return
  const lines = about.tablespaces.map(
    (one) => `${one.oid} ${tablespaceFolder(settings, one).replaceAll(/[\\\n\r]/g, String.raw`\$&`)}\n`,
  )
  const path = join(settings.folder, 'tablespace_map')
  writeFileSync(path, lines.join(''), { mode: 0o600 })
  if (settings.owner !== undefined) chownSync(path, settings.owner.uid, settings.owner.gid)
  for (const one of about.tablespaces) {
    const link = join(settings.folder, 'pg_tblspc', one.oid)
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(tablespaceFolder(settings, one), link)
  }
}
