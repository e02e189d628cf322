import { posix } from 'node:path'
import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey, checkPrefix } from '../base/keys.ts'
import { collect, throwIfAborted } from '../base/streams.ts'
import type { SftpStorageSettings } from '../model/settings.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import { isTemporary, temporaryFor } from './local-files.ts'
import { isMissing, sftpError, statusOf } from './sftp/errors.ts'
import { etagOf, isFile, removeEmpty, statOf, walk } from './sftp/folders.ts'
import { pool } from './sftp/pool.ts'
import { readBlocks } from './sftp/read.ts'
import type { Session } from './sftp/session.ts'
import { extension, spaceOf, writeFile } from './sftp/write.ts'

/** Up to here what was created is compared with what should have been, when the answer was lost. */
const COMPARED = 1024 * 1024

/**
 * Objects as files on an SSH server. A put writes a temporary file in the same folder, flushes it and renames it into
 * place; `ifAbsent` links instead, which is atomic. Both are extensions of OpenSSH: without them replacing takes away
 * the old file first, and `can.conditionalCreate` is false. Nothing is sent before the first call.
 */
export function sftp(settings: Omit<SftpStorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const { host, port = 22, user, path: root } = settings
  const shown = posix.isAbsolute(root) ? root : `/~/${root}`
  const name = `sftp://${user === undefined ? '' : `${user}@`}${host}${port === 22 ? '' : `:${port}`}${shown}`
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry } = options
  const connections = pool(settings, name, { clock, retry, ...(onRetry && { onRetry }) })
  const modes = { file: settings.permissions, directory: settings.directoryPermissions }
  let linkable = true

  function pathOf(key: string): string {
    checkKey(key)
    if (isTemporary(posix.basename(key)))
      throw new AppError('storage.invalid', `cannot use ${JSON.stringify(key)} as a key: it names a temporary file`)
    return posix.join(root, key)
  }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    const { signal, ifAbsent = false, onBytes = () => undefined } = options
    const path = pathOf(key)
    const tried = `store ${key} in ${name}`
    throwIfAborted(signal)
    const taken = (): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)
    const before = await connections.persist(tried, signal, (session) => statOf(session, path, signal))
    if (ifAbsent && before !== undefined) throw taken()

    const temporary = temporaryFor(path)
    try {
      const written = await writeFile({ pool: connections, path: temporary, tried, modes, signal, onBytes }, body)
      throwIfAborted(signal)
      const stats = { size: written.size, mtime: written.mtime }
      // Within one second only the size would tell the new object from those before it.
      if (before !== undefined && before.mtime >= stats.mtime) {
        stats.mtime = before.mtime + 1
        await connections.persist(tried, signal, (session) =>
          session.ask<void>((sftp, done) => sftp.utimes(temporary, stats.mtime, stats.mtime, done)),
        )
      }
      await connections.persist(tried, signal, (session, attempt) =>
        ifAbsent
          ? create(session, temporary, path, attempt, taken)
          : replace(session, temporary, path, attempt, stats.size),
      )
      return { key, size: stats.size, modified: new Date(stats.mtime * 1000), etag: etagOf(stats) }
    } catch (error) {
      await connections
        .call(tried, (session) => session.ask<void>((sftp, done) => sftp.unlink(temporary, done)))
        .catch(() => undefined)
      throw isAppError(error) ? error : sftpError(error, tried)
    }
  }

  async function replace(session: Session, from: string, to: string, attempt: number, size: number): Promise<void> {
    try {
      if (await extension(session.ask<void>((sftp, done) => sftp.ext_openssh_rename(from, to, done)))) return
    } catch (error) {
      // The answer to an earlier try was lost.
      if (attempt > 1 && isMissing(error) && (await statOf(session, to))?.size === size) return
      throw error
    }
    await session
      .ask<void>((sftp, done) => sftp.unlink(to, done))
      .catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    await session.ask<void>((sftp, done) => sftp.rename(from, to, done))
  }

  async function create(
    session: Session,
    from: string,
    to: string,
    attempt: number,
    taken: () => AppError,
  ): Promise<void> {
    const unlink = (path: string): Promise<void> => session.ask<void>((sftp, done) => sftp.unlink(path, done))
    try {
      if (await extension(session.ask<void>((sftp, done) => sftp.ext_openssh_hardlink(from, to, done)))) {
        await unlink(from)
        return
      }
    } catch (error) {
      if (statusOf(error) === undefined) throw error
      if ((await statOf(session, to)) !== undefined) {
        if (attempt === 1 || !(await isSame(session, from, to))) throw taken()
        await unlink(from)
        return
      }
    }
    // The file system has no hard links, or the server cannot make them: others may come between.
    linkable = false
    if ((await statOf(session, to)) !== undefined) throw taken()
    await session.ask<void>((sftp, done) => sftp.rename(from, to, done))
  }

  /** With the same bytes there it does not matter who put them. */
  async function isSame(session: Session, one: string, other: string): Promise<boolean> {
    const sizes = await Promise.all([one, other].map(async (path) => (await statOf(session, path))?.size))
    if (sizes[0] !== sizes[1] || (sizes[0] ?? Infinity) > COMPARED) return false
    const [a, b] = await Promise.all(
      [one, other].map((path) => collect(readBlocks(connections, { path, key: path, name }, {}))),
    )
    return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0
  }

  return {
    name,
    can: {
      get conditionalCreate() {
        return linkable
      },
      storageClasses: false,
      serverChecksums: false,
      space: () => connections.call(`look at the space of ${name}`, (session) => spaceOf(session, root)),
    },
    put,

    async *get(key, options = {}) {
      yield* readBlocks(connections, { path: pathOf(key), key, name }, options)
    },

    async stat(key, { signal } = {}) {
      const path = pathOf(key)
      throwIfAborted(signal)
      const stats = await connections.call(`look at ${key} in ${name}`, (session) => statOf(session, path, signal))
      if (stats === undefined || !isFile(stats)) return undefined
      return { key, size: stats.size, modified: new Date(stats.mtime * 1000), etag: etagOf(stats) }
    },

    async *list(prefix, { signal } = {}) {
      checkPrefix(prefix)
      throwIfAborted(signal)
      const tried = prefix === '' ? `list ${name}` : `list ${prefix} in ${name}`
      yield* walk(connections, { root, tried, signal }, prefix, (one) => !isTemporary(one))
    },

    async remove(key, { signal } = {}) {
      const path = pathOf(key)
      throwIfAborted(signal)
      await connections.call(`remove ${key} from ${name}`, async (session) => {
        try {
          await session.ask<void>((sftp, done) => sftp.unlink(path, done), signal)
        } catch (error) {
          if (!isMissing(error)) throw error
        }
        await removeEmpty(session, root, key)
      })
    },

    async sweep(before, { signal } = {}) {
      const tried = `sweep ${name}`
      const result = { removed: 0, bytes: 0 }
      for await (const { key, size, modified } of walk(connections, { root, tried, signal }, '', isTemporary)) {
        if (modified >= before) continue
        await connections.call(tried, async (session) => {
          await session.ask<void>((sftp, done) => sftp.unlink(posix.join(root, key), done))
          await removeEmpty(session, root, key)
        })
        result.removed += 1
        result.bytes += size
      }
      return result
    },

    async close() {
      connections.close()
    },
  }
}
