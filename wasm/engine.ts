/**
 * The two loops of the repository engine that JavaScript is too slow for: restic's content-defined chunker and
 * Poly1305. AssemblyScript, built by `npm run build:wasm` into src/repository/engine.wasm; src/repository/engine.ts
 * loads it, and slow twins in TypeScript check it in engine.test.ts.
 *
 * Memory is the caller's: everything from `base()` on is free for its buffers.
 */

/** Rabin fingerprint over GF(2) of the last 64 bytes; docs/formats/repository.md §6. */
const WINDOW: i32 = 64
/** Bytes that one of four lanes runs ahead: a cut found by a later lane wastes at most three of these. */
const LANE: i32 = 16384

/** Tables at fixed addresses, below everything else (see scripts/build-wasm.ts): a load then needs no addition. */
/** What the byte that leaves the window has added to the next digest, by byte. */
const OUT: usize = 1024
/** What reduces a digest after a shift by eight bits, by its top byte. */
const MOD: usize = 3072
let cutMask: u32 = (1 << 20) - 1

export function base(): usize {
  return (__heap_base + 1023) & ~1023
}

function degree(x: u64): i32 {
  return x == 0 ? -1 : 63 - <i32>clz(x)
}

function reduce(x: u64, polynomial: u64): u64 {
  const d = degree(polynomial)
  while (degree(x) >= d) x ^= polynomial << (degree(x) - d)
  return x
}

/** `polynomial`: of degree 53. `bits`: an average chunk has 2^bits bytes beyond the least. */
export function chunkerInit(polynomial: u64, bits: i32): void {
  cutMask = ((<u32>1) << bits) - 1
  for (let b = 0; b < 256; b++) {
    let out = reduce(<u64>b, polynomial)
    for (let i = 0; i < WINDOW; i++) out = reduce(out << 8, polynomial)
    store<u64>(OUT + b * 8, out)
    const top = (<u64>b) << 53
    store<u64>(MOD + b * 8, reduce(top, polynomial) | top)
  }
}

/** The digest shifted by eight bits, which are 0, and reduced: its top byte is in bits 45 to 52. */
@inline function shift(digest: u64): u64 {
  return (digest << 8) ^ load<u64>(<usize>(<u32>(digest >> 42) & 0x7f8), MOD)
}

/** The digest of the 64 bytes before `at`. */
@inline function prime(at: usize): u64 {
  let digest: u64 = 0
  for (let p = at - WINDOW; p < at; p++) digest = shift(digest) ^ <u64>load<u8>(p)
  return digest
}

/** `entering` and `leaving` do not depend on the digest, so that the processor has them ready. */
@inline function roll(digest: u64, entering: u64, leaving: usize): u64 {
  return shift(digest) ^ (load<u64>(leaving << 3, OUT) ^ entering)
}

/**
 * The length of the chunk that begins at `ptr`, looked for among the lengths `from` to `length` (both at least 64);
 * 0 when none of these ends a chunk. The caller knows least and greatest lengths.
 */
export function nextCut(ptr: usize, from: i32, length: i32): i32 {
  const mask = cutMask
  let at = ptr + from
  const end = ptr + length
  while (at + 4 * LANE <= end) {
    let d0 = prime(at)
    let d1 = prime(at + LANE)
    let d2 = prime(at + 2 * LANE)
    let d3 = prime(at + 3 * LANE)
    let c1: usize = 0
    let c2: usize = 0
    let c3: usize = 0
    if ((<u32>d0 & mask) == 0) return <i32>(at - ptr)
    const stop = at + LANE
    for (let p = at; p < stop; ) {
      const q = p - WINDOW
      d0 = roll(d0, <u64>load<u8>(q, 64), <usize>load<u8>(q))
      d1 = roll(d1, <u64>load<u8>(q, LANE + 64), <usize>load<u8>(q, LANE))
      d2 = roll(d2, <u64>load<u8>(q, 2 * LANE + 64), <usize>load<u8>(q, 2 * LANE))
      d3 = roll(d3, <u64>load<u8>(q, 3 * LANE + 64), <usize>load<u8>(q, 3 * LANE))
      p++
      // One test and one branch for each lane, nearly never taken.
      if ((<u32>d0 & mask) != 0 && (<u32>d1 & mask) != 0 && (<u32>d2 & mask) != 0 && (<u32>d3 & mask) != 0) continue
      if ((<u32>d0 & mask) == 0) return <i32>(p - ptr)
      if ((<u32>d1 & mask) == 0 && c1 == 0) c1 = p + LANE
      if ((<u32>d2 & mask) == 0 && c2 == 0) c2 = p + 2 * LANE
      if ((<u32>d3 & mask) == 0 && c3 == 0) c3 = p + 3 * LANE
    }
    if (c1) return <i32>(c1 - ptr)
    if (c2) return <i32>(c2 - ptr)
    if (c3) return <i32>(c3 - ptr)
    at += 4 * LANE
  }
  let digest = prime(at)
  if ((<u32>digest & mask) == 0) return <i32>(at - ptr)
  while (at < end) {
    digest = roll(digest, <u64>load<u8>(at), <usize>load<u8>(at - WINDOW))
    at++
    if ((<u32>digest & mask) == 0) return <i32>(at - ptr)
  }
  return 0
}

