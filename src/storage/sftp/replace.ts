/**
 * Puts a finished temporary file in the place of an object. OpenSSH's extension does that at once; without it a rename
 * refuses what exists, or not, as the server likes. Then the old object stands aside under a name that readers know until
 * the new one is in its place: whatever is lost or killed between, one of the two is found.
 */
import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { isMissing, statusOf } from './errors.ts'
import { statOf } from './folders.ts'
import type { Session } from './session.ts'
import { extension } from './write.ts'

/** File systems end names at 255 bytes; `.tmp-0-` and twelve digits come behind. */
const MOST_BYTES = 230
/** Others replace the same object meanwhile. */
const ATTEMPTS = 20

const ASIDE = /^\.(.*)\.tmp-0-([0-9a-f]{12})$/
const sumOf = (name: string): string => createHash('sha256').update(name).digest('hex').slice(0, 12)

/** Where the old object is while the new one takes its place: a temporary file (see local-files.ts) of no process. */
export function asideOf(path: string): string {
  const name = posix.basename(path)
  let short = name
  while (Buffer.byteLength(short) > MOST_BYTES) short = short.slice(0, -8)
  return posix.join(posix.dirname(path), `.${short}.tmp-0-${sumOf(name)}`)
}

/** What stands aside at this path; `undefined`: it is another temporary file. */
export function besides(aside: string): { path: string | undefined } | undefined {
  const [, name, sum] = ASIDE.exec(posix.basename(aside)) ?? []
  if (name === undefined) return undefined
  return { path: sumOf(name) === sum ? posix.join(posix.dirname(aside), name) : undefined }
}

export interface Replace {
  from: string
  to: string
  /** Of the new object. */
  size: number
  attempt: number
}

export async function replace(session: Session, { from, to, size, attempt }: Replace): Promise<void> {
  try {
    if (await extension(session.ask<void>((sftp, done) => sftp.ext_openssh_rename(from, to, done)))) return
  } catch (error) {
    // The answer to an earlier try was lost.
    if (attempt > 1 && isMissing(error) && (await statOf(session, to))?.size === size) return
    throw error
  }
  const aside = asideOf(to)
  const arrived = attempt > 1 && (await statOf(session, from)) === undefined
  if (arrived && (await statOf(session, to))?.size !== size)
    throw new AppError('storage.failed', 'the object is neither where it was written nor in its place')
  if (!arrived) await moveOver(session, from, to, aside)
  await unlinked(session, aside)
}

const rename = (session: Session, from: string, to: string): Promise<void> =>
  session.ask<void>((sftp, done) => sftp.rename(from, to, done))

/** Removes; a missing file is no error. */
export async function unlinked(session: Session, path: string, signal?: AbortSignal): Promise<void> {
  await session
    .ask<void>((sftp, done) => sftp.unlink(path, done), signal)
    .catch((error: unknown) => {
      if (!isMissing(error)) throw error
    })
}

async function moveOver(session: Session, from: string, to: string, aside: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rename(session, from, to)
    } catch (error) {
      // Whatever was in its place, others may have removed it since: only that ours is there tells that it can be tried again.
      const again = statusOf(error) !== undefined && (await statOf(session, from)) !== undefined
      if (!again || attempt >= ATTEMPTS) {
        await putBack(session, to)
        throw error
      }
    }
    await unlinked(session, aside)
    await rename(session, to, aside).catch((error: unknown) => {
      if (statusOf(error) === undefined) throw error
      // Another writer moved it just now.
    })
  }
}

/** The old object, where nothing came in its place. */
export async function putBack(session: Session, to: string): Promise<void> {
  const aside = asideOf(to)
  const [old, now] = await Promise.all([aside, to].map((path) => statOf(session, path)))
  if (old !== undefined && now === undefined) await rename(session, aside, to).catch(() => undefined)
}
