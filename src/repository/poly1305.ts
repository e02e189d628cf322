/** Poly1305 of a message under a key `r` that stays and a pad `s` that is new for each message. One message at a time. */
import type { Bytes } from '../base/bytes.ts'
import { engine, type Engine } from './engine.ts'

/** Messages pass through memory of the engine in pieces that stay in the processor's cache. */
export const PIECE = 65_536
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

export function polyBegin(r: Bytes): void {
  const { engine: own, r: at } = ready()
  own.bytes().set(r, at)
  own.polyInit(at)
}

/** `bytes`: a multiple of 16, at most PIECE of them. */
export function polyPiece(bytes: Bytes): void {
  const { engine: own, piece } = ready()
  own.bytes().set(bytes, piece)
  own.polyBlocks(piece, bytes.length)
}

/** `rest`: at most PIECE bytes. Writes the 16 bytes of the result to `into` at `at`. */
export function polyEnd(rest: Bytes, s: Bytes, into: Uint8Array, at: number): void {
  const { engine: own, s: sAt, out, piece } = ready()
  const memory = own.bytes()
  memory.set(rest, piece)
  memory.set(s, sAt)
  own.polyFinish(piece, rest.length, sAt, out)
  for (let i = 0; i < MAC_LENGTH; i += 1) into[at + i] = memory[out + i] as number
}

export function poly1305(r: Bytes, s: Bytes, message: Bytes, into: Uint8Array, at: number): void {
  polyBegin(r)
  let done = 0
  for (; message.length - done > PIECE; done += PIECE) polyPiece(message.subarray(done, done + PIECE))
  polyEnd(message.subarray(done), s, into, at)
}
