import { spawnSync } from 'node:child_process'
import { linkSync, symlinkSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { displayPath, fsPath } from '../../base/paths.ts'
import type { Entry } from '../../model/entry.ts'
import type { Libc } from './libc.ts'
import { TYPE_BITS } from './stat-entry.ts'

/** Makes a symlink, fifo or device at a path where nothing is. */
export function makeSpecial(entry: Entry, at: string | Buffer, libc: Libc | undefined): void {
  if (entry.kind === 'symlink') symlinkSync(fsPath(entry.linkTarget ?? ''), at)
  else if (entry.kind === 'fifo' || entry.kind === 'chardev' || entry.kind === 'blockdev') {
    const { major, minor } = entry.rdev ?? { major: 0, minor: 0 }
    const result = libc?.mknod(at, TYPE_BITS[entry.kind] | 0o600, major, minor) ?? mknodByProgram(entry, at)
    if (result !== 0) throw cannotMake(entry, `error ${-result}`)
  } else throw cannotMake(entry, 'it has no content of its own')
}

export const makeHardlink = (existing: string | Buffer, at: string | Buffer): void => linkSync(existing, at)

/** Without koffi: the program of that name, which takes names as text. */
function mknodByProgram(entry: Entry, at: string | Buffer): number {
  if (typeof at !== 'string') throw cannotMake(entry, 'its name is not UTF-8 and the package koffi is missing')
  const { major, minor } = entry.rdev ?? { major: 0, minor: 0 }
  const kind = { fifo: ['p'], chardev: ['c', `${major}`, `${minor}`], blockdev: ['b', `${major}`, `${minor}`] }
  const args = kind[entry.kind as keyof typeof kind]
  const done = spawnSync('mknod', ['-m', '600', '--', at, ...args], { encoding: 'utf8' })
  if (done.status !== 0) throw cannotMake(entry, done.error?.message ?? done.stderr.trim())
  return 0
}

const cannotMake = (entry: Entry, why: string): AppError =>
  new AppError('restore.failed', `cannot make ${displayPath(entry.path)}, a ${entry.kind}: ${why}`)
