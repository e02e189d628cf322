import { posix } from 'node:path'
import type { Stats } from 'ssh2'
import type { Bytes } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import { abortable } from '../abortable.ts'
import { cutBytes, cutParts } from '../cut-parts.ts'
import { isMissing, STATUS, statusOf } from './errors.ts'
import { makeFolders } from './folders.ts'
import type { Pool } from './pool.ts'
import { SAFE_BLOCK, type Session } from './session.ts'

/** Bytes that are under way at a time; kept until the server has them, to be sent again over another connection. */
const WINDOW = 4 * 1024 * 1024
/** Another writer's removal may take an empty folder away again just before our file lies in it. */
const FOLDER_ATTEMPTS = 20

export interface Write {
  pool: Pool
  /** Of the temporary file. */
  path: string
  tried: string
  modes: { file: number | undefined; directory: number | undefined }
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
}

interface OpenFile {
  session: Session
  handle: Buffer
}

/** What fits into one request: all that is asked of the open file is sent at once, and done by the server in that order. */
async function writeSmall(job: Write, body: Bytes): Promise<Stats> {
  const block = Buffer.from(body.buffer, body.byteOffset, body.length)
  const stats = await job.pool.persist(job.tried, job.signal, async () => {
    const open = await openFile(job, 'w')
    const { session, handle } = open
    try {
      const written =
        block.length === 0
          ? undefined
          : session.ask<void>((sftp, done) => sftp.write(handle, block, 0, block.length, 0, done), job.signal)
      // Only the first failure is told; the others are met here.
      const finished = finish(open, job, block.length)
      finished.catch(() => undefined)
      await written
      return await finished
    } catch (error) {
      throw await explained(session, job, error)
    } finally {
      // The next request need not wait for it.
      void close(open)
    }
  })
  job.onBytes(body.length)
  return stats
}

/** Writes a body to a new file and flushes it. A connection that dies meanwhile is replaced, and what it lost sent again. */
export async function writeFile(job: Write, body: Bytes | AsyncIterable<Bytes>): Promise<Stats> {
  const { pool, tried, signal } = job
  // Up to here every server takes a request.
  if (body instanceof Uint8Array && body.length <= SAFE_BLOCK) return writeSmall(job, body)
  const ending = new AbortController()
  const both = signal ? AbortSignal.any([signal, ending.signal]) : ending.signal
  const { blockSize } = await pool.persist(tried, signal, async (session) => session)
  let file: OpenFile | undefined
  let opening: Promise<OpenFile> | undefined
  let begun = false

  async function current(): Promise<OpenFile> {
    if (file !== undefined && !file.session.dead) return file
    if (file !== undefined) file.session.load -= 1
    file = undefined
    opening ??= openFile(job, begun ? 'r+' : 'w').finally(() => (opening = undefined))
    return (file = await opening)
  }
  /** Shared by all blocks that wait for a connection: each of them asks, the first one opens. */
  const persist = <T>(work: (open: OpenFile) => Promise<T>): Promise<T> =>
    pool.persist(tried, both, async () => work(await current()))

  const active = new Set<Promise<void>>()
  let failure: unknown
  let length = 0

  async function send(bytes: Bytes, position: number): Promise<void> {
    const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    await persist(async ({ session, handle }) => {
      try {
        await session.ask<void>((sftp, done) => sftp.write(handle, block, 0, block.length, position, done), both)
        begun = true
      } catch (error) {
        throw await explained(session, job, error)
      }
    })
    job.onBytes(bytes.length)
  }

  const parts = body instanceof Uint8Array ? cutBytes(body, blockSize) : cutParts(abortable(body, both), blockSize)
  try {
    await persist(async () => undefined)
    for await (const part of parts) {
      if (part.bytes.length === 0) break
      const sending: Promise<void> = send(part.bytes, length)
        .then(part.release)
        .catch((error: unknown) => {
          failure ??= error
          ending.abort(error)
        })
        .finally(() => active.delete(sending))
      active.add(sending)
      length += part.bytes.length
      while (active.size * blockSize >= WINDOW) await Promise.race(active)
      if (failure !== undefined) break
    }
    await Promise.all(active)
    if (failure !== undefined) throw failure
    return await persist(async (open) => finish(open, job, length))
  } catch (error) {
    failure ??= error
    ending.abort(failure)
    await Promise.all(active)
    throw failure
  } finally {
    await parts.return(undefined).catch(() => undefined)
    await close(file)
  }
}

async function openFile(job: Write, flags: 'w' | 'r+'): Promise<OpenFile> {
  const session = await job.pool.session()
  const { path, modes } = job
  for (let attempt = 1; ; attempt += 1) {
    try {
      const mode = modes.file ?? 0o600
      const handle = await session.ask<Buffer>((sftp, done) => sftp.open(path, flags, { mode }, done), job.signal)
      session.load += 1
      return { session, handle }
    } catch (error) {
      if (!isMissing(error) || flags !== 'w' || attempt >= FOLDER_ATTEMPTS) throw error
      await makeFolders(session, posix.dirname(path), modes.directory)
    }
  }
}

/** Flushed where the server can, and of the length that was sent. */
async function finish({ session, handle }: OpenFile, job: Write, length: number): Promise<Stats> {
  const { file: mode } = job.modes
  if (mode !== undefined) await session.ask<void>((sftp, done) => sftp.fchmod(handle, mode, done))
  const flushed = extension(session.ask<void>((sftp, done) => sftp.ext_openssh_fsync(handle, (error) => done(error))))
  const looked = session.ask<Stats>((sftp, done) => sftp.fstat(handle, done), job.signal)
  const [stats] = await Promise.all([looked, flushed])
  if (stats.size !== length)
    throw new AppError('storage.truncated', `cannot ${job.tried}: the server holds ${stats.size} of ${length} bytes`)
  return stats
}

async function close(file: OpenFile | undefined): Promise<void> {
  if (file === undefined) return
  const { session, handle } = file
  session.load -= 1
  if (!session.dead) await session.ask<void>((sftp, done) => sftp.close(handle, done)).catch(() => undefined)
}

/** False where the server does not have the extension. */
export async function extension(asked: Promise<void>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    const none = error instanceof Error && error.message.includes('does not support this extended request')
    if (none || statusOf(error) === STATUS.unsupported) return false
    throw error
  }
}

/** Version 3 has no word for a full disk: a failure to write is looked into. */
async function explained(session: Session, job: Write, error: unknown): Promise<unknown> {
  if (statusOf(error) !== STATUS.failure) return error
  const space = await spaceOf(session, posix.dirname(job.path)).catch(() => undefined)
  if (space === undefined || space.free > 1024 * 1024) return error
  return new AppError('storage.full', `cannot ${job.tried}: the disk of the server is full`, { cause: error })
}

/** Undefined where the server does not tell. */
export async function spaceOf(session: Session, path: string): Promise<{ free: number; total: number } | undefined> {
  let found: unknown
  const ask = session.ask<void>((sftp, done) =>
    sftp.ext_openssh_statvfs(path, (error, info: unknown) => {
      found = info
      done(error)
    }),
  )
  if (!(await extension(ask)) || typeof found !== 'object' || found === null) return undefined
  const [free, total, unit] = ['f_bavail', 'f_blocks', 'f_frsize'].map((name) =>
    Number(Reflect.get(found as object, name)),
  )
  return { free: (free ?? 0) * (unit ?? 0), total: (total ?? 0) * (unit ?? 0) }
}
