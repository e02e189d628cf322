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
import { sftpError, statusOf } from './sftp/errors.ts'
import { etagOf, isFile, removeEmpty, statOf, walk } from './sftp/folders.ts'
import { pool } from './sftp/pool.ts'
import { readBlocks } from './sftp/read.ts'
import { asideOf, besides, putBack, replace, unlinked } from './sftp/replace.ts'
import type { Session } from './sftp/session.ts'
import { extension, spaceOf, writeFile } from './sftp/write.ts'

/** Up to here what was created is compared with what should have been, when the answer was lost. */
const COMPARED = 1024 * 1024

/**
 * Objects as files on an SSH server. A put writes a temporary file in the same folder, flushes it and renames it into
 * place; `ifAbsent` links instead, which is atomic. Both are extensions of OpenSSH: without them the old file stands
 * aside while the new one takes its place, where `get` and `stat` find it but lists do not, and `can.conditionalCreate`
 * is false. Nothing is sent before the first call.
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
    const looked = connections.persist(tried, signal, (session) => statOf(session, path, signal))
    // Met below.
    looked.catch(() => undefined)
    if (ifAbsent && (await looked) !== undefined) throw taken()

    const temporary = temporaryFor(path)
    try {
      const written = await writeFile({ pool: connections, path: temporary, tried, modes, signal, onBytes }, body)
      const before = await looked
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
          : replace(session, { from: temporary, to: path, size: stats.size, attempt }),
      )
      return { key, size: stats.size, modified: new Date(stats.mtime * 1000), etag: etagOf(stats) }
    } catch (error) {
      await connections
        .call(tried, async (session) => {
          if (!session.replaces) await putBack(session, path)
          await session.ask<void>((sftp, done) => sftp.unlink(temporary, done))
        })
        .catch(() => undefined)
      throw isAppError(error) ? error : sftpError(error, tried)
    }
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

  const replacesAtOnce = (): Promise<boolean> =>
    connections.call(`look at ${name}`, async (session) => session.replaces)

  /** Whether an old object may go: what is not replaced is put back. Of which object it is cannot always be told. */
  async function swept(tried: string, key: string | undefined): Promise<boolean> {
    if (key === undefined) return false
    return connections.call(tried, async (session) => {
      const path = posix.join(root, key)
      if ((await statOf(session, path)) !== undefined) return true
      await putBack(session, path)
      return false
    })
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
      const path = pathOf(key)
      try {
        return yield* readBlocks(connections, { path, key, name }, options)
      } catch (error) {
        if (!isAppError(error, 'storage.not-found') || (await replacesAtOnce())) throw error
      }
      // It may stand aside; where it does not, the new one is in its place by now.
      const found = await connections.call(`read ${key} from ${name}`, (session) => statOf(session, asideOf(path)))
      yield* readBlocks(connections, { path: found === undefined ? path : asideOf(path), key, name }, options)
    },

    async stat(key, { signal } = {}) {
      const path = pathOf(key)
      throwIfAborted(signal)
      const stats = await connections.call(`look at ${key} in ${name}`, async (session) => {
        for (const one of session.replaces ? [path] : [path, asideOf(path), path]) {
          const found = await statOf(session, one, signal)
          if (found !== undefined) return found
        }
        return undefined
      })
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
        await unlinked(session, path, signal)
        if (!session.replaces) await unlinked(session, asideOf(path), signal)
        await removeEmpty(session, root, key)
      })
    },

    async sweep(before, { signal } = {}) {
      const tried = `sweep ${name}`
      const result = { removed: 0, bytes: 0 }
      for await (const { key, size, modified } of walk(connections, { root, tried, signal }, '', isTemporary)) {
        if (modified >= before) continue
        const old = besides(key)
        if (old !== undefined && !(await swept(tried, old.path))) continue
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
