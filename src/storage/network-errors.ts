/** What the errors of connections, and headers around them, mean to every driver that speaks HTTP. */
import type { ErrorCode } from '../base/errors.ts'

const NETWORK =
  /^(E(CONN|HOST|NET|TIMEDOUT|PIPE|ADDR|AI_|NOTFOUND)|EAI_|ENOTFOUND|UND_ERR|ERR_SSL|ERR_STREAM_PREMATURE)/
const CERTIFICATE = /CERT|UNABLE_TO_(VERIFY|GET)|ERR_TLS|SELF_SIGNED/

export const isCertificateError = (code: string): boolean => CERTIFICATE.test(code)

/** `storage.unreachable` for the codes of broken connections; undefined for all others. */
export const networkCode = (code: string): ErrorCode | undefined =>
  NETWORK.test(code) || CERTIFICATE.test(code) ? 'storage.unreachable' : undefined

/** `Retry-After` is seconds or a date. */
export function secondsOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined
}
