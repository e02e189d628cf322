/** One instance of engine.wasm (sources in wasm/) for each thread, with its own memory. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** As much of the standard interface as is used; the compiler's `lib` has it only together with the whole DOM. */
interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Memory: new (limits: { initial: number }) => Memory
  Instance: new (module: object, imports: object) => { exports: unknown }
}

export interface Engine {
  chunkerInit(polynomial: bigint, bits: number): void
  nextCut(ptr: number, from: number, length: number): number
  polyInit(r: number): void
  polyBlocks(ptr: number, length: number): void
  polyFinish(ptr: number, length: number, s: number, out: number): void
  /** Free for the callers: `[at, at + size)`, and the memory as it is now. */
  reserve(size: number): number
  bytes(): Uint8Array
}

type Exports = Omit<Engine, 'reserve' | 'bytes'> & { base(): number }

const PAGE = 65_536

let module: object | undefined
let shared: Engine | undefined

/** The engine of this thread, which hands out memory but never takes it back. */
export function engine(): Engine {
  return (shared ??= newEngine())
}

export function newEngine(): Engine {
  module ??= new WebAssembly.Module(readFileSync(join(import.meta.dirname, 'engine.wasm')))
  const memory = new WebAssembly.Memory({ initial: 1 })
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports
  let next = exports.base()
  let view = new Uint8Array(memory.buffer)
  const bytes = (): Uint8Array => {
    // Growing the memory detaches the old view.
    if (view.length === 0) view = new Uint8Array(memory.buffer)
    return view
  }
  return {
    ...exports,
    bytes,
    reserve(size) {
      const at = next
      next += (size + 63) & ~63
      const missing = next - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE))
      return at
    },
  }
}
