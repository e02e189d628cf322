import {
  type BigIntStats,
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  realpathSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'
import { displayPath, fsPath, isUnder, pathFromBytes } from '../../base/paths.ts'
import type { Libc } from './libc.ts'
import { childrenFit, descriptorPath, openFolder } from './long-path.ts'
import { nameOf, parentOf, unsafe } from './target-paths.ts'
import type { FilesTargetSettings } from './target-settings.ts'

/** A folder below the root that is known to be one, and not a symlink. */
export interface Folder {
  path: string
  parent: Folder | undefined
  /** Made by this restore, so that nothing is in it but what we put there. */
  fresh: boolean
  /** What node:fs is given before a name; valid until the next folder is asked for. See `at`. */
  prefix: string
  /**
   * Reached through an open descriptor, since its path is too long, or since somebody but us could swap a part of the
   * path for a symlink between our looking and our writing.
   */
  byDescriptor: boolean
  fd: number
  /** New items get its group, and new folders this bit. */
  setgid: boolean
  device: bigint
  inode: bigint
}

const MOST_DESCRIPTORS = 64

/** The folders of one restore. In a dry run nothing is made, and missing ones count as fresh. */
export class Folders {
  readonly #settings: FilesTargetSettings
  readonly #libc: Libc | undefined
  readonly #known = new Map<string, Folder>()
  readonly #open: Folder[] = []
  readonly #followed: string[]
  readonly root: Folder

  constructor(settings: FilesTargetSettings, libc: Libc | undefined) {
    this.#settings = settings
    this.#libc = libc
    this.#followed = (settings.inPlace ?? []).map((path) => path.replace(/^\//, ''))
    this.root = this.#openRoot(settings.root, settings.dryRun === true)
    this.#known.set('', this.root)
  }

  /** The folder at `path`, made with all above it as needed. Rejects where a symlink or a file is in the way. */
  ensure(path: string): Folder {
    const known = this.#known.get(path)
    if (known !== undefined) return known
    const parent = this.ensure(parentOf(path))
    const folder = this.#make(path, parent)
    this.#known.set(path, folder)
    return folder
  }

  has(path: string): boolean {
    return this.#known.has(path)
  }

  /** What to put before a name to reach it in `folder`. */
  at(folder: Folder): string {
    if (!folder.byDescriptor || folder.fd !== -1) return folder.prefix
    const { parent } = folder
    if (parent === undefined) throw new AppError('internal.bug', 'the root of a restore is not open')
    const fd = openFolder(fsPath(this.at(parent) + nameOf(folder.path)))
    const stat = fstatSync(fd, { bigint: true })
    if (stat.ino !== folder.inode || stat.dev !== folder.device) {
      closeSync(fd)
      throw unsafe(`${displayPath(folder.path)} was replaced by somebody while it was restored`)
    }
    folder.fd = fd
    folder.prefix = `${descriptorPath(fd)}/`
    this.#open.push(folder)
    if (this.#open.length > MOST_DESCRIPTORS) close(this.#open.shift())
    return folder.prefix
  }

  /** Folders that this restore made. */
  *made(): Generator<Folder> {
    for (const folder of this.#known.values()) if (folder.fresh) yield folder
  }

  close(): void {
    for (const folder of this.#open) close(folder)
    close(this.root)
  }

  #make(path: string, parent: Folder): Folder {
    const at = this.at(parent) + nameOf(path)
    const target = fsPath(at)
    if (this.#settings.dryRun === true) {
      const stat = parent.fresh ? undefined : lstatSync(target, { bigint: true, throwIfNoEntry: false })
      if (stat === undefined) return folderOf(path, parent, at, true, undefined)
      return this.#existing(path, parent, at, stat)
    }
    try {
      mkdirSync(target, 0o700)
    } catch (error) {
      if (errno(error) !== 'EEXIST') throw error
      return this.#existing(path, parent, at, lstatSync(target, { bigint: true }))
    }
    if (!parent.fresh) this.#dropInheritedAcl(target)
    const stat = parent.byDescriptor || !childrenFit(at) ? lstatSync(target, { bigint: true }) : undefined
    return folderOf(path, parent, at, true, stat)
  }

  /** A folder with a default ACL gives it to all that is made in it; the backup's own comes later. */
  #dropInheritedAcl(target: string | Buffer): void {
    this.#libc?.removeXattr(target, 'system.posix_acl_default')
    this.#libc?.removeXattr(target, 'system.posix_acl_access')
  }

  #existing(path: string, parent: Folder, at: string, stat: BigIntStats): Folder {
    if (stat.isDirectory()) return folderOf(path, parent, at, false, stat)
    const shown = displayPath(path)
    if (stat.isSymbolicLink()) {
      // Whatever is in a folder of ours came from this backup: a link and things below it, under one name.
      if (parent.fresh) throw unsafe(`the backup has both a symlink ${shown} and items below it`)
      if (this.#followed.some((root) => root !== path && isUnder(root, path))) return followed(path, parent, at)
    }
    const { overwrite } = this.#settings
    if (overwrite !== 'always' && overwrite !== 'if-changed') {
      throw new AppError(
        stat.isSymbolicLink() ? 'restore.unsafe' : 'restore.exists',
        `${shown} is ${stat.isSymbolicLink() ? 'a symlink' : 'not a folder'} here, but a folder in the backup`,
        { hint: 'Remove it, or say --overwrite always to have it replaced.', details: { local: true } },
      )
    }
    if (this.#settings.dryRun === true) return folderOf(path, parent, at, true, undefined)
    unlinkSync(fsPath(at))
    return this.#make(path, parent)
  }

  #openRoot(root: string, dryRun: boolean): Folder {
    try {
      if (!dryRun) mkdirSync(root, { recursive: true })
      const stat = statSync(root, { bigint: true, throwIfNoEntry: false })
      if (stat === undefined) return folderOf('', undefined, root, true, undefined)
      if (!stat.isDirectory()) throw new AppError('restore.exists', `${root} is not a folder`)
      const real = realpathSync(root)
      const folder = folderOf('', undefined, real, false, stat)
      if (!ancestors(real).some((path) => isExposed(lstatSync(path, { bigint: true }))) && childrenFit(real))
        return folder
      const fd = openFolder(real)
      return { ...folder, byDescriptor: true, fd, prefix: `${descriptorPath(fd)}/` }
    } catch (error) {
      if (error instanceof AppError) throw error
      throw new AppError('target.denied', `cannot write below ${root}: ${errno(error) ?? String(error)}`, {
        cause: error,
      })
    }
  }
}

function folderOf(
  path: string,
  parent: Folder | undefined,
  at: string,
  fresh: boolean,
  stat: BigIntStats | undefined,
): Folder {
  return {
    path,
    parent,
    fresh,
    prefix: at.endsWith('/') ? at : `${at}/`,
    byDescriptor:
      stat !== undefined &&
      parent !== undefined &&
      (parent.byDescriptor || (!fresh && isExposed(stat)) || !childrenFit(at)),
    fd: -1,
    // A folder that we made has it from its parent.
    setgid: stat === undefined || fresh ? (parent?.setgid ?? true) : (stat.mode & 0o2000n) !== 0n,
    device: stat?.dev ?? 0n,
    inode: stat?.ino ?? 0n,
  }
}

function followed(path: string, parent: Folder, at: string): Folder {
  const real = pathFromBytes(realpathSync(fsPath(at), { encoding: 'buffer' }))
  const stat = statSync(fsPath(real), { bigint: true })
  if (!stat.isDirectory()) throw unsafe(`${displayPath(path)} is a symlink here, and not to a folder`)
  return { ...folderOf(path, parent, real, false, undefined), device: stat.dev, inode: stat.ino }
}

/** Whether somebody but root can rename what is in the folder, while root restores into it. */
const isExposed = (stat: BigIntStats): boolean =>
  process.getuid?.() === 0 && (stat.uid !== 0n || ((stat.mode & 0o022n) !== 0n && (stat.mode & 0o1000n) === 0n))

function ancestors(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [path, ...ancestors(above)]
}

function close(folder: Folder | undefined): void {
  if (folder === undefined || folder.fd === -1) return
  closeSync(folder.fd)
  folder.fd = -1
}
