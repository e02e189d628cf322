/** Messages of PostgreSQL's protocol, version 3, out of a socket: nothing is read that nobody waits for. */
import type { Socket } from 'node:net'
import { AppError, errno } from '../../base/errors.ts'
import { formatDuration } from '../../base/units.ts'

export interface Message {
  /** The letter of its type. */
  type: string
  /** Stays as it is until the next message is asked for. */
  body: Buffer
}

/** A longer one is no message of a server. */
const LONGEST = 1024 * 1024 * 1024

export interface Frames {
  next(): Promise<Message>
  /** One byte, as the answer to the question for TLS has it. */
  byte(): Promise<number>
  send(bytes: Uint8Array): void
  readonly socket: Socket
  over(socket: Socket): Frames
  close(): void
}

export function framesOf(socket: Socket, idleMs: number): Frames {
  let rest: Buffer = Buffer.alloc(0)
  let failure: AppError | undefined
  let wake: (() => void) | undefined
  const tell = (error: AppError): void => {
    failure ??= error
    wake?.()
  }
  const onReadable = (): void => wake?.()
  const onError = (error: Error): void => tell(asLost(error))
  const onEnd = (): void => tell(new AppError('source.unreachable', 'the server closed the connection'))
  const onTimeout = (): void => {
    tell(new AppError('source.unreachable', `the server said nothing for ${formatDuration(idleMs)}`))
    socket.destroy()
  }
  socket.on('readable', onReadable).on('error', onError).on('end', onEnd).on('close', onEnd)

  async function more(): Promise<void> {
    for (;;) {
      const got = socket.read() as Buffer | null
      if (got !== null) {
        rest = rest.length === 0 ? got : Buffer.concat([rest, got])
        return
      }
      if (failure !== undefined) throw failure
      socket.setTimeout(idleMs, onTimeout)
      await new Promise<void>((resolve) => (wake = resolve))
      wake = undefined
      socket.setTimeout(0).off('timeout', onTimeout)
    }
  }

  /** So many bytes in one piece, without copying what came together over and over. */
  async function atLeast(count: number): Promise<void> {
    if (rest.length >= count) return
    const parts = [rest]
    let have = rest.length
    rest = Buffer.alloc(0)
    while (have < count) {
      await more()
      parts.push(rest)
      have += rest.length
      rest = Buffer.alloc(0)
    }
    rest = Buffer.concat(parts)
  }

  return {
    async next() {
      await atLeast(5)
      const type = String.fromCharCode(rest[0] as number)
      const length = rest.readUInt32BE(1)
      if (length < 4 || length > LONGEST)
        throw new AppError('source.unreachable', 'what answers does not speak the protocol of PostgreSQL')
      await atLeast(length + 1)
      const body = rest.subarray(5, length + 1)
      rest = rest.subarray(length + 1)
      return { type, body }
    },
    async byte() {
      await atLeast(1)
      const [first = 0] = rest
      rest = rest.subarray(1)
      return first
    },
    send(bytes) {
      if (failure !== undefined) throw failure
      socket.write(bytes)
    },
    socket,
    over(other) {
      for (const [event, listener] of [
        ['readable', onReadable],
        ['error', onError],
        ['end', onEnd],
        ['close', onEnd],
      ] as const)
        socket.off(event, listener)
      // What the plain socket says once TLS is above it comes there too.
      socket.on('error', () => {})
      return framesOf(other, idleMs)
    },
    close() {
      socket.destroy()
    },
  }
}

function asLost(error: Error): AppError {
  return new AppError('source.unreachable', `the connection broke: ${errno(error) ?? error.message}`, { cause: error })
}

/** A message to the server; without a letter for the first ones. */
export function message(type: string, ...parts: (Uint8Array | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)))
  const head = Buffer.alloc(type.length + 4)
  head.write(type, 'latin1')
  head.writeUInt32BE(body.length + 4, type.length)
  return Buffer.concat([head, body])
}
