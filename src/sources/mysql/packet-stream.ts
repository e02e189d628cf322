/** Packets out of a socket, with back-pressure: nothing is read that nobody waits for. */
import type { Socket } from 'node:net'
import { AppError, errno, isAppError } from '../../base/errors.ts'
import { formatDuration, formatSize } from '../../base/units.ts'
import { FULL_PACKET, HEADER, packet } from './packets.ts'

/** A larger row is refused: it would have to be held whole. */
const MAX_PAYLOAD = 64 * 1024 * 1024

export interface PacketStream {
  /** The next payload; its memory stays as it is. */
  next(): Promise<Buffer>
  /**
   * Gives payloads to `take` as long as it answers true. The memory is used again: `take` copies what it keeps. Returns
   * after each piece of the socket, so that the caller may wait.
   */
  some(take: (bytes: Buffer, from: number, to: number) => boolean): Promise<boolean>
  send(payload: Uint8Array): void
  /** The next packet that we send begins a new exchange. */
  restart(): void
  readonly socket: Socket
  /** Goes on over another socket, such as one with TLS. */
  over(socket: Socket): PacketStream
  close(): void
}

export function packetStream(socket: Socket, options: { idleMs: number; sequence?: number }): PacketStream {
  let sequence = options.sequence ?? 0
  let rest: Buffer = Buffer.alloc(0)
  let failure: AppError | undefined
  let wake: (() => void) | undefined
  const tell = (error: AppError): void => {
    failure ??= error
    wake?.()
  }
  const onReadable = (): void => wake?.()
  const onError = (error: Error): void => tell(lost(error))
  const onEnd = (): void => tell(new AppError('source.unreachable', 'the server closed the connection'))
  const onTimeout = (): void => {
    tell(new AppError('source.incomplete', `the server said nothing for ${formatDuration(options.idleMs)}`))
    socket.destroy()
  }
  socket.on('readable', onReadable).on('error', onError).on('end', onEnd).on('close', onEnd)

  async function chunk(): Promise<Buffer> {
    for (;;) {
      const got = socket.read() as Buffer | null
      if (got !== null) return got
      if (failure !== undefined) throw failure
      // Only waiting counts: a slow vault is not the server's silence.
      socket.setTimeout(options.idleMs, onTimeout)
      await new Promise<void>((resolve) => (wake = resolve))
      wake = undefined
      socket.setTimeout(0).off('timeout', onTimeout)
    }
  }

  /** Takes so many bytes. Only what lies on the border of two chunks is copied. */
  async function bytes(count: number): Promise<Buffer> {
    if (rest.length >= count) {
      const out = rest.subarray(0, count)
      rest = rest.subarray(count)
      return out
    }
    const parts = [rest]
    let have = rest.length
    while (have < count) {
      rest = await chunk()
      const part = rest.subarray(0, count - have)
      parts.push(part)
      have += part.length
      rest = rest.subarray(part.length)
    }
    return parts.length === 2 && parts[0]?.length === 0 ? (parts[1] as Buffer) : Buffer.concat(parts)
  }

  async function next(): Promise<Buffer> {
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      const header = await bytes(HEADER)
      const length = header.readUIntLE(0, 3)
      sequence = ((header[3] ?? 0) + 1) & 0xff
      total += length
      if (total > MAX_PAYLOAD)
        throw new AppError('source.unsupported', `a row is larger than ${formatSize(MAX_PAYLOAD)}`, {
          hint: 'Leave its table out, and back it up with `--stdin-from-command -- mariadb-dump --max-allowed-packet=1G …`.',
        })
      parts.push(await bytes(length))
      if (length < FULL_PACKET) return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    }
  }

  async function some(take: (bytes: Buffer, from: number, to: number) => boolean): Promise<boolean> {
    if (rest.length === 0) rest = await chunk()
    let at = 0
    let taken = false
    try {
      while (at + HEADER <= rest.length) {
        const size = (rest[at] as number) | ((rest[at + 1] as number) << 8) | ((rest[at + 2] as number) << 16)
        const end = at + HEADER + size
        if (size === FULL_PACKET || end > rest.length) break
        sequence = ((rest[at + 3] as number) + 1) & 0xff
        const from = at + HEADER
        at = end
        taken = true
        if (!take(rest, from, end)) return false
      }
    } finally {
      rest = rest.subarray(at)
    }
    if (taken) return true
    // One that lies in several chunks.
    const whole = await next()
    return take(whole, 0, whole.length)
  }

  function send(payload: Uint8Array): void {
    if (failure !== undefined) throw failure
    for (let at = 0; ; at += FULL_PACKET) {
      const part = payload.subarray(at, at + FULL_PACKET)
      socket.write(packet(sequence, part))
      sequence = (sequence + 1) & 0xff
      if (part.length < FULL_PACKET) return
    }
  }

  return {
    next,
    some,
    send,
    restart: () => (sequence = 0),
    socket,
    over(other) {
      socket.off('readable', onReadable).off('error', onError).off('end', onEnd).off('close', onEnd)
      return packetStream(other, { ...options, sequence })
    },
    close: () => socket.destroy(),
  }
}

function lost(error: Error): AppError {
  if (isAppError(error)) return error
  const code = errno(error) ?? ''
  const tls = /^(ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|HOSTNAME)/.test(code)
  return new AppError('source.unreachable', `${tls ? 'TLS: ' : ''}${error.message}`, {
    cause: error,
    ...(tls && {
      details: { permanent: true },
      hint: 'Name the authority that signed the certificate of the server with --ca FILE, and the host as it stands in the certificate.',
    }),
  })
}
