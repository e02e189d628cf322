/** Small files on their way to the lanes: many in one message. */
import type { LocalFile, SourceEntry } from '../model/entry.ts'
import { EMPTY, FACTS, STORED, type FileBatch } from './lane.ts'
import type { Lanes } from './lanes.ts'
import { idAt } from './pack-writer.ts'

const MOST_FILES = 256
const MOST_BYTES = 4 * 1024 * 1024
/** Batches that are not answered. */
const MOST_BATCHES = 6

/** Undefined: the source has to read it. */
type Done = (ids: string[] | undefined) => void

export class FileQueue {
  readonly #lanes: Lanes
  #files: { entry: SourceEntry; local: LocalFile; done: Done }[] = []
  #bytes = 0
  readonly #running = new Set<Promise<void>>()
  #failure: { error: unknown } | undefined

  constructor(lanes: Lanes) {
    this.#lanes = lanes
  }

  /** Gives a promise only when the caller has to wait. */
  add(entry: SourceEntry, local: LocalFile, done: Done): Promise<void> | undefined {
    this.#files.push({ entry, local, done })
    this.#bytes += entry.size
    if (this.#files.length < MOST_FILES && this.#bytes < MOST_BYTES) return undefined
    return this.#send()
  }

  async end(): Promise<void> {
    if (this.#files.length > 0) await this.#send()
    while (this.#running.size > 0) await Promise.all(this.#running)
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async #send(): Promise<void> {
    const files = this.#files
    const bytes = this.#bytes
    this.#files = []
    this.#bytes = 0
    while (this.#running.size >= MOST_BATCHES) await Promise.race(this.#running)
    if (this.#failure !== undefined) throw this.#failure.error
    const facts = new Float64Array(files.length * FACTS)
    for (const [n, { entry }] of files.entries()) {
      const { inode = 0, device = 0, size, mtime } = entry
      facts.set([inode, device, size, mtime.s * 1000 + mtime.ns / 1e6], n * FACTS)
    }
    const batch: FileBatch = {
      paths: files.map(({ local }) => local.path),
      facts,
      unless: files[0]?.local.unless,
    }
    const running = this.#lanes
      .files(batch, bytes)
      .then(({ outcomes, ids }) => {
        for (const [n, { done }] of files.entries())
          done(outcomes[n] === STORED ? [idAt(ids, n)] : outcomes[n] === EMPTY ? [] : undefined)
      })
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}
