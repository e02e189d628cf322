import { randomUUID } from 'node:crypto'
import { posix } from 'node:path'
import type { Bytes } from '../base/bytes.ts'
import { systemClock } from '../base/clock.ts'
import { AppError, isAppError } from '../base/errors.ts'
import { checkKey } from '../base/keys.ts'
import { registerSecret } from '../base/redact.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { RcloneStorageSettings } from '../model/settings.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { DRIVER_RETRY, type DriverOptions } from './driver-options.ts'
import type { Named } from './folder-walk.ts'
import { discard } from './http.ts'
import { isTemporary, temporaryFor } from './local-files.ts'
import { lookedAtFiles, objectOf } from './looked-at-files.ts'
import { readRemote } from './rclone/remote-name.ts'
import { connect } from './rclone/remote.ts'
import { replayedPut } from './replayed-put.ts'

const DEFAULT_IDLE_TIMEOUT_MS = 120_000
/** Its moves leave an object alone that has the length and time of the new one, be its bytes others: never for us. */
const ALWAYS = { IgnoreTimes: true }
/** An upload may take as long as it moves. */
const LONGEST_MS = 24 * 3_600_000

interface Move {
  tried: string
  signal: AbortSignal | undefined
  from: string
  path: string
  length: number
}

/**
 * Any storage that rclone knows, by its remote control: a program that is started at the first call and ended by
 * `close`. Where the storage can rename, a put sends a temporary file and moves it into place; others show an object
 * when all of it is there. Nothing creates on condition: `ifAbsent` looks first.
 */
