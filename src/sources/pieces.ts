/**
 * Pieces of a dump, read by several lanes at once and given in order. A lane reads ahead as long as the memory lasts; the
 * piece whose turn it is may always go on. A piece that ended before its turn has a known size and can be read twice; a
 * large one is a stream.
 */
import { AppError, toAppError } from '../base/errors.ts'
import type { ByteReader } from '../base/reader.ts'
import type { SourceEntry, Timestamp } from '../model/entry.ts'
import { dumpStream } from './dump-reading.ts'

/** Where a piece's bytes go. What was written belongs to the outlet. */
export interface Outlet {
  /** Memory to fill: what earlier pieces no longer need, where there is some. */
  block(): Buffer
  write(bytes: Uint8Array): void
  /** Resolves when more may be written; undefined: at once. */
  ready(): Promise<void> | undefined
}

export interface Piece<Lane> {
  path: string
  read(lane: Lane, outlet: Outlet): Promise<void>
}

/** Bytes in memory over all pieces, and of the piece whose turn it is before it becomes a stream. */
const AHEAD = 24 * 1024 * 1024
const WHOLE = 12 * 1024 * 1024
export const BLOCK = 256 * 1024

interface Buffered {
  path: string
  blocks: Uint8Array[]
  bytes: number
  ended: boolean
  started: boolean
}

export interface PieceReading extends AsyncDisposable {
  /** The entry of a piece; pieces are asked for in order. */
  entry(index: number): Promise<SourceEntry>
  /** Resolves when all lanes have ended. */
  done(): Promise<void>
}

export function readPieces<Lane>(
  pieces: readonly Piece<Lane>[],
  lanes: readonly Lane[],
  mtime: Timestamp,
  options: { signal?: AbortSignal } = {},
): PieceReading {
  const buffered = pieces.map<Buffered>(({ path }) => ({ path, blocks: [], bytes: 0, ended: false, started: false }))
  let total = 0
  let turn = 0
  let next = 0
  let failure: AppError | undefined
  let stopped = false
  /** All who wait for anything; few, so all are woken. */
  let waiting: (() => void)[] = []
  const spare: Buffer[] = []
  const reuse = (block: Uint8Array): void => {
    if (block.byteOffset === 0 && block.buffer.byteLength === BLOCK) spare.push(Buffer.from(block.buffer))
  }
  const change = (): void => {
    const all = waiting
    waiting = []
    for (const wake of all) wake()
  }
  const changed = async (): Promise<void> => new Promise((resolve) => waiting.push(resolve))
  const fail = (error: unknown): void => {
    failure ??= toAppError(error, 'source.incomplete')
    change()
  }
  const check = (): void => {
    if (failure !== undefined) throw failure
    if (stopped) throw new AppError('run.cancelled', 'the reading was closed')
  }

  function outletOf(index: number, piece: Buffered): Outlet {
    const full = (): boolean => (index === turn ? piece.bytes >= WHOLE : total >= AHEAD || piece.bytes >= WHOLE)
    return {
      block: () => spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK),
      write(bytes) {
        piece.blocks.push(bytes)
        piece.bytes += bytes.length
        total += bytes.length
        if (index === turn) change()
      },
      ready() {
        check()
        return full() ? untilRoom(full) : undefined
      },
    }
  }

  async function untilRoom(full: () => boolean): Promise<void> {
    while (full()) {
      await changed()
      check()
    }
  }

  async function work(lane: Lane): Promise<void> {
    while (next < pieces.length && failure === undefined && !stopped) {
      const index = next
      next += 1
      const piece = buffered[index] as Buffered
      piece.started = true
      const outlet = outletOf(index, piece)
      // A piece is begun only when there is room for it, except where it is waited for.
      while (index !== turn && total >= AHEAD) {
        await changed()
        check()
      }
      await (pieces[index] as Piece<Lane>).read(lane, outlet)
      piece.ended = true
      change()
    }
  }

  const onAbort = (): void => fail(toAppError(options.signal?.reason, 'run.cancelled'))
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const working = Promise.all(lanes.map(async (lane) => work(lane).catch(fail)))

  function release(piece: Buffered): void {
    total -= piece.bytes
    piece.bytes = 0
    for (const block of piece.blocks) reuse(block)
    piece.blocks = []
    change()
  }

  function whole(piece: Buffered): SourceEntry {
    return {
      path: piece.path,
      kind: 'file',
      mode: 0o600,
      mtime,
      size: piece.bytes,
      open: () => readerOfBlocks(piece.blocks),
    }
  }

  /** Takes blocks as they come, and gives their memory free. */
  function stream(piece: Buffered): ByteReader {
    let block: Uint8Array | undefined
    let at = 0
    return {
      async read(into) {
        for (;;) {
          check()
          block ??= piece.blocks.shift()
          if (block !== undefined) break
          if (piece.ended) return 0
          await changed()
        }
        const count = Math.min(into.length, block.length - at)
        into.set(block.subarray(at, at + count))
        at += count
        if (at === block.length) {
          piece.bytes -= block.length
          total -= block.length
          reuse(block)
          block = undefined
          at = 0
          change()
        }
        return count
      },
      close() {},
    }
  }

  return {
    async entry(index) {
      if (index > 0) release(buffered[index - 1] as Buffered)
      turn = index
      change()
      const piece = buffered[index] as Buffered
      while (!piece.ended && piece.bytes < WHOLE) {
        check()
        await changed()
      }
      check()
      return piece.ended ? whole(piece) : dumpStream(piece.path, mtime, () => stream(piece))
    },
    async done() {
      const last = buffered.at(-1)
      if (last !== undefined) release(last)
      turn = pieces.length
      await working
      check()
    },
    async [Symbol.asyncDispose]() {
      stopped = true
      change()
      options.signal?.removeEventListener('abort', onAbort)
      await working
    },
  }
}

function readerOfBlocks(blocks: readonly Uint8Array[]): ByteReader {
  let index = 0
  let at = 0
  return {
    read(into) {
      const block = blocks[index]
      if (block === undefined) return 0
      const count = Math.min(into.length, block.length - at)
      into.set(block.subarray(at, at + count))
      at += count
      if (at === block.length) {
        index += 1
        at = 0
      }
      return count
    },
    close() {},
  }
}
