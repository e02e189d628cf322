/** One session with a MySQL or MariaDB server. Statements are run one after the other. */
import { readFile } from 'node:fs/promises'
import { connect as connectSocket, isIP, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { AppError, toAppError } from '../../base/errors.ts'
import { answerOf, sealed } from './auth.ts'
import {
  CAN,
  hello,
  isEof,
  lengthAt,
  parseColumn,
  parseGreeting,
  parseRow,
  serverError,
  type Column,
  type Greeting,
} from './packets.ts'
import { packetStream, type PacketStream } from './packet-stream.ts'

export interface Login {
  /** A path is a socket of this machine. */
  host: string
  port: number
  user: string
  password: string
  tls: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'
  ca?: string
  idleMs: number
}

export type Row = (string | undefined)[]

export interface RowSink {
  columns(columns: readonly Column[]): void
  row(bytes: Buffer, from: number, to: number): void
  /** Asked between pieces of what the server sends: the place to wait. */
  ready(): Promise<void> | undefined
}

export interface Connection extends AsyncDisposable {
  readonly version: string
  readonly mariadb: boolean
  readonly encrypted: boolean
  /** The rows of a statement that gives few. */
  query(statement: string): Promise<Row[]>
  run(statement: string | Uint8Array): Promise<void>
  /** The rows of a statement that may give many. */
  stream(statement: string, sink: RowSink): Promise<void>
  /** The events that the server sends for a command, until it ends them. */
  events(command: Uint8Array): AsyncGenerator<Buffer>
  /** Ends it at once; what runs rejects. */
  destroy(): void
}

const COM_QUERY = 3
const CONNECT_MS = 30_000

export async function openConnection(login: Login, signal?: AbortSignal): Promise<Connection> {
  const socket = await dial(login, signal)
  let packets = packetStream(socket, login)
  const onAbort = (): void => void packets.socket.destroy(toAppError(signal?.reason, 'run.cancelled'))
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    const greeting = parseGreeting(await packets.next())
    packets = await authenticate(packets, greeting, login)
    return session(packets, greeting, () => signal?.removeEventListener('abort', onAbort))
  } catch (error) {
    signal?.removeEventListener('abort', onAbort)
    packets.close()
    throw error
  }
}

