/** Writes the members of a tar below a folder, from its pieces in any order. */
import { createHash } from 'node:crypto'
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { offsetOf, parseTarHead, PIECE } from './tar-pieces.ts'

export interface Unpacking {
  take(piece: { index: number; since: number }, bytes: Buffer): void
  /** Rejects what is not whole; sums of all files are known then. */
  end(): void
  files(): number
}

export interface UnpackOptions {
  root: string
  /** Before the names of sums. */
  prefix: string
  /** SHA-256 by name, in hex. */
  sums: Map<string, string>
  makeFolder(path: string): void
  owner?: { uid: number; gid: number }
}

const BLOCK = 512

/** A file of several pieces; without a name until its first one came. */
interface Large {
  name?: string
  size?: number
  written: number
}

export function unpacking({ root, prefix, sums, makeFolder, owner }: UnpackOptions): Unpacking {
  const seen = new Set<number>()
  const larges = new Map<number, Large>()
  let files = 0
  let highest = -1
  let ended = false

  const waiting = (start: number): string => join(root, `.holdfast-piece-${start}`)

  function open(path: string, mode: number, fresh: boolean): number {
    const fd = openSync(path, fresh ? 'wx' : existsSync(path) ? 'r+' : 'wx', mode)
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
    return fd
  }

  function write(fd: number, bytes: Buffer, at: number): void {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
  }

  /** A piece that begins with a head: files whole, or the first piece of a large one. */
  function heads(index: number, bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const member = parseTarHead(bytes.subarray(at, at + BLOCK))
      at += BLOCK
      if (member === undefined) {
        ended = true
        continue
      }
      const name = member.name.replace(/^\.\//, '').replace(/\/$/, '')
      if (isAbsolute(name) || name.split('/').includes('..'))
        throw new AppError('restore.unsafe', `the backup has a file ${JSON.stringify(member.name)}`)
      const path = join(root, name)
      if (member.kind === 'folder') {
        if (name !== '') makeFolder(path)
        continue
      }
      if (member.kind === 'link') {
        // Those of tablespaces are made from the map; another one, as of the log folder, would lead out of here.
        if (!/^pg_tblspc\/\d+$/.test(name) && !existsSync(path)) makeFolder(path)
        continue
      }
      makeFolder(dirname(path))
      files += 1
      const mode = (member.mode & 0o600) | (member.mode & 0o040) | 0o600
      const inside = Math.min(member.size, bytes.length - at)
      const goesOn = member.size > inside
      const large = goesOn ? (larges.get(index) ?? { written: 0 }) : undefined
      if (large !== undefined) {
        if (existsSync(waiting(index))) renameSync(waiting(index), path)
        large.name = name
        large.size = member.size
        large.written += inside
        larges.set(index, large)
      }
      const fd = open(path, mode, large === undefined)
      write(fd, bytes.subarray(at, at + inside), 0)
      if (large === undefined) {
        fsyncSync(fd)
        sums.set(
          prefix + name,
          createHash('sha256')
            .update(bytes.subarray(at, at + inside))
            .digest('hex'),
        )
      }
      closeSync(fd)
      at += goesOn ? inside : Math.ceil(member.size / BLOCK) * BLOCK
    }
  }

  function goesOn(start: number, since: number, bytes: Buffer): void {
    const large = larges.get(start) ?? { written: 0 }
    larges.set(start, large)
    const path = large.name === undefined ? waiting(start) : join(root, large.name)
    const at = offsetOf(since)
    const content = large.size === undefined ? bytes : bytes.subarray(0, Math.max(0, large.size - at))
    const fd = open(path, 0o600, false)
    write(fd, content, at)
    closeSync(fd)
    large.written += content.length
  }

  return {
    take({ index, since }, bytes) {
      if (seen.has(index)) throw damaged(`piece ${index} comes twice`)
      seen.add(index)
      highest = Math.max(highest, index)
      if (since === 0) heads(index, bytes)
      else goesOn(index - since, since, bytes)
    },
    end() {
      if (seen.size !== highest + 1) throw damaged(`${highest + 1 - seen.size} pieces of the cluster are missing`)
      if (!ended) throw damaged('the tar of the cluster has been cut off')
      for (const { name, size, written } of larges.values()) {
        if (name === undefined || size === undefined) throw damaged('the beginning of a file is missing')
        // What fills the last block was counted where the size was not known yet.
        if (written < size || written >= size + PIECE) throw damaged(`${name} is not whole`)
        sums.set(prefix + name, finished(join(root, name), size))
      }
    },
    files: () => files,
  }
}

/** Cuts the file to its size, and gives its sum as it lies there. */
function finished(path: string, size: number): string {
  const fd = openSync(path, 'r+')
  try {
    const hash = createHash('sha256')
    const buffer = Buffer.allocUnsafe(PIECE)
    for (let at = 0; at < size;) {
      const got = readSync(fd, buffer, 0, Math.min(buffer.length, size - at), at)
      if (got === 0) throw damaged(`${path} is too short`)
      hash.update(buffer.subarray(0, got))
      at += got
    }
    ftruncateSync(fd, size)
    fsyncSync(fd)
    return hash.digest('hex')
  } finally {
    closeSync(fd)
  }
}

const damaged = (what: string): AppError => new AppError('backup.damaged', what)
