/**
 * Signatures as MariaDB's plugin ed25519 wants them: Ed25519 whose secret key is the SHA-512 of a password of any length,
 * where RFC 8032, and so `node:crypto`, knows only 32 bytes. One signature a connection: plain arithmetic is fast enough.
 */
import { createHash } from 'node:crypto'

const P = 2n ** 255n - 19n
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n

const mod = (value: bigint, by = P): bigint => ((value % by) + by) % by

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  for (let square = mod(base), rest = exponent; rest > 0n; rest >>= 1n, square = mod(square * square))
    if (rest & 1n) result = mod(result * square)
  return result
}

const D = mod(-121665n * power(121666n, P - 2n))

/** Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z. */
type Point = readonly [bigint, bigint, bigint, bigint]

const BASE_Y = mod(4n * power(5n, P - 2n))
const BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202n
const BASE: Point = [BASE_X, BASE_Y, 1n, mod(BASE_X * BASE_Y)]

function add([x1, y1, z1, t1]: Point, [x2, y2, z2, t2]: Point): Point {
  const a = mod((y1 - x1) * (y2 - x2))
  const b = mod((y1 + x1) * (y2 + x2))
  const c = mod(2n * D * t1 * t2)
  const d = mod(2n * z1 * z2)
  const [e, f, g, h] = [b - a, d - c, d + c, b + a]
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)]
}

function times(point: Point, scalar: bigint): Point {
  let result: Point = [0n, 1n, 1n, 0n]
  for (let double = point, rest = scalar; rest > 0n; rest >>= 1n, double = add(double, double))
    if (rest & 1n) result = add(result, double)
  return result
}

const fromBytes = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes.toReversed()).toString('hex')}`)

const toBytes = (value: bigint): Buffer =>
  Buffer.from(Buffer.from(value.toString(16).padStart(64, '0'), 'hex').toReversed())

function encoded([x, y, z]: Point): Buffer {
  const inverse = power(z, P - 2n)
  const out = toBytes(mod(y * inverse))
  out[31] = (out[31] ?? 0) | (Number(mod(x * inverse) & 1n) << 7)
  return out
}

const sha512 = (...parts: Uint8Array[]): Buffer => createHash('sha512').update(Buffer.concat(parts)).digest()

function keyOf(password: Uint8Array): { scalar: bigint; prefix: Buffer } {
  const hash = sha512(password)
  hash[0] = (hash[0] ?? 0) & 248
  hash[31] = ((hash[31] ?? 0) & 63) | 64
  return { scalar: fromBytes(hash.subarray(0, 32)), prefix: hash.subarray(32) }
}

export function signEd25519(password: Uint8Array, message: Uint8Array): Buffer {
  const { scalar, prefix } = keyOf(password)
  const nonce = mod(fromBytes(sha512(prefix, message)), ORDER)
  const r = encoded(times(BASE, nonce))
  const challenge = fromBytes(sha512(r, encoded(times(BASE, scalar)), message))
  return Buffer.concat([r, toBytes(mod(nonce + challenge * scalar, ORDER))])
}
