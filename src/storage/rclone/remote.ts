import type { Bytes } from '../../base/bytes.ts'
import { AppError, type ErrorCode } from '../../base/errors.ts'
import { redact } from '../../base/redact.ts'
import type { RcloneStorageSettings } from '../../model/settings.ts'
import { driverCalls, type CallsOptions } from '../calls.ts'
import type { Named } from '../folder-walk.ts'
import { failureOf, httpError, networkError, request, type HttpFailure } from '../http.ts'
import { startRclone, type Running } from './process.ts'
import { readRemote } from './remote-name.ts'

/** What rclone says of the storage behind it. */
export interface Features {
  /** It can rename, so that a temporary file may take its place; else an upload appears whole when it is done. */
  moves: boolean
  /** Times of change are fine enough to tell objects apart. */
  exact: boolean
  /** It can tell of its space. */
  about: boolean
}

export interface Remote {
  calls: ReturnType<typeof driverCalls>
  features(signal: AbortSignal): Promise<Features>
  /** One command of the remote control. */
  command(tried: string, signal: AbortSignal, name: string, input: Record<string, unknown>): Promise<unknown>
  /** Any request to it; what is no success rejects. */
  ask(tried: string, signal: AbortSignal, what: RemoteRequest): Promise<Response>
  folder(tried: string, signal: AbortSignal, path: string): Promise<Named[]>
  file(tried: string, signal: AbortSignal, path: string): Promise<Named | undefined>
  close(): Promise<void>
}

export interface RemoteRequest {
  method: string
  path: string
  headers?: Record<string, string>
  body?: Bytes | AsyncIterable<Bytes>
  /** See HttpRequest. */
  idleMs?: number
}

/** Its errors are texts of forty storages: what most of them say. The first that fits counts. */
const WORDS: [RegExp, ErrorCode][] = [
  // The last: of a disk, when another removes it at the same moment.
  [/object not found|directory not found|^remove .*: no such file or directory/i, 'storage.not-found'],
  [/didn't find section in config|unknown type|no such remote|couldn't find root/i, 'storage.invalid'],
  [/NoSuchBucket|bucket (?:does not exist|not found)|container not found/i, 'storage.missing-bucket'],
  [/no space left|quota|insufficient storage|disk full/i, 'storage.full'],
  [/expired|invalid_grant|token.*refresh/i, 'storage.expired'],
  [/too many requests|rate.?limit|slow ?down|\b429\b|\b503\b/i, 'storage.throttled'],
  [/access ?denied|permission denied|forbidden|unauthorized|\b401\b|\b403\b|invalid credentials/i, 'storage.denied'],
  [/connection refused|no such host|timeout|connection reset|network is unreachable|EOF/i, 'storage.unreachable'],
]

/** A time of change that is no coarser than this, in nanoseconds, tells two objects apart. */
const EXACT_NS = 1000

export function connect(
  settings: Omit<RcloneStorageSettings, 'type'>,
  options: Omit<CallsOptions, 'toError' | 'renew'>,
): Remote {
  const fs = settings.remote
  const { shown } = readRemote(fs)
  const calls = driverCalls({ ...options, toError: networkError })
  let running: Promise<Running> | undefined
  let known: Promise<Features> | undefined
  let closed = false

  async function process(): Promise<Running> {
    const mine = running
    if (mine !== undefined) {
      const alive = await mine.catch(() => undefined)
      if (alive?.ended === false) return alive
      // Others saw it die too: the first of them starts another one, for all.
      if (running === mine) running = undefined
    }
    if (closed) throw new AppError('storage.failed', 'the storage is closed', { details: { permanent: true } })
    return (running ??= startRclone(settings))
  }

  async function ask(tried: string, signal: AbortSignal, what: RemoteRequest): Promise<Response> {
    const { url, authorization } = await process()
    const { method, path, headers = {}, body, idleMs } = what
    const response = await request({
      method,
      url: `${url}${path}`,
      headers: { authorization, ...headers },
      ...(body !== undefined && { body }),
      ...(idleMs !== undefined && { idleMs }),
      signal,
    })
    if (response.ok) return response
    throw rcloneError(tried, await failureOf(response))
  }

  async function command(
    tried: string,
    signal: AbortSignal,
    name: string,
    input: Record<string, unknown>,
  ): Promise<unknown> {
    const response = await ask(tried, signal, {
      method: 'POST',
      path: `/${name}`,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(input)),
    })
    return response.json()
  }

  async function features(signal: AbortSignal): Promise<Features> {
    known ??= command(`look at ${shown}`, signal, 'operations/fsinfo', { fs }).then((info) => ({
      moves: field(field(info, 'Features'), 'Move') === true,
      exact: Number(field(info, 'Precision')) <= EXACT_NS,
      about: field(field(info, 'Features'), 'About') === true,
    }))
    try {
      return await known
    } catch (error) {
      known = undefined
      throw error
    }
  }

  /** Without an etag where two objects might have the same. */
  async function namedOf(item: unknown, signal: AbortSignal): Promise<Named> {
    const [name, size, time] = [field(item, 'Name'), field(item, 'Size'), field(item, 'ModTime')]
    const folder = field(item, 'IsDir') === true
    if (typeof name !== 'string' || typeof size !== 'number')
      throw new AppError('storage.unsupported', 'the answer is not one of rclone')
    const { exact } = await features(signal)
    return {
      name: folder ? `${name}/` : name,
      size,
      modified: new Date(typeof time === 'string' ? time : 0),
      ...(exact && typeof time === 'string' && { etag: `${time}-${size}` }),
    }
  }

  return {
    calls,
    features,
    command,
    ask,
    async folder(tried, signal, path) {
      const opt = { noMimeType: true }
      const answer = await command(tried, signal, 'operations/list', {
        fs,
        remote: path.replace(/\/$/, ''),
        opt,
      }).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'storage.not-found') return { list: [] }
        throw error
      })
      const list = field(answer, 'list')
      return Promise.all((Array.isArray(list) ? list : []).map((item: unknown) => namedOf(item, signal)))
    },
    async file(tried, signal, path) {
      const item = field(await command(tried, signal, 'operations/stat', { fs, remote: path }), 'item')
      if (item === null || item === undefined || field(item, 'IsDir') === true) return undefined
      return namedOf(item, signal)
    },
    async close() {
      closed = true
      await (await running?.catch(() => undefined))?.stop()
    },
  }
}

function rcloneError(tried: string, failure: HttpFailure): AppError {
  let said: unknown
  try {
    said = field(JSON.parse(failure.text) as unknown, 'error')
  } catch {
    // Not its own answer.
  }
  const why = typeof said === 'string' ? said : failure.text
  const code = WORDS.find(([words]) => words.test(why))?.[1] ?? 'storage.failed'
  return httpError(tried, failure, {
    code,
    why: redact(why),
    hint:
      code === 'storage.invalid' ? 'See `rclone listremotes` for the remotes that its configuration has.' : undefined,
  })
}

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
