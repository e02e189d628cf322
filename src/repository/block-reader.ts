/** Ranges of packs, with what lies near them: a walk over trees then costs one request for hundreds of them. */
import { AppError, isAppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel } from '../model/vault.ts'
import { keyOfFile } from './ids.ts'

const BLOCK = 1024 * 1024
/** Blocks that are kept. */
const KEPT = 24

export class BlockReader {
  readonly #storage: Storage
  /** By pack and number of the block, used last comes last. */
  readonly #blocks = new Map<string, Promise<Uint8Array>>()

  constructor(storage: Storage) {
    this.#storage = storage
  }

  async exactly(pack: string, offset: number, length: number, { signal }: Cancel): Promise<Uint8Array> {
    const range = { start: offset, end: offset + length }
    const bytes = await collect(
      this.#storage.get(keyOfFile('data', pack), { range, ...(signal && { signal }) }),
      length,
    )
    if (bytes.length !== length) throw this.#short(pack)
    return bytes
  }

  async near(pack: string, offset: number, length: number, cancel: Cancel): Promise<Uint8Array> {
    if (length > BLOCK) return this.exactly(pack, offset, length, cancel)
    const first = Math.floor(offset / BLOCK)
    const last = Math.floor((offset + length - 1) / BLOCK)
    const start = offset - first * BLOCK
    const head = await this.#block(pack, first, cancel)
    if (last === first) {
      if (head.length < start + length) throw this.#short(pack)
      return head.subarray(start, start + length)
    }
    const tail = await this.#block(pack, last, cancel)
    const rest = length - (BLOCK - start)
    if (head.length < BLOCK || tail.length < rest) throw this.#short(pack)
    return Buffer.concat([head.subarray(start), tail.subarray(0, rest)])
  }

  async #block(pack: string, number: number, cancel: Cancel): Promise<Uint8Array> {
    const name = `${pack}/${number}`
    let block = this.#blocks.get(name)
    if (block === undefined) {
      block = this.#read(pack, number * BLOCK, cancel)
      block.catch(() => this.#blocks.delete(name))
    }
    this.#blocks.delete(name)
    this.#blocks.set(name, block)
    if (this.#blocks.size > KEPT) this.#blocks.delete(this.#blocks.keys().next().value as string)
    return block
  }

  /** A block, or what there is of it. */
  async #read(pack: string, start: number, { signal }: Cancel): Promise<Uint8Array> {
    const key = keyOfFile('data', pack)
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      const range = { start, end: start + BLOCK }
      for await (const chunk of this.#storage.get(key, { range, ...(signal && { signal }) })) {
        chunks.push(chunk)
        size += chunk.length
        if (size > BLOCK) break
      }
    } catch (error) {
      // The end of the pack is in it.
      if (!isAppError(error, 'storage.truncated') || size === 0) throw error
    }
    return Buffer.concat(chunks)
  }

  #short(pack: string): AppError {
    return new AppError('storage.truncated', `pack ${pack} in ${this.#storage.name} ends too early`)
  }
}
