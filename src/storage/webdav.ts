import { posix } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { WebdavStorageSettings } from '../model/settings.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import { discard } from './http.ts'
import type { Named } from './folder-walk.ts'
import { isTemporary, temporaryFor } from './local-files.ts'
import { lookedAtFiles, objectOf } from './looked-at-files.ts'
import { replayedPut } from './replayed-put.ts'
import { connect } from './webdav/client.ts'

/** Some servers take a backslash for a slash. */
const REFUSED_IN_KEYS = '\\'
const DEFAULT_IDLE_TIMEOUT_MS = 60_000
/** When to remove what was broken off: a server may still be at work on it. */
const LOOK_AGAIN_MS = [0, 100, 500]
/** A stream may take as long as it moves: each of its requests is bounded by this. */
const LONGEST_MS = 24 * 3_600_000

/**
 * Objects as files on a WebDAV server. A put sends a temporary file, looks whether all of it arrived, and moves it into
 * place; `ifAbsent` moves without overwriting, which servers do atomically or not, so `can.conditionalCreate` is false
 * and the driver looks first. A stream is kept on this machine while it is sent, so that it can be sent again.
 */
export function webdav(settings: Omit<WebdavStorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const shown = new URL(settings.url)
  shown.username = shown.password = ''
  const name = shown.href.replace(/^http/, 'webdav').replace(/\/$/, '')
  const idleMs = settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry, onRequest } = options
  const timed = { clock, retry, ...(onRetry && { onRetry }), ...(onRequest && { onRequest }) }
  const client = connect(settings, { ...timed, timeoutMs: 2 * idleMs })
  const { calls, ask } = client
  const long = connect(settings, { ...timed, timeoutMs: LONGEST_MS })

  function checked(key: string): string {
    checkKey(key)
    if (key.includes(REFUSED_IN_KEYS))
      throw new AppError('storage.invalid', `cannot use ${JSON.stringify(key)} as a key: it holds a backslash`)
    if (isTemporary(posix.basename(key)))
      throw new AppError('storage.invalid', `cannot use ${JSON.stringify(key)} as a key: it names a temporary file`)
    return key
  }

  /** With those above it, also above the address of the storage. */
  async function makeFolder(tried: string, signal: AbortSignal, href: string): Promise<void> {
    const make = async (): Promise<number> =>
      (await discard(await ask(tried, signal, { method: 'MKCOL', path: href, also: [301, 302, 403, 404, 405, 409] })))
        .status
    const above = new URL('..', href).href
    if (![404, 409].includes(await make()) || above === href) return
    await makeFolder(tried, signal, above)
    await make()
  }

  /** Folders that are there; none is ever removed here. */
  const folders = new Set<string>()

  async function upload(
    tried: string,
    signal: AbortSignal,
    path: string,
    body: Bytes | AsyncIterable<Bytes>,
  ): Promise<void> {
    const folder = posix.dirname(path)
    // Before the body: what began to be sent to a place that is not there is lost.
    if (!folders.has(folder)) await makeFolder(tried, signal, client.urlOf(folder === '.' ? '' : `${folder}/`))
    folders.add(folder)
    try {
      const headers = { 'content-type': 'application/octet-stream' }
      await discard(await long.ask(tried, signal, { method: 'PUT', path, headers, body, idleMs }))
    } catch (error) {
      if (!isAppError(error) || ![404, 409].includes(Number(error.details['status']))) throw error
      folders.delete(folder)
      throw new AppError('storage.failed', error.message, { cause: error })
    }
  }

  const taken = (key: string): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    const { signal, ifAbsent = false, onBytes = () => undefined } = options
    const path = checked(key)
    const tried = `store ${key} in ${name}`
    throwIfAborted(signal)
    if (ifAbsent && (await files.stat(key, { ...(signal && { signal }) })) !== undefined) throw taken(key)
    // Each try has a file of its own: a server may still write what was broken off behind what comes next.
    const tries: string[] = []
    let temporary = ''
    try {
      const send = async (sent: Bytes | AsyncIterable<Bytes>, each: AbortSignal): Promise<number | undefined> => {
        temporary = temporaryFor(path)
        tries.push(temporary)
        await upload(tried, each, temporary, sent)
        return (await client.file(tried, each, temporary))?.size
      }
      let stored: Named | undefined
      const place = async (length: number): Promise<boolean> => {
        const move = { from: temporary, path, length, ifAbsent }
        stored = await calls.persist(tried, signal, async (each) => moved(tried, each, move))
        return stored !== undefined
      }
      const length = await replayedPut({ calls: long.calls, tried, signal, onBytes, send, place }, body)
      for (const file of tries.slice(0, -1)) await takeBack(tried, file)
      return objectOf(key, stored ?? { name: path, size: length, modified: new Date() })
    } catch (error) {
      for (const file of tries) await takeBack(tried, file)
      throwIfAborted(signal)
      throw error
    }
  }

  /** Undefined: it is neither where it was sent to nor, as far as can be seen, in its place. */
  async function moved(
    tried: string,
    signal: AbortSignal,
    { from, path, length, ifAbsent }: { from: string; path: string; length: number; ifAbsent: boolean },
  ): Promise<Named | undefined> {
    const headers = { destination: client.urlOf(path), overwrite: ifAbsent ? 'F' : 'T' }
    const also = [403, 404, 409, 412, 500]
    const { ok, status } = await discard(await ask(tried, signal, { method: 'MOVE', path: from, headers, also }))
    if (status === 412 && ifAbsent) throw taken(path)
    const found = await client.file(tried, signal, path)
    // Others moved theirs to the same place just then, or removed it; or the answer to an earlier try was lost.
    if (ok || found?.size === length) {
      const there = found?.size === length ? found : { name: path, size: length, modified: new Date() }
      if (ok || (await client.file(tried, signal, from)) === undefined) return there
    } else if ((await client.file(tried, signal, from)) === undefined) return undefined
    throw new AppError('storage.failed', `cannot ${tried}: it was not moved into place (HTTP ${status})`)
  }

  /** A server may still be at work on what was broken off, and write its file behind the removal. */
  async function takeBack(tried: string, path: string): Promise<void> {
    for (const wait of LOOK_AGAIN_MS) {
      await sleep(wait)
      await calls
        .call(tried, undefined, async (each) =>
          discard(await ask(tried, each, { method: 'DELETE', path, also: [404] })),
        )
        .catch(() => undefined)
    }
  }

  const files = lookedAtFiles({
    name,
    idleMs,
    calls,
    checked,
    file: client.file,
    folder: async (tried, signal, path) => (await client.folder(tried, signal, path)) ?? [],
    read: async (tried, signal, path, headers) =>
      ask(tried, signal, { method: 'GET', path, headers: { ...headers, 'accept-encoding': 'identity' } }),
    async remove(tried, signal, path) {
      await discard(await ask(tried, signal, { method: 'DELETE', path, also: [404, 409] }))
    },
  })

  return {
    name,
    can: { conditionalCreate: false, storageClasses: false, serverChecksums: false, refusedInKeys: REFUSED_IN_KEYS },
    put,
    ...files,
    async close() {},
  }
}
