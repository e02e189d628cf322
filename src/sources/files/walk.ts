import { closeSync, lstatSync, readdirSync, readlinkSync, statSync, type BigIntStats } from 'node:fs'
import { errno } from '../../base/errors.ts'
import { displayPath, pathFromBytes, pathFromLatin1, pathToBytes } from '../../base/paths.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { ReportWarning } from '../../model/progress.ts'
import { EntryMaker } from './entry-maker.ts'
import { Exclusion, type FolderRules } from './exclusion.ts'
import { childrenFit, descriptorPath, openFolder } from './long-path.ts'
import type { LookAhead, Seen } from './look-ahead.ts'
import type { RootNode } from './roots.ts'
import { databasesIn, type Databases } from './sqlite-siblings.ts'
import { type FileStat, kindOfMode } from './stat-entry.ts'

export interface WalkSettings {
  warn: ReportWarning
  exclusion: Exclusion
  maker: EntryMaker
  /** Look for SQLite databases that are in use. */
  sqlite: boolean
  /** Asked for each folder. */
  ahead?: () => LookAhead | undefined
  /** Folders that are never entered, by `identityOf`. */
  leaveOut?: ReadonlySet<string>
}

/** A folder under any of its names. */
export const identityOf = ({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>): string => `${dev}:${ino}`

/** A folder on the way down: what is in it, and how far we are. */
interface Frame {
  /** Entry path with a `/` behind it; '' for the root of the file system. */
  prefix: string
  /** What node:fs is given before a name: the same with a `/` in front, or an open descriptor where that is too long. */
  at: string
  fd: number
  /** The bytes of names, one char a byte, sorted. */
  names: string[]
  /** What was seen of them before, by their numbers. */
  seen: Seen | undefined
  next: number
  /** Undefined in a folder that only leads to a root: nothing else in it is taken. */
  rules: FolderRules | undefined
  /** Roots further down. */
  node: RootNode | undefined
  databases: Databases | undefined
  /** The folder's own entry, until something in it is wanted: see FolderRules.pending. */
  pending: SourceEntry | undefined
}

const EXISTING_ESCAPE = /[\udc80-\udcff]/

/** Every entry below the roots, and the folders that lead to them, in the order of `comparePaths`. */
export class Walk {
  readonly #settings: WalkSettings
  readonly #stack: Frame[] = []

  constructor(settings: WalkSettings) {
    this.#settings = settings
  }

  *entries(top: RootNode): Generator<SourceEntry, void> {
    const stack = this.#stack
    try {
      this.#enterTop(top)
      for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
        const name = frame.names[frame.next]
        if (name === undefined) {
          this.#leave()
          continue
        }
        frame.next += 1
        const entry = this.#visit(frame, name)
        if (entry === undefined) continue
        if (this.#settings.exclusion.mayHoldBack) yield* this.#heldBack()
        yield entry
      }
    } finally {
      while (stack.length > 0) this.#leave()
    }
  }

  /** The folders above that were only of use if something in them is wanted, as it now is. */
  *#heldBack(): Generator<SourceEntry, void> {
    for (const above of this.#stack) {
      if (above.pending === undefined) continue
      const folder = above.pending
      above.pending = undefined
      yield folder
    }
  }

  #visit(frame: Frame, latin1: string): SourceEntry | undefined {
    const { warn, exclusion, maker } = this.#settings
    const name = pathFromLatin1(latin1)
    const path = frame.prefix + name
    const at = fsName(frame.at + name)
    const node = frame.node?.children.get(name)
    const { rules } = frame
    let stat: FileStat
    try {
      stat = frame.seen?.stat(frame.next - 1) ?? lstatSync(at, { bigint: true })
      // A symlink on the way to a root is passed through as the folder that it leads to.
      if (node?.root === false && kindOfMode(Number(stat.mode)) === 'symlink') stat = statSync(at, { bigint: true })
    } catch (error) {
      this.#warnUnreadable(path, error)
      return undefined
    }
    const mode = Number(stat.mode)
    const isFolder = (mode & 0o170000) === 0o040000
    if (node?.root === true) {
      if (!isFolder) return this.#rootItem(path, at, mode, stat)
      const entry = maker.make(path, at, 'directory', mode, stat)
      this.#enter(frame, path, at, exclusion.ofRoot(path, stat.dev), node, undefined)
      return entry
    }
    if (node !== undefined) return this.#visitOnTheWay(frame, path, at, mode, stat, node)
    if (rules === undefined) return undefined
    if (frame.databases?.skip.has(latin1) === true) return undefined
    if (rules.active && exclusion.leavesOut(rules, path, name, isFolder, stat)) return undefined
    if (isFolder) return this.#visitFolder(frame, rules, path, at, mode, stat)
    const kind = kindOfMode(mode)
    if (kind === 'socket') {
      warn({ code: 'note', message: `${displayPath(`/${path}`)} is a socket: not in the backup`, path })
      return undefined
    }
    const live = frame.databases?.live.get(latin1)
    if (live === undefined) return maker.make(path, at, kind, mode, stat)
    const entry = maker.make(path, at, kind, mode, live(stat))
    // What is in the WAL comes on top.
    entry.sizeUnknown = true
    return entry
  }

  #rootItem(path: string, at: string | Buffer, mode: number, stat: FileStat): SourceEntry | undefined {
    const kind = kindOfMode(mode)
    if (kind === 'symlink') {
      const target = displayPath(pathFromBytes(readlinkSync(at, { encoding: 'buffer' })))
      this.#settings.warn({
        code: 'skipped',
        message: `${displayPath(`/${path}`)} is a symlink: the link is in the backup, but not what it points to (${target}); name that too to back it up`,
        path,
      })
    }
    return kind === 'socket' ? undefined : this.#settings.maker.make(path, at, kind, mode, stat)
  }

  /** A folder between two roots, or above the first. It is kept even where the rules of the outer root leave it out. */
  #visitOnTheWay(
    frame: Frame,
    path: string,
    at: string | Buffer,
    mode: number,
    stat: FileStat,
    node: RootNode,
  ): SourceEntry | undefined {
    const { maker, exclusion } = this.#settings
    if ((mode & 0o170000) !== 0o040000) return undefined
    const name = path.slice(frame.prefix.length)
    const taken = frame.rules !== undefined && !exclusion.leavesOut(frame.rules, path, name, true, stat)
    const rules = taken && frame.rules !== undefined ? exclusion.below(frame.rules, path, stat) : undefined
    const entry = maker.make(path, at, 'directory', mode, stat)
    this.#enter(frame, path, at, rules, node, undefined)
    return entry
  }

  #visitFolder(
    frame: Frame,
    outer: FolderRules,
    path: string,
    at: string | Buffer,
    mode: number,
    stat: FileStat,
  ): SourceEntry | undefined {
    const { maker, exclusion, leaveOut, warn } = this.#settings
    if (leaveOut !== undefined && leaveOut.size > 0 && leaveOut.has(identityOf(stat))) {
      warn({ code: 'note', message: `${displayPath(`/${path}`)} is the vault itself: not in the backup`, path })
      return undefined
    }
    const entry = maker.make(path, at, 'directory', mode, stat)
    const rules = exclusion.below(outer, path, stat)
    if (rules === undefined) return entry
    const pending = rules.wanted ? undefined : entry
    this.#enter(frame, path, at, rules, undefined, pending)
    return pending === undefined ? entry : undefined
  }

  #enterTop(top: RootNode): void {
    const stat = lstatSync('/', { bigint: true })
    const rules = top.root ? this.#settings.exclusion.ofRoot('', stat.dev) : undefined
    this.#push({
      path: '',
      at: '/',
      fd: -1,
      names: namesIn(rules, top, '/'),
      seen: undefined,
      rules,
      node: top,
      pending: undefined,
    })
  }

  #enter(
    outer: Frame,
    path: string,
    at: string | Buffer,
    rules: FolderRules | undefined,
    node: RootNode | undefined,
    pending: SourceEntry | undefined,
  ): void {
    let fd = -1
    try {
      let prefix = outer.at + path.slice(outer.prefix.length)
      if (!childrenFit(prefix)) {
        fd = openFolder(at)
        prefix = descriptorPath(fd)
      }
      const seen =
        fd === -1 && rules !== undefined && node === undefined && typeof at === 'string'
          ? this.#settings.ahead?.()?.take(at)
          : undefined
      const names = seen?.names ?? namesIn(rules, node, fd === -1 ? at : prefix)
      this.#push({ path, at: `${prefix}/`, fd, names, seen, rules, node, pending })
    } catch (error) {
      if (fd !== -1) closeSync(fd)
      this.#warnUnreadable(path, error)
    }
  }

  #push(folder: Omit<Frame, 'prefix' | 'next' | 'databases'> & { path: string }): void {
    const { path, at, fd, names, node, pending } = folder
    const prefix = path === '' ? '' : `${path}/`
    let { rules } = folder
    let { names: taken, seen } = folder
    if (rules?.looksInside === true) {
      const inside = this.#settings.exclusion.inside(rules, path, at, names)
      rules = inside.rules
      if (inside.only !== undefined) {
        taken = [...new Set([...inside.only, ...namesOf(node)])].sort()
        seen = undefined
      }
    }
    const databases = rules !== undefined && this.#settings.sqlite ? databasesIn(prefix, at, taken) : undefined
    for (const note of databases?.notes ?? []) this.#settings.warn(note)
    this.#stack.push({ prefix, at, fd, names: taken, seen, next: 0, rules, node, databases, pending })
  }

  #leave(): void {
    const frame = this.#stack.pop()
    if (frame !== undefined && frame.fd !== -1) closeSync(frame.fd)
  }

  #warnUnreadable(path: string, error: unknown): void {
    const name = errno(error) ?? String(error)
    const code = name === 'ENOENT' ? 'vanished' : 'unreadable'
    const what = code === 'vanished' ? 'vanished before it could be read' : `cannot be read: ${name}`
    this.#settings.warn({ code, message: `${displayPath(`/${path}`)} ${what}`, path })
  }
}

const fsName = (path: string): string | Buffer => (EXISTING_ESCAPE.test(path) ? pathToBytes(path) : path)

const namesOf = (node: RootNode | undefined): string[] =>
  node === undefined ? [] : [...node.children.keys()].map((name) => pathToBytes(name).toString('latin1'))

/** In a folder that only leads to roots these alone are looked at. */
function namesIn(rules: FolderRules | undefined, node: RootNode | undefined, at: string | Buffer): string[] {
  return (rules === undefined ? namesOf(node) : readdirSync(at, { encoding: 'latin1' })).sort()
}
