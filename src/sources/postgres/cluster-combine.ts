/**
 * What changed since the backup before, put into its files. A file `INCREMENTAL.x` holds blocks of `x`, as
 * PostgreSQL's basebackup_incremental.c writes it, in the order of bytes of the server: u32 magic, u32 count, u32 blocks
 * below which nothing was cut off since, u32 number of each block; zeros up to a whole block if there are any; the blocks.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { AppError, errno } from '../../base/errors.ts'

const MAGIC = 0xd3ae1f0d
const PREFIX = 'INCREMENTAL.'
const BLOCK = 8192
const HEAD = 12

/** `part` is used up. Afterwards `folder` is what it was when the part was made. */
export function applyPart(part: string, folder: string): void {
  if (!existsSync(part)) return
  merge(part, folder)
  const label = join(folder, 'backup_label')
  if (!existsSync(label)) return
  // What begins with these lines is no data folder to a server.
  const text = readFileSync(label, 'latin1')
  const plain = text.replaceAll(/^INCREMENTAL FROM (?:LSN|TLI): .*\n/gm, '')
  if (plain !== text) writeFileSync(label, plain, 'latin1')
}

function merge(part: string, folder: string): void {
  const there = new Set<string>()
  for (const entry of readdirSync(part, { withFileTypes: true })) {
    const { name } = entry
    const from = join(part, name)
    if (entry.isDirectory()) {
      there.add(name)
      const to = join(folder, name)
      if (existsSync(to)) merge(from, to)
      else move(from, to)
    } else if (name.startsWith(PREFIX)) {
      const plain = name.slice(PREFIX.length)
      there.add(plain)
      patch(from, join(folder, plain))
    } else {
      there.add(name)
      rmSync(join(folder, name), { force: true })
      move(from, join(folder, name))
    }
  }
  for (const name of readdirSync(folder)) if (!there.has(name)) remove(join(folder, name))
}

/** Of tablespaces there are links, which are made at the end; what they lead to is another folder. */
function remove(path: string): void {
  if (lstatSync(path).isSymbolicLink()) return
  rmSync(path, { recursive: true, force: true })
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    if (errno(error) !== 'EXDEV') throw error
    copyFileSync(from, to)
  }
}

function patch(from: string, to: string): void {
  const damaged = (why: string): AppError => new AppError('backup.damaged', `${from}: ${why}`)
  if (!existsSync(to)) throw damaged('the file that it changes is missing')
  const source = openSync(from, 'r')
  const target = openSync(to, 'r+')
  try {
    const head = bytesAt(source, 0, HEAD)
    if (head.readUInt32LE(0) !== MAGIC) throw damaged('it does not begin as it should')
    const count = head.readUInt32LE(4)
    const kept = head.readUInt32LE(8)
    const numbers = bytesAt(source, HEAD, 4 * count)
    const begin = count === 0 ? HEAD : Math.ceil((HEAD + 4 * count) / BLOCK) * BLOCK
    // From there on only what comes now counts; between its blocks lie zeros.
    ftruncateSync(target, kept * BLOCK)
    for (let n = 0; n < count; n += 1) {
      const number = numbers.readUInt32LE(4 * n)
      const bytes = bytesAt(source, begin + n * BLOCK, BLOCK)
      for (let done = 0; done < BLOCK;) done += writeSync(target, bytes, done, BLOCK - done, number * BLOCK + done)
    }
    fsyncSync(target)
  } finally {
    closeSync(source)
    closeSync(target)
  }

  function bytesAt(fd: number, at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length)
    for (let done = 0; done < length;) {
      const got = readSync(fd, bytes, done, length - done, at + done)
      if (got === 0) throw damaged('it is too short')
      done += got
    }
    return bytes
  }
}
