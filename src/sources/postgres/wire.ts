/** A session with a PostgreSQL server of our own, for what libpq's programs do not give: the replication protocol. */
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { AppError, errno, toAppError } from '../../base/errors.ts'
import type { Server } from './connect.ts'
import { framesOf, message, type Frames, type Message } from './frames.ts'
import { authenticate, serverError } from './wire-auth.ts'

export type Row = (string | undefined)[]

export interface Wire extends AsyncDisposable {
  /** Such as `server_version`. */
  readonly parameters: ReadonlyMap<string, string>
  /** The rows of all its statements, one list each. */
  query(text: string): Promise<Row[][]>
  /** Sends a query whose answer the caller reads. */
  begin(text: string): void
  /** The next message that is no notice; an error of the server rejects. */
  next(): Promise<Message>
  copyData(bytes: Uint8Array): void
  copyDone(): void
  destroy(): void
}

export interface WireOptions {
  /** Speak the replication protocol; else a database is needed. */
  replication: boolean
  database?: string
  signal?: AbortSignal
  /** How long the server may say nothing while we wait. */
  idleMs: number
}

const CONNECT_MS = 30_000
const SSL_REQUEST = 80_877_103
const PROTOCOL_3 = 196_608

export async function openWire(server: Server, options: WireOptions): Promise<Wire> {
  const { signal } = options
  const at = (name: string): string | undefined => server.env[name] ?? process.env[name]
  const user = at('PGUSER') ?? userInfo().username
  const mode = at('PGSSLMODE') ?? 'prefer'
  const socket = await dial(at('PGHOST') ?? 'localhost', Number(at('PGPORT') ?? 5432), signal)
  const { host, local } = socket
  let frames = framesOf(socket.socket, options.idleMs)
  const onAbort = (): void => void frames.socket.destroy(toAppError(signal?.reason, 'run.cancelled'))
  signal?.addEventListener('abort', onAbort, { once: true })
  const release = (): void => signal?.removeEventListener('abort', onAbort)
  try {
    if (!local && mode !== 'disable' && mode !== 'allow')
      frames = await secured(frames, { host, mode, ca: at('PGSSLROOTCERT') })
    const words = [
      ['user', user],
      ['database', options.database ?? user],
      ['application_name', 'holdfast'],
      ['client_encoding', 'UTF8'],
      ...(options.replication ? [['replication', 'true']] : []),
    ].flat()
    frames.send(message('', int32(PROTOCOL_3), ...words, Buffer.of(0)))
    const parameters = await login(frames, { user, password: at('PGPASSWORD') })
    return session(frames, parameters, release)
  } catch (error) {
    release()
    frames.close()
    if (signal?.aborted === true) throw toAppError(signal.reason, 'run.cancelled')
    throw error instanceof AppError
      ? new AppError(error.code, `${server.name}: ${error.message}`, {
          cause: error,
          hint: error.hint,
          details: error.details,
        })
      : error
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

async function dial(
  hosts: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<{ socket: Socket; host: string; local: boolean }> {
  const host = hosts.split(',')[0] ?? hosts
  const local = host.startsWith('/')
  const socket = local
    ? connectSocket(join(host, `.s.PGSQL.${port}`))
    : connectSocket({ host, port, noDelay: true, keepAlive: true })
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void => {
      socket.destroy()
      reject(
        new AppError('source.unreachable', `${host}:${port} does not answer: ${errno(error) ?? error.message}`, {
          cause: error,
        }),
      )
    }
    const timer = setTimeout(() => fail(new Error('timeout')), CONNECT_MS)
    const aborted = (): void => {
      clearTimeout(timer)
      socket.destroy()
      reject(toAppError(signal?.reason, 'run.cancelled'))
    }
    if (signal?.aborted === true) return aborted()
    signal?.addEventListener('abort', aborted, { once: true })
    socket.once('error', fail).once('connect', () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      socket.off('error', fail)
      resolve()
    })
  })
  return { socket, host, local }
}

async function secured(
  frames: Frames,
  { host, mode, ca }: { host: string; mode: string; ca: string | undefined },
): Promise<Frames> {
  frames.send(message('', int32(SSL_REQUEST)))
  if ((await frames.byte()) !== 0x53) {
    if (mode === 'prefer') return frames
    throw new AppError('source.unreachable', 'the server offers no TLS', { details: { permanent: true } })
  }
  const verify = mode === 'verify-ca' || mode === 'verify-full'
  const authority =
    ca === undefined
      ? undefined
      : await readFile(ca).catch((cause: unknown) => {
          throw new AppError('source.unreachable', `the certificate ${ca} cannot be read`, {
            cause,
            details: { permanent: true },
          })
        })
  const plain = frames.socket
  const secure = connectTls({
    socket: plain,
    host,
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: verify,
    ...(authority && { ca: authority }),
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  })
  await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject)).catch(
    (error: Error) => {
      throw new AppError('source.unreachable', `TLS: ${error.message}`, {
        cause: error,
        details: { permanent: true },
        hint: 'Name the authority that signed the certificate of the server with --ca FILE.',
      })
    },
  )
  return frames.over(secure)
}

async function login(
  frames: Frames,
  who: { user: string; password: string | undefined },
): Promise<Map<string, string>> {
  const parameters = new Map<string, string>()
  for (;;) {
    const got = await frames.next()
    switch (got.type) {
      case 'R':
        await authenticate(frames, got, who)
        break
      case 'S': {
        const [name = '', value = ''] = got.body.toString('utf8').split('\0')
        parameters.set(name, value)
        break
      }
      case 'E':
        throw serverError(got.body)
      case 'Z':
        return parameters
      default:
    }
  }
}

function session(frames: Frames, parameters: ReadonlyMap<string, string>, release: () => void): Wire {
  /** After a failure nothing that comes is the answer to anything. */
  let broken: unknown
  async function next(): Promise<Message> {
    if (broken !== undefined) throw broken
    for (;;) {
      const got = await frames.next().catch((error: unknown) => {
        broken = error
        throw error
      })
      if (got.type === 'E') throw serverError(got.body)
      if (got.type !== 'N' && got.type !== 'S' && got.type !== 'A') return got
    }
  }
  const begin = (text: string): void => frames.send(message('Q', text))
  const close = (): void => {
    release()
    frames.close()
  }
  return {
    parameters,
    begin,
    next,
    async query(text) {
      begin(text)
      const results: Row[][] = []
      let rows: Row[] = []
      let failure: unknown
      for (;;) {
        let got: Message
        try {
          got = await next()
        } catch (error) {
          if (broken !== undefined) throw error
          failure ??= error
          continue
        }
        if (got.type === 'D') rows.push(rowOf(got.body))
        else if (got.type === 'C') {
          results.push(rows)
          rows = []
        } else if (got.type === 'Z') {
          if (failure !== undefined) throw failure
          return results
        }
      }
    },
    copyData: (bytes) => frames.send(message('d', bytes)),
    copyDone: () => frames.send(message('c')),
    destroy: close,
    [Symbol.asyncDispose]: async () => close(),
  }
}

/** A row, each value as text. */
export function rowOf(body: Buffer): Row {
  const row: Row = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at)
    at += 4
    if (length < 0) row.push(undefined)
    else {
      row.push(body.toString('utf8', at, at + length))
      at += length
    }
  }
  return row
}
