import { Socket } from 'node:net'
import type { Client, SFTPWrapper, Stats } from 'ssh2'
import { AppError } from '../../base/errors.ts'
import { raceAbort } from '../abortable.ts'

/** One SSH connection with its SFTP channel. Once dead it stays so: all that waits on it has been rejected. */
export interface Session {
  readonly sftp: SFTPWrapper
  /** Bytes that one request to write or read may carry. */
  readonly blockSize: number
  /** The server can rename over what is there. */
  readonly replaces: boolean
  /** Transfers that use it. */
  load: number
  readonly dead: boolean
  /** One request. ssh2 never answers what is asked of a closed connection: that rejects here. */
  ask<T>(request: (sftp: SFTPWrapper, done: Done<T>) => void, signal?: AbortSignal): Promise<T>
  end(): void
}

export type Done<T> = (error: Error | null | undefined, value?: T) => void
export type { Stats }

/** Without the `limits` extension servers promise no more than this. */
export const SAFE_BLOCK = 32 * 1024
/** Larger blocks gain nothing, and are memory. */
const LARGEST_BLOCK = 255 * 1024

export function session(client: Client, sftp: SFTPWrapper, idleMs: number): Session {
  const waiting = new Set<(error: Error) => void>()
  let death: AppError | undefined
  let lastAnswer = performance.now()
  const together = gathering(client)

  function die(reason: string): void {
    if (death !== undefined) return
    death = new AppError('storage.unreachable', reason)
    clearInterval(watch)
    for (const reject of waiting) reject(death)
    waiting.clear()
    client.destroy()
  }
  const watch = setInterval(() => {
    if (waiting.size > 0 && performance.now() - lastAnswer > idleMs)
      die(`the server did not answer for ${Math.round(idleMs / 1000)} s`)
  }, idleMs / 4).unref()
  client.on('close', () => die('the connection was closed')).on('end', () => die('the connection was closed'))
  client.on('error', (error) => die(error.message))
  sftp.on('close', () => die('the SFTP session was ended'))
  sftp.on('error', (error: Error) => die(error.message))

  return {
    sftp,
    blockSize: blockSizeOf(sftp),
    replaces: hasExtension(sftp, 'posix-rename@openssh.com'),
    load: 0,
    get dead() {
      return death !== undefined
    },
    async ask<T>(request: (sftp: SFTPWrapper, done: Done<T>) => void, signal?: AbortSignal): Promise<T> {
      if (death !== undefined) throw death
      if (waiting.size === 0) lastAnswer = performance.now()
      let lost: (error: Error) => void = () => undefined
      const answer = new Promise<T>((resolve, reject) => {
        lost = reject
        waiting.add(reject)
        together()
        request(sftp, (error, value) => {
          lastAnswer = performance.now()
          if (error) reject(error)
          else resolve(value as T)
        })
      })
      try {
        return await raceAbort(answer, signal)
      } finally {
        waiting.delete(lost)
      }
    },
    end() {
      client.end()
      die('the connection is closed')
    },
  }
}

/** ssh2 hands over each packet of 32 KiB by itself: those of one turn, of all requests in it, go to the system at once. */
function gathering(client: Client): () => void {
  const socket: unknown = Reflect.get(client, '_sock')
  if (!(socket instanceof Socket)) return () => undefined
  let corked = false
  return () => {
    if (corked) return
    corked = true
    socket.cork()
    process.nextTick(() => {
      corked = false
      socket.uncork()
    })
  }
}

/** ssh2 asks servers for their limits, and cuts larger requests into several that wait for each other. */
function blockSizeOf(sftp: SFTPWrapper): number {
  const limits = ['_maxReadLen', '_maxWriteLen'].map((name): unknown => Reflect.get(sftp, name))
  if (!limits.every((limit) => typeof limit === 'number' && limit > 0)) return SAFE_BLOCK
  return Math.max(SAFE_BLOCK, Math.min(LARGEST_BLOCK, ...(limits as number[])))
}

/** What the server said that it knows beyond the protocol. */
function hasExtension(sftp: SFTPWrapper, name: string): boolean {
  const known: unknown = Reflect.get(sftp, '_extensions')
  return typeof known === 'object' && known !== null && Reflect.has(known, name)
}
