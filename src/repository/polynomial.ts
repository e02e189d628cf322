/** The irreducible polynomial of degree 53 over GF(2) that a repository's chunker uses; random, and kept secret. */
import { randomBytes } from 'node:crypto'

export const DEGREE = 53

const degree = (x: bigint): number => (x === 0n ? -1 : x.toString(2).length - 1)

function reduce(x: bigint, by: bigint): bigint {
  const d = degree(by)
  let rest = x
  for (let k = degree(rest); k >= d; k = degree(rest)) rest ^= by << BigInt(k - d)
  return rest
}

function square(x: bigint, by: bigint): bigint {
  let out = 0n
  for (let i = degree(x); i >= 0; i -= 1) if (((x >> BigInt(i)) & 1n) === 1n) out |= 1n << BigInt(2 * i)
  return reduce(out, by)
}

function divisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b]
  while (y !== 0n) [x, y] = [y, reduce(x, y)]
  return x
}

/** Ben-Or's test: it shares no factor with x^(2^i) - x for any i up to half its degree. */
export function isIrreducible(polynomial: bigint): boolean {
  let power = 2n
  for (let i = 1; i <= degree(polynomial) / 2; i += 1) {
    power = square(power, polynomial)
    if (divisor(polynomial, power ^ 2n) !== 1n) return false
  }
  return true
}

export function randomPolynomial(): bigint {
  for (;;) {
    const random = randomBytes(8).readBigUInt64BE()
    const candidate = (random & ((1n << BigInt(DEGREE + 1)) - 1n)) | (1n << BigInt(DEGREE)) | 1n
    if (isIrreducible(candidate)) return candidate
  }
}

/** Lower-case hex without a prefix, as the configuration has it; undefined when it is no polynomial to chunk with. */
export function parsePolynomial(text: string): bigint | undefined {
  if (!/^[0-9a-f]{1,16}$/i.test(text)) return undefined
  const polynomial = BigInt(`0x${text}`)
  return degree(polynomial) === DEGREE && isIrreducible(polynomial) ? polynomial : undefined
}