/** Poly1305 in five limbs of 26 bits. One message at a time. */
let r0: u64 = 0
let r1: u64 = 0
let r2: u64 = 0
let r3: u64 = 0
let r4: u64 = 0
let h0: u64 = 0
let h1: u64 = 0
let h2: u64 = 0
let h3: u64 = 0
let h4: u64 = 0

/** `r`: 16 bytes, clamped here. */
export function polyInit(r: usize): void {
  r0 = <u64>(load<u32>(r) & 0x3ffffff)
  r1 = <u64>((load<u32>(r, 3) >> 2) & 0x3ffff03)
  r2 = <u64>((load<u32>(r, 6) >> 4) & 0x3ffc0ff)
  r3 = <u64>((load<u32>(r, 9) >> 6) & 0x3f03fff)
  r4 = <u64>((load<u32>(r, 12) >> 8) & 0x00fffff)
  h0 = h1 = h2 = h3 = h4 = 0
}

/** `length`: a multiple of 16. `bit`: 1 << 24 for whole blocks, 0 for a last one that carries its own. */
function blocks(ptr: usize, length: i32, bit: u64): void {
  const a0 = r0
  const a1 = r1
  const a2 = r2
  const a3 = r3
  const a4 = r4
  const s1 = a1 * 5
  const s2 = a2 * 5
  const s3 = a3 * 5
  const s4 = a4 * 5
  let g0 = h0
  let g1 = h1
  let g2 = h2
  let g3 = h3
  let g4 = h4
  const end = ptr + length
  for (let p = ptr; p < end; p += 16) {
    const t0 = load<u64>(p)
    const t1 = load<u64>(p, 8)
    g0 += t0 & 0x3ffffff
    g1 += (t0 >> 26) & 0x3ffffff
    g2 += ((t0 >> 52) | (t1 << 12)) & 0x3ffffff
    g3 += (t1 >> 14) & 0x3ffffff
    g4 += (t1 >> 40) | bit
    const d0 = g0 * a0 + g1 * s4 + g2 * s3 + g3 * s2 + g4 * s1
    let d1 = g0 * a1 + g1 * a0 + g2 * s4 + g3 * s3 + g4 * s2
    let d2 = g0 * a2 + g1 * a1 + g2 * a0 + g3 * s4 + g4 * s3
    let d3 = g0 * a3 + g1 * a2 + g2 * a1 + g3 * a0 + g4 * s4
    let d4 = g0 * a4 + g1 * a3 + g2 * a2 + g3 * a1 + g4 * a0
    d1 += d0 >> 26
    d2 += d1 >> 26
    d3 += d2 >> 26
    d4 += d3 >> 26
    g0 = (d0 & 0x3ffffff) + (d4 >> 26) * 5
    g1 = (d1 & 0x3ffffff) + (g0 >> 26)
    g0 &= 0x3ffffff
    g2 = d2 & 0x3ffffff
    g3 = d3 & 0x3ffffff
    g4 = d4 & 0x3ffffff
  }
  h0 = g0
  h1 = g1
  h2 = g2
  h3 = g3
  h4 = g4
}

/** Whole blocks in the middle of a message. */
export function polyBlocks(ptr: usize, length: i32): void {
  blocks(ptr, length, 1 << 24)
}

const lastBlock = memory.data(16, 16)

/** The rest of the message, the 16 bytes `s` that are added, and where the 16 bytes of the result go. */
export function polyFinish(ptr: usize, length: i32, s: usize, out: usize): void {
  const whole = length & ~15
  blocks(ptr, whole, 1 << 24)
  const rest = length - whole
  if (rest > 0) {
    memory.fill(lastBlock, 0, 16)
    memory.copy(lastBlock, ptr + whole, rest)
    store<u8>(lastBlock + rest, 1)
    blocks(lastBlock, 16, 0)
  }
  // Carry through, twice as the first may ripple.
  for (let i = 0; i < 2; i++) {
    h1 += h0 >> 26
    h0 &= 0x3ffffff
    h2 += h1 >> 26
    h1 &= 0x3ffffff
    h3 += h2 >> 26
    h2 &= 0x3ffffff
    h4 += h3 >> 26
    h3 &= 0x3ffffff
    h0 += (h4 >> 26) * 5
    h4 &= 0x3ffffff
  }
  h1 += h0 >> 26
  h0 &= 0x3ffffff
  // h - (2^130 - 5), taken if it is not negative.
  let g0 = h0 + 5
  let g1 = h1 + (g0 >> 26)
  g0 &= 0x3ffffff
  let g2 = h2 + (g1 >> 26)
  g1 &= 0x3ffffff
  let g3 = h3 + (g2 >> 26)
  g2 &= 0x3ffffff
  let g4 = h4 + (g3 >> 26)
  g3 &= 0x3ffffff
  const take = <u64>0 - (g4 >> 26)
  g4 &= 0x3ffffff
  h0 = (h0 & ~take) | (g0 & take)
  h1 = (h1 & ~take) | (g1 & take)
  h2 = (h2 & ~take) | (g2 & take)
  h3 = (h3 & ~take) | (g3 & take)
  h4 = (h4 & ~take) | (g4 & take)
  const low = h0 | (h1 << 26) | (h2 << 52)
  const high = (h2 >> 12) | (h3 << 14) | (h4 << 40)
  const sum = low + load<u64>(s)
  const carry: u64 = sum < low ? 1 : 0
  store<u64>(out, sum)
  store<u64>(out, high + load<u64>(s, 8) + carry, 8)
}
