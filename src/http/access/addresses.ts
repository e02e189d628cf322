/** Who asks, and by which address of ours, a trusted proxy considered. */
import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'
import { AppError } from '../../base/errors.ts'

export interface Asked {
  /** Of the client. */
  address: string
  /** `https://backup.example.com`: what a browser must say as its origin. */
  origin: string
  secure: boolean
}

export function askedOf(request: IncomingMessage, { trustProxy, url }: { trustProxy: boolean; url?: string }): Asked {
  const header = (name: string): string | undefined => {
    const value = request.headers[name]
    // The last one was added by the proxy that we trust.
    const text = Array.isArray(value) ? value.at(-1) : value
    return text?.split(',').at(-1)?.trim()
  }
  const peer = plain(request.socket.remoteAddress ?? '')
  const address = trustProxy ? plain(header('x-forwarded-for') ?? peer) : peer
  if (url !== undefined) {
    const own = new URL(url)
    return { address, origin: own.origin, secure: own.protocol === 'https:' }
  }
  const secure = trustProxy && header('x-forwarded-proto') === 'https'
  const host = (trustProxy ? header('x-forwarded-host') : undefined) ?? request.headers.host ?? 'localhost'
  const origin = `${secure ? 'https' : 'http'}://${host}`
  if (!/^[\w.:[\]-]+$/.test(host) || !URL.canParse(origin))
    throw new AppError('request.invalid', 'the header host names no host')
  return { address, origin: new URL(origin).origin, secure }
}

const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, '')

/** One subscriber has many addresses of IPv6. */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = ''] = address.split('::')
  return `${head.split(':').slice(0, 4).join(':')}::/64`
}

export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|\[?::1\]?)(:\d+)?$/.test(host)
