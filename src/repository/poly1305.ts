/** Poly1305 of a message under a key `r` that stays and a pad `s` that is new for each message. */
import type { Bytes } from '../base/bytes.ts'
import { engine, type Engine } from './engine.ts'

/** Messages pass through memory of the engine in pieces that stay in the processor's cache. */
const PIECE = 65_536
export const MAC_LENGTH = 16

interface Area {
  engine: Engine
  r: number
  s: number
  out: number
  piece: number
}

let area: Area | undefined

function ready(): Area {
  if (area !== undefined) return area
  const own = engine()
  const at = own.reserve(64)
  return (area = { engine: own, r: at, s: at + 16, out: at + 32, piece: own.reserve(PIECE) })
}

/** Writes the 16 bytes of the result to `into` at `at`. */
export function poly1305(r: Bytes, s: Bytes, message: Bytes, into: Uint8Array, at: number): void {
  const { engine: own, r: rAt, s: sAt, out, piece } = ready()
  const memory = own.bytes()
  memory.set(r, rAt)
  memory.set(s, sAt)
  own.polyInit(rAt)
  let done = 0
  for (; message.length - done > PIECE; done += PIECE) {
    memory.set(message.subarray(done, done + PIECE), piece)
    own.polyBlocks(piece, PIECE)
  }
  memory.set(message.subarray(done), piece)
  own.polyFinish(piece, message.length - done, sAt, out)
  for (let i = 0; i < MAC_LENGTH; i += 1) into[at + i] = memory[out + i] as number
}
