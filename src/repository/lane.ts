/**
 * What one thread does with content: reads small files, and stores what nobody has stored yet. All of it waits for
 * nothing but the disk, so that no promise is made for any file. docs/engine.md.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { errno } from '../base/errors.ts'
import { fsPath } from '../base/paths.ts'
import { ID_LENGTH } from './ids.ts'
import { PackWriter, type PackMemory, type WriterSettings } from './pack-writer.ts'

/** A file up to this size is one chunk whatever it holds. */
export const SMALL = 512 * 1024

/** What was seen of each file, in turn: inode, device, size, modification time in milliseconds. */
export const FACTS = 4

export interface FileBatch {
  /** Absolute, in the encoding of paths. */
  paths: string[]
  facts: Float64Array
  /** A file that begins so is left to others: see SourceEntry.local. */
  unless: Uint8Array | undefined
}

export const STORED = 0
/** Its bytes could not be had as expected, which says nothing: the source shall read it, and find the words. */
export const LEFT = 1
export const EMPTY = 2

export interface FileResults {
  outcomes: Uint8Array
  /** 32 bytes for each file. */
  ids: Uint8Array
}

/** As the files source opens them: no symlink, no waiting for a fifo, no change of access times. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const QUIET = 'O_NOATIME' in constants ? constants.O_NOATIME : 0

export class Lane {
  readonly writer: PackWriter
  readonly #buffer = Buffer.allocUnsafeSlow(SMALL + 1)

  constructor(settings: WriterSettings, memory: PackMemory) {
    this.writer = new PackWriter(settings, memory)
  }

  files({ paths, facts, unless }: FileBatch): FileResults {
    const outcomes = new Uint8Array(paths.length)
    const ids = new Uint8Array(paths.length * ID_LENGTH)
    for (const [n, path] of paths.entries()) {
      const length = this.#read(path, facts.subarray(n * FACTS, (n + 1) * FACTS))
      const content = this.#buffer.subarray(0, Math.max(0, length))
      if (length < 0 || (unless !== undefined && startsWith(content, unless))) outcomes[n] = LEFT
      else if (length === 0) outcomes[n] = EMPTY
      else ids.set(this.writer.store(content), n * ID_LENGTH)
    }
    return { outcomes, ids }
  }

  /** The number of bytes; -1 when it is not what was seen, or cannot be read. */
  #read(path: string, facts: Float64Array): number {
    let fd = -1
    try {
      fd = open(path)
      if (!isSame(fd, facts)) return -1
      const size = facts[2] as number
      let filled = 0
      // One byte more than there should be, so that more shows.
      while (filled <= size) {
        const got = readSync(fd, this.#buffer, filled, size + 1 - filled, null)
        if (got === 0) break
        filled += got
      }
      return filled === size && isSame(fd, facts) ? filled : -1
    } catch {
      return -1
    } finally {
      if (fd !== -1) closeSync(fd)
    }
  }
}

function open(path: string): number {
  const at = fsPath(path)
  try {
    return openSync(at, FLAGS | QUIET)
  } catch (error) {
    if (errno(error) !== 'EPERM') throw error
    return openSync(at, FLAGS)
  }
}

/** A double holds times to a quarter of a microsecond. */
const TIME_TOLERANCE_MS = 0.001

function isSame(fd: number, facts: Float64Array): boolean {
  const stat = fstatSync(fd)
  return (
    stat.isFile() &&
    stat.ino === facts[0] &&
    stat.dev === facts[1] &&
    stat.size === facts[2] &&
    Math.abs(stat.mtimeMs - (facts[3] as number)) < TIME_TOLERANCE_MS
  )
}

function startsWith(content: Uint8Array, beginning: Uint8Array): boolean {
  if (content.length < beginning.length || content[0] !== beginning[0]) return false
  return beginning.every((byte, at) => content[at] === byte)
}
