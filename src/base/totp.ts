/** One-time codes of authenticators: RFC 6238 with SHA-1, 30 seconds and six digits, which all of them know. */
import { createHmac, randomBytes } from 'node:crypto'

const STEP_MS = 30_000
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 160 random bits in base32. */
export function newTotpSecret(): string {
  return base32(randomBytes(20))
}

/** What authenticators read from a picture. */
export function totpUri(secret: string, account: string, issuer = 'Holdfast'): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  return `otpauth://totp/${label}?secret=${secret}&issuer=${encodeURIComponent(issuer)}`
}

/** The time step that the code belongs to, one before and after now allowed; undefined if it is wrong or not newer than `last`. */
export function totpStep(secret: string, code: string, now: Date, last = -1): number | undefined {
  const digits = code.replaceAll(/\s/g, '')
  if (!/^\d{6}$/.test(digits)) return undefined
  const current = Math.floor(now.getTime() / STEP_MS)
  return [current, current - 1, current + 1].find((step) => step > last && totpCode(secret, step) === digits)
}

export function totpCode(secret: string, step: number, digits = 6): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const hash = createHmac('sha1', unbase32(secret)).update(counter).digest()
  const at = (hash.at(-1) ?? 0) & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 10 ** digits).padStart(digits, '0')
}

export const stepOf = (time: Date): number => Math.floor(time.getTime() / STEP_MS)

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => ALPHABET[Number.parseInt(five.padEnd(5, '0'), 2)]).join('')
}

function unbase32(text: string): Buffer {
  const bits = [...text.toUpperCase().replaceAll(/[^A-Z2-7]/g, '')]
    .map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0'))
    .join('')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}
