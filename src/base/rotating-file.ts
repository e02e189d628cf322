import { closeSync, fstatSync, openSync, readdirSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import type { Clock } from './clock.ts'
import { errno } from './errors.ts'
import { makeFolders } from './folders.ts'
import { timeForName } from './ids.ts'

export interface RotatingFileOptions {
  /** A line that would make the file larger than this goes into a new one. */
  maxBytes: number
  /** How many files that were put aside are kept. */
  maxFiles: number
  /** Files put aside are deleted after this time; the current one is put aside after a day, or this time if shorter. */
  maxAgeMs: number
  clock: Clock
}

export interface RotatingFile {
  /** Appends, and returns when the system has it: a line is not lost when the process dies. */
  write(line: string): void
  close(): void
}

const DAY_MS = 86_400_000

/**
 * A file of lines that is put aside as `NAME-2024-03-15T14-30-45.log` when it is large or old. Several processes may
 * write to it: each looks before each line whether another one has put it aside. Only this user can read it.
 */
export function rotatingFile(path: string, options: RotatingFileOptions): RotatingFile {
  const { maxBytes, maxAgeMs, clock } = options
  let fd: number | undefined

  const open = (): number => {
    makeFolders(dirname(path), 0o700)
    return openSync(path, 'a', 0o600)
  }

  const current = (): number => {
    if (fd === undefined) {
      fd = open()
      prune(path, options)
    } else if (!isSameFile(fd, path)) {
      closeSync(fd)
      fd = open()
    }
    return fd
  }

  const isFull = (opened: number, more: number): boolean => {
    const { size, birthtimeMs } = fstatSync(opened)
    const age = birthtimeMs > 0 ? clock.now().getTime() - birthtimeMs : 0
    return size > 0 && (size + more > maxBytes || age > Math.min(DAY_MS, maxAgeMs))
  }

  return {
    write(line) {
      const bytes = Buffer.from(line, 'utf8')
      if (isFull(current(), bytes.length)) {
        renameSync(path, asideName(path, clock.now()))
        current()
        prune(path, options)
      }
      writeSync(current(), bytes)
    },
    close() {
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

function isSameFile(fd: number, path: string): boolean {
  const named = statSync(path, { throwIfNoEntry: false })
  const opened = fstatSync(fd)
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev
}

function asideName(path: string, now: Date): string {
  const extension = extname(path)
  const stem = `${path.slice(0, path.length - extension.length)}-${timeForName(now)}`
  for (let count = 1; ; count += 1) {
    const name = `${stem}${count === 1 ? '' : `.${String(count).padStart(4, '0')}`}${extension}`
    if (statSync(name, { throwIfNoEntry: false }) === undefined) return name
  }
}

/** Deletes files put aside that are too many or too old. */
function prune(path: string, { maxFiles, maxAgeMs, clock }: RotatingFileOptions): void {
  const extension = extname(path)
  const stem = basename(path, extension)
  const aside = readdirSync(dirname(path))
    .filter((name) => name.startsWith(`${stem}-`) && name.endsWith(extension))
    .filter((name) =>
      /^-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?$/.test(name.slice(stem.length, name.length - extension.length)),
    )
    .sort()
    .toReversed()
  for (const [index, name] of aside.entries()) {
    const file = join(dirname(path), name)
    const modified = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
    if (index < maxFiles && clock.now().getTime() - modified <= maxAgeMs) continue
    try {
      rmSync(file)
    } catch (error) {
      if (errno(error) !== 'ENOENT') throw error // another process was faster
    }
  }
}
