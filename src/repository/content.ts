/** Content of any size as chunks: cut where restic cuts, and handed to the lanes one by one. */
import type { ByteReader } from '../base/reader.ts'
import { newEngine, type Engine } from './engine.ts'
import { ZERO_CHUNK_LENGTH } from './entry-node.ts'
import type { Lanes } from './lanes.ts'
import { MAX_CHUNK } from './pack-writer.ts'

const MIN_CHUNK = 512 * 1024
const AVERAGE_BITS = 20
/** A chunk must lie in it whole; what remains behind the last one is moved to its beginning. */
const WINDOW = 1.5 * MAX_CHUNK

export interface StoredContent {
  size: number
  ids: Promise<string>[]
}

export interface ContentOptions {
  /** Where the reader's bytes lie, if the content has holes, and how long it is with them. */
  extents?: readonly (readonly [number, number])[]
  size: number
  onBytes: (bytes: number) => void
}

export class ContentStore {
  readonly #lanes: Lanes
  readonly #polynomial: bigint
  #engine: { engine: Engine; at: number } | undefined
  #zeros: Promise<string> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(lanes: Lanes, polynomial: bigint) {
    this.#lanes = lanes
    this.#polynomial = polynomial
  }

  /** Reads to the end; the ids come once the threads have them. One at a time, as there is one window. */
  async store(reader: ByteReader, options: ContentOptions): Promise<StoredContent> {
    const stored = this.#last.then(async () => this.#store(reader, options))
    this.#last = stored.catch(() => undefined)
    return stored
  }

  async #store(reader: ByteReader, options: ContentOptions): Promise<StoredContent> {
    const { engine, at } = this.#ready()
    const window = engine.bytes().subarray(at, at + WINDOW)
    const source = options.extents === undefined ? plain(reader) : withHoles(reader, options.extents, options.size)
    const ids: Promise<string>[] = []
    let size = 0
    /** Bytes in the window, and where its last zeros of a hole begin. */
    let have = 0
    let zerosFrom = 0
    let ended = false
    for (;;) {
      while (!ended && have < WINDOW) {
        const isHole = source.hole() > 0
        const got = source.read(window.subarray(have))
        const count = typeof got === 'number' ? got : await got
        if (count === 0) ended = true
        have += count
        size += count
        options.onBytes(count)
        if (!isHole) zerosFrom = have
      }
      let done = 0
      while (done < have && (ended || have - done >= MAX_CHUNK)) {
        if (done >= zerosFrom && have - done + source.hole() >= ZERO_CHUNK_LENGTH) {
          // Zeros from here on: each chunk is the same, and need not be looked at.
          const run = have - done + source.hole()
          const chunks = Math.floor(run / ZERO_CHUNK_LENGTH)
          const id = this.#zeroChunk()
          await id
          for (let n = 0; n < chunks; n += 1) ids.push(id)
          const beyond = Math.max(0, chunks * ZERO_CHUNK_LENGTH - (have - done))
          done = Math.min(have, done + chunks * ZERO_CHUNK_LENGTH)
          source.skip(beyond)
          size += beyond
          options.onBytes(beyond)
          continue
        }
        const rest = Math.min(have - done, MAX_CHUNK)
        const cut = rest <= MIN_CHUNK ? rest : engine.nextCut(at + done, MIN_CHUNK, rest) || rest
        ids.push((await this.#lanes.chunk(window.subarray(done, done + cut))).id)
        done += cut
      }
      window.copyWithin(0, done, have)
      have -= done
      zerosFrom = Math.max(0, zerosFrom - done)
      if (ended && have === 0) return { size, ids }
    }
  }

  #zeroChunk(): Promise<string> {
    return (this.#zeros ??= (async () => (await this.#lanes.chunk(new Uint8Array(ZERO_CHUNK_LENGTH))).id)())
  }

  #ready(): { engine: Engine; at: number } {
    if (this.#engine !== undefined) return this.#engine
    const engine = newEngine()
    engine.chunkerInit(this.#polynomial, AVERAGE_BITS)
    return (this.#engine = { engine, at: engine.reserve(WINDOW) })
  }
}

interface HoleReader {
  /** Bytes of the hole that comes next; 0 when there is none. */
  hole(): number
  read(into: Uint8Array): number | Promise<number>
  /** Goes on behind so many bytes of the hole. */
  skip(bytes: number): void
}

const plain = (reader: ByteReader): HoleReader => ({
  hole: () => 0,
  read: (into) => reader.read(into),
  skip: () => undefined,
})

/** Zeros where no extent lies. */
function withHoles(reader: ByteReader, extents: readonly (readonly [number, number])[], size: number): HoleReader {
  let position = 0
  let next = 0
  const advance = (count: number): number => {
    position += count
    for (let extent = extents[next]; extent !== undefined && position >= extent[0] + extent[1]; extent = extents[next])
      next += 1
    return count
  }
  advance(0)
  const hole = (): number => Math.max(0, Math.min(extents[next]?.[0] ?? size, size) - position)
  return {
    hole,
    read(into) {
      const zeros = Math.min(hole(), into.length)
      if (zeros > 0) {
        into.fill(0, 0, zeros)
        return advance(zeros)
      }
      const extent = extents[next]
      if (extent === undefined) return 0
      const got = reader.read(into.subarray(0, Math.min(into.length, extent[0] + extent[1] - position)))
      return typeof got === 'number' ? advance(got) : got.then(advance)
    },
    skip: (bytes) => void advance(bytes),
  }
}
