import { type BigIntStats, closeSync, lstatSync, renameSync, rmdirSync, statfsSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { displayPath, fsPath } from '../../base/paths.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { ReportWarning } from '../../model/progress.ts'
import type { RestoreEffect } from '../../model/source.ts'
import type { Libc } from './libc.ts'
import { childrenFit } from './long-path.ts'
import { contentOf, ContentWriter, createFile, sameBytes, smallContent } from './target-content.ts'
import { decide, type Decision } from './target-decide.ts'
import { type Folder, Folders } from './target-folders.ts'
import { type Already, Metadata } from './target-metadata.ts'
import { nameOf, parentOf, targetPath } from './target-paths.ts'
import type { FilesTargetSettings } from './target-settings.ts'
import { makeHardlink, makeSpecial } from './target-special.ts'

/** Contents up to this size are taken into memory whole, and checked, before anything is written. */
const SMALL = 512 * 1024
/** Files from this size on are only begun when there is room for them. */
const LARGE = 16 * 1024 * 1024

export interface ItemEvents {
  warn: ReportWarning
  signal: AbortSignal | undefined
  done: (entry: RestoredEntry, effect: RestoreEffect) => void
  failed: (entry: RestoredEntry, error: unknown) => void
  /** The same for who must not throw. */
  failedLater: (entry: RestoredEntry, error: unknown) => void
  onBytes: (bytes: number) => void
}

interface Place {
  folder: Folder
  name: string
  /** What node:fs takes for the item itself. */
  at: string | Buffer
  exists: BigIntStats | undefined
  decision: Decision | undefined
}

/** Puts single items in place: each is whole and under its name, or not there. */
export class Items {
  readonly #settings: FilesTargetSettings
  readonly #libc: Libc | undefined
  readonly #events: ItemEvents
  readonly #metadata: Metadata
  readonly #privileged: boolean
  readonly #token = Math.random().toString(36).slice(2, 10)
  /** Folders whose metadata comes at the end, by their path in the target. */
  readonly #folderEntries = new Map<string, RestoredEntry>()
  /** Hardlinks, made when every first name is there. */
  readonly #links: { path: string; entry: RestoredEntry }[] = []
  /** First names of files with several names that this restore put or found in place. */
  readonly #firstNames = new Set<string>()
  /** Files that the vault is about to put in place. */
  readonly #coming = new Set<string>()
  #temporary = 0
  readonly folders: Folders

  constructor(settings: FilesTargetSettings, libc: Libc | undefined, events: ItemEvents) {
    this.#settings = settings
    this.#libc = libc
    this.#events = events
    const isRoot = process.getuid?.() === 0
    const ownership = settings.ownership ?? isRoot
    this.#privileged = ownership && isRoot
    this.#metadata = new Metadata({ libc, ownership, warn: events.warn })
    this.folders = new Folders(settings, libc)
  }

  /** A promise only where content has to be waited for. */
  write(path: string, entry: RestoredEntry): Promise<void> | undefined {
    if (entry.kind === 'directory') this.#folder(path, entry)
    else if (path === '') return this.write(nameOf(entry.path), entry)
    else if (entry.kind === 'file') {
      if (entry.hardlink !== undefined && !(entry.open !== undefined && !this.#isFirstName(entry.hardlink)))
        this.#links.push({ path, entry })
      else return this.#file(path, entry)
    } else this.#special(path, entry)
    return undefined
  }

  /** Makes the hardlinks. */
  finish(): void {
    for (const { path, entry } of this.#links) {
      try {
        this.#hardlink(path, entry)
      } catch (error) {
        this.#events.failed(entry, error)
      }
    }
  }

  /** Gives folders what they said about themselves, the deepest first: filling one changes its time. */
  finishFolders(): void {
    if (this.#settings.dryRun === true) return
    const mode = 0o777 & ~process.umask()
    for (const folder of this.folders.made()) {
      if (this.#folderEntries.has(folder.path)) continue
      this.#folderEntries.set(folder.path, { path: folder.path, kind: 'directory', mode, mtime: now(), size: 0 })
    }
    const deepestFirst = [...this.#folderEntries].sort(([a], [b]) => depth(b) - depth(a))
    for (const [path, entry] of deepestFirst) {
      const folder = this.folders.ensure(path)
      const at = path === '' ? this.folders.at(folder) : this.folders.at(folder.parent ?? folder) + nameOf(path)
      this.#metadata.apply(entry, fsPath(at), undefined)
    }
  }

  close(): void {
    this.folders.close()
  }

  #folder(path: string, entry: RestoredEntry): void {
    if (path === '') return
    if (this.#coming.has(path)) throw twice(undefined, entry)
    const folder = this.folders.ensure(path)
    const { overwrite } = this.#settings
    const untouched = !folder.fresh && (overwrite === undefined || overwrite === 'never')
    if (untouched) {
      this.#events.done(entry, 'keep')
      return
    }
    this.#folderEntries.set(path, { ...entry, open: undefined })
    this.#events.done(entry, folder.fresh ? 'create' : 'metadata')
  }

  async #file(path: string, entry: RestoredEntry): Promise<void> {
    const place = this.#place(path, entry)
    if ((entry.links ?? 1) > 1) this.#firstNames.add(path)
    if (this.#settled(place, entry)) return
    if (this.#settings.dryRun === true) {
      this.#events.onBytes(entry.size)
      this.#events.done(entry, place.exists === undefined ? 'create' : 'replace')
      return
    }
    const sparse = entry.sparse === true || this.#settings.sparse === true
    if (entry.deliver !== undefined && place.decision !== 'compare' && !place.folder.byDescriptor) {
      if (entry.size >= LARGE && !sparse) this.#refuseWithoutRoom(place, entry)
      this.#deliver(place, entry, path, sparse)
      return
    }
    const options = { signal: this.#events.signal, onBytes: this.#events.onBytes }
    if (entry.size <= SMALL) {
      const chunks = await smallContent(entry, options)
      this.#fill(place, entry, (fd) => {
        const writer = new ContentWriter(fd, sparse)
        for (const chunk of chunks) writer.write(chunk)
        writer.end()
      })
      return
    }
    if (entry.size >= LARGE && !sparse) this.#refuseWithoutRoom(place, entry)
    await this.#fillSlowly(place, entry, sparse, options)
  }

  /** By the vault itself. It may take long, so that the path must mean the same then: not for folders reached by descriptor. */
  #deliver(place: Place, entry: RestoredEntry, path: string, sparse: boolean): void {
    const { fresh } = place.folder
    const temporary = fresh && entry.size <= SMALL ? place.at : this.#temporaryName(place)
    const given = this.#given(place, entry)
    this.#coming.add(path)
    entry.deliver?.({ path: temporary, mode: given.mode ? entry.mode & 0o777 : 0o600, sparse }, (failure) => {
      this.#coming.delete(path)
      try {
        if (failure !== undefined) throw twice(failure, entry)
        this.#finishDelivered(place, entry, temporary, given)
      } catch (error) {
        this.#events.failedLater(entry, error)
      }
    })
  }

  #finishDelivered(place: Place, entry: RestoredEntry, temporary: string | Buffer, given: Already): void {
    try {
      if (temporary !== place.at && place.folder.fresh && lstatSync(place.at, { throwIfNoEntry: false }) !== undefined)
        throw twice(undefined, entry)
      this.#finishFile(place, entry, temporary, undefined, given)
      this.#events.onBytes(entry.size)
    } catch (error) {
      unlinkQuietly(temporary)
      throw error
    }
  }

  /** Nothing but an owner, a group, a mask or a default ACL of the folder changes what a new file gets. */
  #given({ folder }: Place, entry: RestoredEntry): Already {
    return folder.fresh && !folder.setgid ? this.#metadata.givenByCreation(entry) : { owner: false, mode: false }
  }

  /** Keeps or only touches up what exists, where that is decided. */
  #settled(place: Place, entry: RestoredEntry): boolean {
    if (place.decision === 'keep') {
      this.#events.done(entry, 'keep')
      return true
    }
    if (place.decision !== 'same' || place.exists === undefined) return false
    const unchanged = this.#metadata.matches(entry, place.exists)
    if (!unchanged && this.#settings.dryRun !== true) this.#metadata.apply(entry, place.at, undefined)
    this.#events.done(entry, unchanged ? 'unchanged' : 'metadata')
    return true
  }

  #place(path: string, entry: RestoredEntry): Place {
    // It would take the place of a folder that counts as looked at.
    if (this.folders.has(path) || this.#coming.has(path)) throw twice(undefined, entry)
    const folder = this.folders.ensure(parentOf(path))
    const name = nameOf(path)
    const at = fsPath(this.folders.at(folder) + name)
    // In a folder of ours nothing can be, unless the backup has a name twice: then making it fails, and we look.
    const exists = folder.fresh ? undefined : lstatSync(at, { bigint: true, throwIfNoEntry: false })
    const decision = exists && decide(entry, exists, at, this.#settings.overwrite, this.#libc !== undefined)
    return { folder, name, at, exists, decision }
  }

  /** Writes a file that is in memory already. In a folder of ours it needs no other name first. */
  #fill(place: Place, entry: RestoredEntry, fill: (fd: number) => void): void {
    const temporary = place.folder.fresh ? place.at : this.#temporaryName(place)
    let fd: number
    const given = this.#given(place, entry)
    try {
      fd = createFile(temporary, given.mode ? entry.mode & 0o777 : 0o600)
    } catch (error) {
      throw twice(error, entry)
    }
    try {
      fill(fd)
      this.#finishFile(place, entry, temporary, fd, given)
    } catch (error) {
      unlinkQuietly(temporary)
      throw error
    } finally {
      closeSync(fd)
    }
  }

  async #fillSlowly(
    place: Place,
    entry: RestoredEntry,
    sparse: boolean,
    options: Parameters<typeof contentOf>[1],
  ): Promise<void> {
    const { folder } = place
    const temporary = this.#temporaryName(place)
    const fd = createFile(temporary)
    // Nobody else uses the folders while we wait, so that the descriptor behind the name stays.
    try {
      const writer = new ContentWriter(fd, sparse)
      for await (const chunk of contentOf(entry, options)) writer.write(chunk)
      writer.end()
      if (folder.fresh && lstatSync(place.at, { throwIfNoEntry: false }) !== undefined) throw twice(undefined, entry)
      this.#finishFile(place, entry, temporary, fd)
    } catch (error) {
      unlinkQuietly(temporary)
      throw error
    } finally {
      closeSync(fd)
    }
  }

  #finishFile(
    place: Place,
    entry: RestoredEntry,
    temporary: string | Buffer,
    fd: number | undefined,
    given?: Already,
  ): void {
    if (place.decision === 'compare' && fd !== undefined && sameBytes(place.at, fd)) {
      unlinkQuietly(temporary)
      this.#metadata.apply(entry, place.at, undefined)
      this.#events.done(entry, 'metadata')
      return
    }
    if (!place.folder.fresh) this.#metadata.dropInheritedAcl(entry, temporary)
    this.#metadata.apply(entry, temporary, fd, given)
    if (temporary !== place.at) this.#moveInto(place, temporary)
    this.#events.done(entry, place.exists === undefined ? 'create' : 'replace')
  }

  #special(path: string, entry: RestoredEntry): void {
    const { dryRun } = this.#settings
    const device = entry.kind === 'chardev' || entry.kind === 'blockdev'
    if (entry.kind === 'socket' || (device && !this.#privileged)) {
      const why = device ? 'devices are made by root only, and with owners' : 'sockets are not restored'
      this.#events.warn({ code: 'skipped', message: `${displayPath(entry.path)}: ${why}`, path: entry.path })
      return
    }
    const place = this.#place(path, entry)
    if (this.#settled(place, entry)) return
    if (dryRun !== true) {
      const temporary = place.folder.fresh ? place.at : this.#temporaryName(place)
      try {
        makeSpecial(entry, temporary, this.#libc)
      } catch (error) {
        throw twice(error, entry)
      }
      this.#metadata.apply(entry, temporary, undefined)
      if (temporary !== place.at) this.#moveInto(place, temporary)
    }
    this.#events.done(entry, place.exists === undefined ? 'create' : 'replace')
  }

  #hardlink(path: string, entry: RestoredEntry): void {
    const first = this.#firstPath(entry.hardlink ?? '')
    if (first === undefined || !this.#firstNames.has(first))
      throw new AppError(
        'restore.failed',
        `${displayPath(entry.path)} is another name of ${displayPath(entry.hardlink ?? '')}, which is not restored here`,
      )
    const existing = fsPath(this.folders.at(this.folders.ensure(parentOf(first))) + nameOf(first))
    const place = this.#place(path, entry)
    if (place.decision === 'keep') {
      this.#events.done(entry, 'keep')
      return
    }
    if (this.#settings.dryRun !== true) {
      const source = lstatSync(existing, { bigint: true })
      if (!source.isFile()) throw new AppError('restore.failed', `${displayPath(first)} is no file to link to`)
      if (source.ino === place.exists?.ino && source.dev === place.exists.dev) {
        this.#events.done(entry, 'unchanged')
        return
      }
      const temporary = this.#temporaryName(place)
      makeHardlink(existing, temporary)
      this.#moveInto(place, temporary)
    }
    this.#events.done(entry, place.exists === undefined ? 'create' : 'replace')
  }

  #firstPath(entryPath: string): string | undefined {
    return targetPath(entryPath, this.#settings.strip ?? '')
  }

  #isFirstName(entryPath: string): boolean {
    const path = this.#firstPath(entryPath)
    return path !== undefined && this.#firstNames.has(path)
  }

  #moveInto(place: Place, temporary: string | Buffer): void {
    try {
      // An empty folder gives way to what the backup has there; a full one stays.
      if (place.exists?.isDirectory() === true) rmdirSync(place.at)
      renameSync(temporary, place.at)
    } catch (error) {
      unlinkQuietly(temporary)
      throw error
    }
  }

  /** A name in the same folder that nothing has. */
  #temporaryName({ folder, name }: Place): string | Buffer {
    this.#temporary += 1
    const shown = childrenFit(name) && name.length < 60 ? name : 'item'
    return fsPath(`${this.folders.at(folder)}.${shown}.holdfast-${this.#token}${this.#temporary}`)
  }

  #refuseWithoutRoom({ folder }: Place, entry: RestoredEntry): void {
    const free = freeBytes(this.folders.at(folder))
    if (free !== undefined && free < entry.size)
      throw new AppError('target.full', `no room for the ${entry.size} bytes of ${displayPath(entry.path)}`)
  }
}

/** Bytes that we may use on the file system of a path, or of the nearest folder above that exists. */
export function freeBytes(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize
  } catch (error) {
    const above = dirname(path)
    return errno(error) === 'ENOENT' && above !== path ? freeBytes(above) : undefined
  }
}

const now = (): { s: number; ns: number } => {
  const ms = Date.now()
  return { s: Math.floor(ms / 1000), ns: (ms % 1000) * 1e6 }
}

const depth = (path: string): number => (path === '' ? 0 : path.split('/').length)

const twice = (error: unknown, entry: RestoredEntry): unknown =>
  error === undefined || errno(error) === 'EEXIST'
    ? new AppError('restore.unsafe', `the backup has ${displayPath(entry.path)} twice`)
    : error

function unlinkQuietly(at: string | Buffer): void {
  try {
    unlinkSync(at)
  } catch {
    // It is gone already, or nobody may remove it; the first error tells.
  }
}