export function rclone(settings: Omit<RcloneStorageSettings, 'type'>, options: DriverOptions = {}): Storage {
  const fs = settings.remote
  const { shown, secrets } = readRemote(fs)
  // rclone's own words quote the remote.
  for (const secret of secrets) registerSecret(secret)
  const name = `rclone:${shown}`
  const idleMs = settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS
  const { clock = systemClock, retry = DRIVER_RETRY, onRetry, onRequest } = options
  const timed = { clock, retry, ...(onRetry && { onRetry }), ...(onRequest && { onRequest }) }
  const remote = connect(settings, { ...timed, timeoutMs: LONGEST_MS })
  const { calls } = remote

  function checked(key: string): string {
    checkKey(key)
    if (isTemporary(posix.basename(key)))
      throw new AppError('storage.invalid', `cannot use ${JSON.stringify(key)} as a key: it names a temporary file`)
    return key
  }

  /** A form with one file, as a browser would send it: the only way in for a stream. */
  async function upload(
    tried: string,
    signal: AbortSignal,
    path: string,
    body: Bytes | AsyncIterable<Bytes>,
  ): Promise<void> {
    const edge = `holdfast-${randomUUID()}`
    const file = encodeURIComponent(posix.basename(path)).replaceAll(/['()*]/g, percent)
    const head = Buffer.from(
      `--${edge}\r\ncontent-disposition: form-data; name="file"; filename*=UTF-8''${file}\r\ncontent-type: application/octet-stream\r\n\r\n`,
    )
    const tail = Buffer.from(`\r\n--${edge}--\r\n`)
    const folder = posix.dirname(path)
    const query = new URLSearchParams({ fs, remote: folder === '.' ? '' : folder })
    const response = await remote.ask(tried, signal, {
      method: 'POST',
      path: `/operations/uploadfile?${query.toString()}`,
      headers: { 'content-type': `multipart/form-data; boundary=${edge}` },
      body: body instanceof Uint8Array ? Buffer.concat([head, body, tail]) : between(head, body, tail),
      idleMs,
    })
    await discard(response)
  }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    const { signal, ifAbsent = false, onBytes = () => undefined } = options
    const path = checked(key)
    const tried = `store ${key} in ${name}`
    throwIfAborted(signal)
    const taken = (): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)
    const lookFirst = async (): Promise<void> => {
      if (ifAbsent && (await files.stat(key, { ...(signal && { signal }) })) !== undefined) throw taken()
    }
    await lookFirst()
    const { moves } = await calls.persist(tried, signal, (each) => remote.features(each))
    // Each try has a file of its own: what was broken off may still be on its way.
    const tries: string[] = []
    let target = path
    try {
      let sent: Named | undefined
      const send = async (content: Bytes | AsyncIterable<Bytes>, each: AbortSignal): Promise<number | undefined> => {
        if (moves) target = temporaryFor(path)
        if (moves) tries.push(target)
        await upload(tried, each, target, content)
        sent = await remote.file(tried, each, target)
        return sent?.size
      }
      const place = async (length: number): Promise<boolean> => {
        await lookFirst()
        return moved({ tried, signal, from: target, path, length })
      }
      const length = await replayedPut({ calls, tried, signal, onBytes, send, ...(moves && { place }) }, body)
      for (const file of tries.slice(0, -1)) await takeBack(tried, file)
      // A move keeps the time of change.
      return objectOf(key, sent ?? { name: path, size: length, modified: new Date() })
    } catch (error) {
      for (const file of tries) await takeBack(tried, file)
      throw error
    }
  }

  /** False: it is neither where it was sent to nor, as far as can be seen, in its place. */
  async function moved(job: Move): Promise<boolean> {
    const { tried, signal, from, path, length } = job
    const input = { srcFs: fs, srcRemote: from, dstFs: fs, dstRemote: path, _config: ALWAYS }
    return calls.persist(tried, signal, async (each) => {
      try {
        await remote.command(tried, each, 'operations/movefile', input)
        return true
      } catch (error) {
        if (!isAppError(error, 'storage.not-found')) throw error
        // It removes what it replaces before, and looks at what it moved after: others may have removed either.
        if ((await remote.file(tried, each, from)) !== undefined)
          throw new AppError('storage.failed', `cannot ${tried}: what it replaces went away`, { cause: error })
        return (await remote.file(tried, each, path))?.size === length
      }
    })
  }

  async function takeBack(tried: string, file: string): Promise<void> {
    await calls
      .call(tried, undefined, (each) => remote.command(tried, each, 'operations/deletefile', { fs, remote: file }))
      .catch(() => undefined)
  }

  const files = lookedAtFiles({
    name,
    idleMs,
    calls,
    checked,
    file: remote.file,
    folder: remote.folder,
    read: async (tried, signal, path, headers) =>
      remote.ask(tried, signal, {
        method: 'GET',
        path: `/${encodeURIComponent(`[${fs}]`)}/${path.split('/').map(encodeURIComponent).join('/')}`,
        headers,
      }),
    async remove(tried, signal, path) {
      await remote.command(tried, signal, 'operations/deletefile', { fs, remote: path }).catch((error: unknown) => {
        if (!isAppError(error, 'storage.not-found')) throw error
      })
    },
  })

  return {
    name,
    can: {
      conditionalCreate: false,
      storageClasses: false,
      serverChecksums: false,
      space: () =>
        calls.call(`look at the space of ${name}`, undefined, async (signal) => spaceOf(remote, { fs, name }, signal)),
    },
    put,
    ...files,
    close: () => remote.close(),
  }
}

async function* between(head: Bytes, body: AsyncIterable<Bytes>, tail: Bytes): AsyncGenerator<Bytes> {
  yield head
  yield* body
  yield tail
}

async function spaceOf(
  remote: ReturnType<typeof connect>,
  { fs, name }: { fs: string; name: string },
  signal: AbortSignal,
): Promise<{ free: number; total: number } | undefined> {
  if (!(await remote.features(signal)).about) return undefined
  const about = (await remote.command(`look at the space of ${name}`, signal, 'operations/about', { fs })) as object
  const [free, total] = ['free', 'total'].map((key): unknown => Reflect.get(about, key))
  return typeof free === 'number' && typeof total === 'number' ? { free, total } : undefined
}

const percent = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`