async function dial({ host, port }: Login, signal: AbortSignal | undefined): Promise<Socket> {
  const socket = host.startsWith('/')
    ? connectSocket(host)
    : connectSocket({ host, port, noDelay: true, keepAlive: true })
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer in ${CONNECT_MS / 1000} s`)), CONNECT_MS)
      const cancelled = (): void => reject(toAppError(signal?.reason, 'run.cancelled'))
      signal?.addEventListener('abort', cancelled, { once: true })
      const settle = (then: () => void) => (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancelled)
        then()
      }
      socket.once('connect', settle(resolve)).once('error', (error) => settle(() => reject(error))())
    })
  } catch (error) {
    socket.destroy()
    throw error instanceof AppError
      ? error
      : new AppError('source.unreachable', (error as Error).message, { cause: error })
  }
  return socket
}

async function authenticate(packets: PacketStream, greeting: Greeting, login: Login): Promise<PacketStream> {
  const { user, password, host } = login
  const local = host.startsWith('/')
  let capabilities =
    CAN.longPassword |
    CAN.longFlag |
    CAN.protocol41 |
    CAN.transactions |
    CAN.secureConnection |
    CAN.multiResults |
    CAN.pluginAuth
  const offered = (greeting.capabilities & CAN.ssl) !== 0
  let stream = packets
  if (login.tls !== 'disable' && !local) {
    if (offered) {
      capabilities |= CAN.ssl
      stream.send(hello(capabilities))
      stream = stream.over(await encrypted(stream.socket, login))
    } else if (login.tls !== 'prefer')
      throw new AppError('source.unreachable', 'the server offers no TLS', {
        hint: 'Set ssl_cert and ssl_key on the server, or say --tls disable.',
        details: { permanent: true },
      })
  }
  const secure = local || (capabilities & CAN.ssl) !== 0
  let { plugin, nonce } = greeting
  const known = ['mysql_native_password', 'caching_sha2_password', 'client_ed25519', 'unix_socket', 'auth_socket']
  if (!known.includes(plugin)) plugin = 'mysql_native_password'
  stream.send(hello(capabilities, { user, answer: answerOf(plugin, password, nonce, secure), plugin }))
  for (;;) {
    const payload = await stream.next()
    switch (payload[0]) {
      case 0:
        return stream
      case 0xff:
        throw serverError(payload)
      case 0xfe: {
        const end = payload.indexOf(0, 1)
        plugin = payload.toString('latin1', 1, end)
        nonce = Buffer.from(payload.subarray(end + 1))
        if (nonce.length % 4 === 1) nonce = nonce.subarray(0, -1)
        stream.send(answerOf(plugin, password, nonce, secure))
        break
      }
      case 1:
        if (plugin !== 'caching_sha2_password' || payload[1] === 3) break
        if (payload[1] === 4 && secure) stream.send(Buffer.from(`${password}\0`))
        else if (payload[1] === 4) stream.send(Buffer.from([2]))
        else stream.send(sealed(password, nonce, payload.toString('latin1', 1)))
        break
      default:
        throw new AppError('source.unreachable', 'the server answers the login with something unknown')
    }
  }
}

async function encrypted(socket: Socket, { tls, host, ca }: Login): Promise<Socket> {
  const verify = tls === 'verify-ca' || tls === 'verify-full'
  const options: ConnectionOptions = {
    socket,
    ...(isIP(host) === 0 && { servername: host }),
    host,
    rejectUnauthorized: verify,
    ...(ca !== undefined && { ca: await readCa(ca) }),
    ...(tls === 'verify-ca' && { checkServerIdentity: () => undefined }),
  }
  const secure = connectTls(options)
  await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject)).catch(
    (error: Error) => {
      throw new AppError('source.unreachable', `TLS: ${error.message}`, {
        cause: error,
        details: { permanent: true },
        hint: 'Name the authority that signed the certificate of the server with --ca FILE, and the host as it stands in the certificate.',
      })
    },
  )
  return secure
}

async function readCa(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new AppError('config.invalid', `the authority ${file} cannot be read`, { cause })
  }
}

function session(packets: PacketStream, { version, capabilities }: Greeting, release: () => void): Connection {
  function command(statement: string | Uint8Array): void {
    packets.restart()
    packets.send(
      Buffer.concat([Buffer.from([COM_QUERY]), typeof statement === 'string' ? Buffer.from(statement) : statement]),
    )
  }

  /** The columns of the answer; none where it has no rows. */
  async function answer(): Promise<Column[]> {
    const payload = await packets.next()
    if (payload[0] === 0) return []
    if (payload[0] === 0xff) throw serverError(payload)
    if (payload[0] === 0xfb) throw new AppError('source.failed', 'the server asks for a file of this machine')
    const columns: Column[] = []
    for (let count = lengthAt(payload, 0).value; count > 0; count -= 1) columns.push(parseColumn(await packets.next()))
    await packets.next()
    return columns
  }

  return {
    version,
    mariadb: /mariadb/i.test(version),
    encrypted: 'encrypted' in packets.socket && (capabilities & CAN.ssl) !== 0,
    async query(statement) {
      command(statement)
      const columns = await answer()
      const rows: Row[] = []
      if (columns.length === 0) return rows
      for (;;) {
        const payload = await packets.next()
        if (isEof(payload)) return rows
        if (payload[0] === 0xff) throw serverError(payload)
        rows.push(parseRow(payload, columns.length))
      }
    },
    async run(statement) {
      command(statement)
      if ((await answer()).length === 0) return
      while (!isEof(await packets.next()));
    },
    async stream(statement, sink) {
      command(statement)
      const columns = await answer()
      sink.columns(columns)
      if (columns.length === 0) return
      let ended: Buffer | undefined
      const take = (bytes: Buffer, from: number, to: number): boolean => {
        const first = bytes[from]
        if (first === 0xff || (first === 0xfe && to - from < 9)) {
          ended = Buffer.from(bytes.subarray(from, to))
          return false
        }
        sink.row(bytes, from, to)
        return true
      }
      while (await packets.some(take)) await sink.ready()
      if (ended === undefined || !isEof(ended)) throw serverError(ended ?? Buffer.alloc(9))
    },
    async *events(what) {
      packets.restart()
      packets.send(what)
      for (;;) {
        const payload = await packets.next()
        if (payload[0] === 0xff) throw serverError(payload)
        if (isEof(payload)) return
        yield payload.subarray(1)
      }
    },
    destroy() {
      release()
      packets.close()
    },
    async [Symbol.asyncDispose]() {
      release()
      packets.close()
    },
  }
}
