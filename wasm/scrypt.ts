/**
 * ROMix of scrypt (RFC 7914) with SIMD, two of its `p` lanes at once: each lane is one long chain of dependent steps, so that two
 * take little longer than one. AssemblyScript, built by `npm run build:wasm` into src/repository/scrypt.wasm;
 * src/repository/scrypt.ts loads it, and its test compares it with Node's scrypt.
 *
 * Words of each block of 64 bytes lie by diagonals: word i of memory is word 5 i mod 16 of the RFC's.
 */

/** A block of `size` (128 r) bytes of each lane is mixed from `a` and `b`, in which `va` and `vb` are mixed when given, to `oa` and `ob`. */
@inline
function blockMix(a: usize, b: usize, oa: usize, ob: usize, va: usize, vb: usize, size: usize, xor: bool): void {
  const half = size >> 1
  const last = size - 64
  let x0 = v128.load(a + last)
  let x1 = v128.load(a + last, 16)
  let x2 = v128.load(a + last, 32)
  let x3 = v128.load(a + last, 48)
  let z0 = v128.load(b + last)
  let z1 = v128.load(b + last, 16)
  let z2 = v128.load(b + last, 32)
  let z3 = v128.load(b + last, 48)
  if (xor) {
    x0 = v128.xor(x0, v128.load(va + last, 0))
    x1 = v128.xor(x1, v128.load(va + last, 16))
    x2 = v128.xor(x2, v128.load(va + last, 32))
    x3 = v128.xor(x3, v128.load(va + last, 48))
    z0 = v128.xor(z0, v128.load(vb + last, 0))
    z1 = v128.xor(z1, v128.load(vb + last, 16))
    z2 = v128.xor(z2, v128.load(vb + last, 32))
    z3 = v128.xor(z3, v128.load(vb + last, 48))
  }
  for (let at: usize = 0; at < size; at += 64) {
    x0 = v128.xor(x0, v128.load(a + at, 0))
    x1 = v128.xor(x1, v128.load(a + at, 16))
    x2 = v128.xor(x2, v128.load(a + at, 32))
    x3 = v128.xor(x3, v128.load(a + at, 48))
    z0 = v128.xor(z0, v128.load(b + at, 0))
    z1 = v128.xor(z1, v128.load(b + at, 16))
    z2 = v128.xor(z2, v128.load(b + at, 32))
    z3 = v128.xor(z3, v128.load(b + at, 48))
    if (xor) {
      x0 = v128.xor(x0, v128.load(va + at, 0))
      x1 = v128.xor(x1, v128.load(va + at, 16))
      x2 = v128.xor(x2, v128.load(va + at, 32))
      x3 = v128.xor(x3, v128.load(va + at, 48))
      z0 = v128.xor(z0, v128.load(vb + at, 0))
      z1 = v128.xor(z1, v128.load(vb + at, 16))
      z2 = v128.xor(z2, v128.load(vb + at, 32))
      z3 = v128.xor(z3, v128.load(vb + at, 48))
    }
    const x0s = x0
    const x1s = x1
    const x2s = x2
    const x3s = x3
    const z0s = z0
    const z1s = z1
    const z2s = z2
    const z3s = z3
    let tx: v128
    let tz: v128
    for (let round = 0; round < 4; round++) {
      tx = i32x4.add(x0, x3)
      tz = i32x4.add(z0, z3)
      x1 = v128.xor(v128.xor(x1, i32x4.shl(tx, 7)), i32x4.shr_u(tx, 25))
      z1 = v128.xor(v128.xor(z1, i32x4.shl(tz, 7)), i32x4.shr_u(tz, 25))
      tx = i32x4.add(x1, x0)
      tz = i32x4.add(z1, z0)
      x2 = v128.xor(v128.xor(x2, i32x4.shl(tx, 9)), i32x4.shr_u(tx, 23))
      z2 = v128.xor(v128.xor(z2, i32x4.shl(tz, 9)), i32x4.shr_u(tz, 23))
      tx = i32x4.add(x2, x1)
      tz = i32x4.add(z2, z1)
      x3 = v128.xor(v128.xor(x3, i32x4.shl(tx, 13)), i32x4.shr_u(tx, 19))
      z3 = v128.xor(v128.xor(z3, i32x4.shl(tz, 13)), i32x4.shr_u(tz, 19))
      tx = i32x4.add(x3, x2)
      tz = i32x4.add(z3, z2)
      x0 = v128.xor(v128.xor(x0, i32x4.shl(tx, 18)), i32x4.shr_u(tx, 14))
      z0 = v128.xor(v128.xor(z0, i32x4.shl(tz, 18)), i32x4.shr_u(tz, 14))
      x1 = v128.shuffle<i32>(x1, x1, 3, 0, 1, 2)
      z1 = v128.shuffle<i32>(z1, z1, 3, 0, 1, 2)
      x2 = v128.shuffle<i32>(x2, x2, 2, 3, 0, 1)
      z2 = v128.shuffle<i32>(z2, z2, 2, 3, 0, 1)
      x3 = v128.shuffle<i32>(x3, x3, 1, 2, 3, 0)
      z3 = v128.shuffle<i32>(z3, z3, 1, 2, 3, 0)
      tx = i32x4.add(x0, x1)
      tz = i32x4.add(z0, z1)
      x3 = v128.xor(v128.xor(x3, i32x4.shl(tx, 7)), i32x4.shr_u(tx, 25))
      z3 = v128.xor(v128.xor(z3, i32x4.shl(tz, 7)), i32x4.shr_u(tz, 25))
      tx = i32x4.add(x3, x0)
      tz = i32x4.add(z3, z0)
      x2 = v128.xor(v128.xor(x2, i32x4.shl(tx, 9)), i32x4.shr_u(tx, 23))
      z2 = v128.xor(v128.xor(z2, i32x4.shl(tz, 9)), i32x4.shr_u(tz, 23))
      tx = i32x4.add(x2, x3)
      tz = i32x4.add(z2, z3)
      x1 = v128.xor(v128.xor(x1, i32x4.shl(tx, 13)), i32x4.shr_u(tx, 19))
      z1 = v128.xor(v128.xor(z1, i32x4.shl(tz, 13)), i32x4.shr_u(tz, 19))
      tx = i32x4.add(x1, x2)
      tz = i32x4.add(z1, z2)
      x0 = v128.xor(v128.xor(x0, i32x4.shl(tx, 18)), i32x4.shr_u(tx, 14))
      z0 = v128.xor(v128.xor(z0, i32x4.shl(tz, 18)), i32x4.shr_u(tz, 14))
      x1 = v128.shuffle<i32>(x1, x1, 1, 2, 3, 0)
      z1 = v128.shuffle<i32>(z1, z1, 1, 2, 3, 0)
      x2 = v128.shuffle<i32>(x2, x2, 2, 3, 0, 1)
      z2 = v128.shuffle<i32>(z2, z2, 2, 3, 0, 1)
      x3 = v128.shuffle<i32>(x3, x3, 3, 0, 1, 2)
      z3 = v128.shuffle<i32>(z3, z3, 3, 0, 1, 2)
    }
    x0 = i32x4.add(x0, x0s)
    x1 = i32x4.add(x1, x1s)
    x2 = i32x4.add(x2, x2s)
    x3 = i32x4.add(x3, x3s)
    z0 = i32x4.add(z0, z0s)
    z1 = i32x4.add(z1, z1s)
    z2 = i32x4.add(z2, z2s)
    z3 = i32x4.add(z3, z3s)
    // Even blocks first, odd ones after them.
    const to = (at >> 1 & ~63) + (at & 64 ? half : 0)
    v128.store(oa + to, x0, 0)
    v128.store(oa + to, x1, 16)
    v128.store(oa + to, x2, 32)
    v128.store(oa + to, x3, 48)
    v128.store(ob + to, z0, 0)
    v128.store(ob + to, z1, 16)
    v128.store(ob + to, z2, 32)
    v128.store(ob + to, z3, 48)
  }
}

/** Fills the tables of two lanes: block `from` is there, blocks up to `to` follow from it. */
export function fill(a: usize, b: usize, size: usize, from: u32, to: u32): void {
  for (let i = from; i < to; i++) {
    const at = <usize>i * size
    blockMix(a + at, b + at, a + at + size, b + at + size, 0, 0, size, false)
  }
}

/** `rounds` (even) of mixing: `xa` and `xb` hold the state, `ya` and `yb` are room for it; `mask`: blocks of a table, less one. */
export function mix(a: usize, b: usize, xa: usize, xb: usize, ya: usize, yb: usize, size: usize, mask: u32, rounds: u32): void {
  const last = size - 64
  for (let i: u32 = 0; i < rounds; i += 2) {
    blockMix(xa, xb, ya, yb, a + <usize>(load<u32>(xa + last) & mask) * size, b + <usize>(load<u32>(xb + last) & mask) * size, size, true)
    blockMix(ya, yb, xa, xb, a + <usize>(load<u32>(ya + last) & mask) * size, b + <usize>(load<u32>(yb + last) & mask) * size, size, true)
  }
}
