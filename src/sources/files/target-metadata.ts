import {
  fchmodSync,
  fchownSync,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lchmodSync,
  lchownSync,
  openSync,
  futimesSync,
  lutimesSync,
  type BigIntStats,
} from 'node:fs'
import { errno } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import type { Entry, Xattr } from '../../model/entry.ts'
import type { ReportWarning } from '../../model/progress.ts'
import type { Libc } from './libc.ts'
import { descriptorPath } from './long-path.ts'
import { kindOfMode, sameTime, timestampOf } from './stat-entry.ts'

export interface MetadataSettings {
  libc: Libc | undefined
  ownership: boolean
  warn: ReportWarning
}

/** What making the item has set already. */
export interface Already {
  owner: boolean
  mode: boolean
}

const NOTHING: Already = { owner: false, mode: false }

const ACL = 'system.posix_acl_'

/** Sets what an entry says about itself. Failures are warnings: the content is there. */
export class Metadata {
  readonly #settings: MetadataSettings
  readonly #told = new Set<string>()
  readonly #isRoot = process.getuid?.() === 0
  readonly #uid = process.geteuid?.()
  readonly #gid = process.getegid?.()
  readonly #umask = process.umask()

  constructor(settings: MetadataSettings) {
    this.#settings = settings
  }

  /** The permission bits that this restore sets: setuid and setgid belong to an owner, so they go with him. */
  modeOf(entry: Entry): number {
    return this.#privileged ? entry.mode : entry.mode & (entry.kind === 'directory' ? 0o1777 : 0o777)
  }

  get #privileged(): boolean {
    return this.#settings.ownership && this.#isRoot
  }

  /** Owner, mode, attributes, times, in the order in which none undoes another. `fd` spares looking up the path. */
  apply(entry: Entry, at: string | Buffer, fd: number | undefined, already: Already = NOTHING): void {
    if (!already.owner) this.#owner(entry, at, fd)
    const xattrs = entry.xattrs ?? []
    // A file of mode 0444 takes no more attributes; ACLs change the mode, which must not change them back.
    if (xattrs.length > 0) this.#attributes(entry, at, (name) => !name.startsWith(ACL))
    if (entry.kind !== 'symlink' && !already.mode) this.#mode(entry, at, fd)
    if (xattrs.length > 0) this.#attributes(entry, at, (name) => name.startsWith(ACL))
    this.#times(entry, at, fd)
  }

  /** What a file of this entry has right after it was made, without our doing, in a folder that passes nothing on. */
  givenByCreation(entry: Entry): Already {
    const owner = !this.#settings.ownership || (entry.uid === this.#uid && entry.gid === this.#gid)
    const mode = this.modeOf(entry)
    return { owner, mode: mode <= 0o777 && (mode & this.#umask) === 0 }
  }

  /** An access ACL that the item got from its folder's default, and did not have in the backup. */
  dropInheritedAcl(entry: Entry, at: string | Buffer): void {
    if (entry.kind !== 'symlink' && !entry.xattrs?.some(({ name }) => name === `${ACL}access`))
      this.#settings.libc?.removeXattr(at, `${ACL}access`)
  }

  /** Whether what exists says the same about itself already, attributes left out. */
  matches(entry: Entry, stat: BigIntStats): boolean {
    return (
      (entry.kind === 'symlink' || Number(stat.mode & 0o7777n) === this.modeOf(entry)) &&
      sameTime(timestampOf(stat.mtimeNs), entry.mtime, this.#settings.libc !== undefined) &&
      (!this.#settings.ownership || this.#ownerMatches(entry, stat))
    )
  }

  #ownerMatches(entry: Entry, stat: BigIntStats): boolean {
    return (
      (entry.uid === undefined || BigInt(entry.uid) === stat.uid) &&
      (entry.gid === undefined || BigInt(entry.gid) === stat.gid)
    )
  }

  #owner(entry: Entry, at: string | Buffer, fd: number | undefined): void {
    const { uid, gid } = entry
    if (!this.#settings.ownership || uid === undefined || gid === undefined) return
    this.#try(entry, 'owner', () => {
      if (fd === undefined) lchownSync(at, uid, gid)
      else fchownSync(fd, uid, gid)
    })
  }

  #mode(entry: Entry, at: string | Buffer, fd: number | undefined): void {
    this.#try(entry, 'mode', () => {
      if (fd === undefined) changeMode(entry, at, this.modeOf(entry))
      else fchmodSync(fd, this.modeOf(entry))
    })
  }

  #times(entry: Entry, at: string | Buffer, fd: number | undefined): void {
    const { s, ns } = entry.mtime
    const { libc } = this.#settings
    if (libc !== undefined) {
      const result = libc.setTimes(fd ?? at, s, ns)
      if (result < 0) this.#warn(entry, 'time', String(-result))
      return
    }
    // As text: Node takes a negative number for now.
    const seconds = String(s + ns / 1e9)
    this.#try(entry, 'time', () => {
      if (fd === undefined) lutimesSync(at, seconds, seconds)
      else futimesSync(fd, seconds, seconds)
    })
  }

  #attributes(entry: Entry, at: string | Buffer, wanted: (name: string) => boolean): void {
    for (const attribute of entry.xattrs ?? []) if (wanted(attribute.name)) this.#attribute(entry, at, attribute)
  }

  #attribute(entry: Entry, at: string | Buffer, attribute: Xattr): void {
    const { libc } = this.#settings
    const { name } = attribute
    if (!this.#privileged && /^(?:security|trusted)\./.test(name)) return
    if (libc === undefined) {
      this.#warnOnce('koffi', 'extended attributes and ACLs are not restored: the package koffi is missing')
      return
    }
    const result = libc.setXattr(at, attribute)
    if (result === libc.errors.ENOTSUP)
      this.#warnOnce(`no ${name}`, `the file system here takes no ${name}: the attribute is not restored`)
    else if (result < 0) this.#warn(entry, name, String(-result))
  }

  #try(entry: Entry, what: string, set: () => void): void {
    try {
      set()
    } catch (error) {
      this.#warn(entry, what, errno(error) ?? String(error))
    }
  }

  #warn(entry: Entry, what: string, reason: string): void {
    const message = `cannot set the ${what} of ${displayPath(entry.path)}: ${reason}`
    this.#settings.warn({ code: 'metadata', message, path: entry.path })
  }

  #warnOnce(key: string, message: string): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#settings.warn({ code: 'metadata', message })
  }
}

/** Linux only, and not among Node's constants: opens the item itself without reading or waking it. */
const O_PATH = 0o10000000

/** chmod(2) follows symlinks; somebody could have put one here since we looked. */
function changeMode(entry: Entry, at: string | Buffer, mode: number): void {
  if (process.platform !== 'linux') {
    lchmodSync(at, mode)
    return
  }
  const fd = openSync(at, O_PATH | constants.O_NOFOLLOW)
  try {
    const kind = kindOfMode(fstatSync(fd).mode)
    if (kind !== entry.kind) throw new Error(`it has become a ${kind}`)
    chmodSync(descriptorPath(fd), mode)
  } finally {
    closeSync(fd)
  }
}
