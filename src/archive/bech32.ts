/** Bech32 (BIP 173), as age writes keys. */
import { AppError } from '../base/errors.ts'

const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/** The 32 bytes of a key with the human-readable part `prefix`. */
export function decodeBech32(text: string, prefix: string): Buffer {
  const bad = (): AppError =>
    new AppError(
      'config.invalid',
      prefix === 'age' ? `${text.slice(0, 12)}… is not an age recipient` : 'the age identity cannot be read',
      {
        hint: 'Recipients look like age1…, identities like AGE-SECRET-KEY-1….',
      },
    )
  if (!text.startsWith(`${prefix}1`)) throw bad()
  const values = Array.from(text.slice(prefix.length + 1), (char) => ALPHABET.indexOf(char))
  if (values.some((value) => value < 0) || values.length < 6) throw bad()
  const expanded = Array.from(prefix, (char) => char.charCodeAt(0))
  if (polymod([...expanded.map((code) => code >> 5), 0, ...expanded.map((code) => code & 31), ...values]) !== 1)
    throw bad()
  const out: number[] = []
  let bits = 0
  let held = 0
  for (const value of values.slice(0, -6)) {
    held = ((held << 5) | value) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    out.push((held >> bits) & 0xff)
  }
  if (out.length !== 32) throw bad()
  return Buffer.from(out)
}

function polymod(values: readonly number[]): number {
  let check = 1
  for (const value of values) {
    const top = check >>> 25
    check = ((check & 0x1ffffff) << 5) ^ value
    GENERATOR.forEach((generator, bit) => {
      if ((top >>> bit) & 1) check ^= generator
    })
  }
  return check >>> 0
}
