import { retry } from '../../base/retry.ts'
import type { SftpStorageSettings } from '../../model/settings.ts'
import type { DriverOptions } from '../driver-options.ts'
import { connect } from './connect.ts'
import { sftpError } from './errors.ts'
import type { Session } from './session.ts'

/** Connections that are opened when they are needed, up to a number, and replaced when they die. */
export interface Pool {
  /** The least busy connection; another one is opened while all are busy. */
  session(): Promise<Session>
  /** A request, or several that need no state between them; errors say what was tried. */
  call<T>(tried: string, work: (session: Session) => Promise<T>): Promise<T>
  /** The same, repeated while that can help. */
  persist<T>(
    tried: string,
    signal: AbortSignal | undefined,
    work: (session: Session, attempt: number) => Promise<T>,
  ): Promise<T>
  close(): void
}

export type PoolOptions = DriverOptions & Required<Pick<DriverOptions, 'retry' | 'clock'>>

const DEFAULT_CONNECTIONS = 3
/** So many transfers share a connection before another one is opened: a log-in costs more than to take turns. */
const SHARED = 2

export function pool(settings: Omit<SftpStorageSettings, 'type'>, name: string, options: PoolOptions): Pool {
  const most = settings.connections ?? DEFAULT_CONNECTIONS
  const open = new Set<Session>()
  let opening: Promise<Session> | undefined
  let closed = false

  async function add(): Promise<Session> {
    const made = await connect(settings, name)
    if (closed) made.end()
    else open.add(made)
    return made
  }

  async function session(): Promise<Session> {
    for (const one of open) if (one.dead) open.delete(one)
    const [idlest] = [...open].sort((a, b) => a.load - b.load)
    if (idlest !== undefined && (idlest.load < SHARED || open.size >= most)) return idlest
    opening ??= add().finally(() => (opening = undefined))
    try {
      return await opening
    } catch (error) {
      // Servers bound the connections of a user: what is open goes on alone.
      if (idlest !== undefined && !idlest.dead) return idlest
      throw error
    }
  }

  async function call<T>(tried: string, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await work(await session())
    } catch (error) {
      throw sftpError(error, tried)
    }
  }

  return {
    session,
    call,
    persist: (tried, signal, work) =>
      retry((attempt) => call(tried, (one) => work(one, attempt)), { ...options, ...options.retry, signal }),
    close() {
      closed = true
      for (const one of open) one.end()
      open.clear()
    },
  }
}
