import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { fsPath, isUnder, pathFromLatin1 } from '../../base/paths.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { kindOfMode, timestampOf } from './stat-entry.ts'
import type { Folders } from './target-folders.ts'
import { nameOf, parentOf } from './target-paths.ts'

/** The names that the backup has in each folder; what else is there goes in delete mode. */
export class Extras {
  readonly #roots: readonly string[]
  readonly #names = new Map<string, Set<string>>()

  /** `roots`: paths in the target that are restored whole. */
  constructor(roots: readonly string[]) {
    this.#roots = roots
  }

  /** Notes an item of the backup. */
  add(path: string, folder: boolean): void {
    if (!this.#roots.some((root) => isUnder(path, root))) return
    if (folder && !this.#names.has(path)) this.#names.set(path, new Set())
    if (path !== '') this.#names.get(parentOf(path))?.add(nameOf(path))
  }

  /** Removes what the backup does not have. Never leaves the file system of a folder, nor follows a symlink. */
  remove(folders: Folders, dryRun: boolean, warn: ReportWarning, deleted: (entry: RestoredEntry) => void): void {
    for (const [path, wanted] of this.#names) {
      const folder = folders.ensure(path)
      if (folder.fresh) continue
      const at = folders.at(folder)
      for (const name of readdirSync(fsPath(at), { encoding: 'latin1' }).map(pathFromLatin1)) {
        if (wanted.has(name)) continue
        const entry = entryOf(at + name, path === '' ? name : `${path}/${name}`)
        try {
          if (!dryRun) removeAll(at + name, deviceOf(at))
          deleted(entry)
        } catch (error) {
          warn({ code: 'failed', message: `cannot delete ${entry.path}: ${String(error)}`, path: entry.path })
        }
      }
    }
  }
}

const deviceOf = (at: string): bigint => lstatSync(fsPath(`${at}.`), { bigint: true }).dev

function removeAll(at: string, device: bigint): void {
  const stat = lstatSync(fsPath(at), { bigint: true })
  if (!stat.isDirectory()) {
    unlinkSync(fsPath(at))
    return
  }
  if (stat.dev !== device) throw new Error('it is another file system')
  for (const name of readdirSync(fsPath(at), { encoding: 'latin1' })) removeAll(`${at}/${pathFromLatin1(name)}`, device)
  rmdirSync(fsPath(at))
}

function entryOf(at: string, path: string): RestoredEntry {
  const stat = lstatSync(fsPath(at), { bigint: true })
  const mode = Number(stat.mode)
  const kind = kindOfMode(mode)
  return {
    path,
    kind,
    mode: mode & 0o7777,
    mtime: timestampOf(stat.mtimeNs),
    size: kind === 'file' ? Number(stat.size) : 0,
  }
}
