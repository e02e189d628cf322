/** Whether a point is in the log of a cluster, before anything is written. */
import { asBuffer } from '../../base/bytes.ts'
import type { ReplayOptions, Segment } from '../../model/lane.ts'
import { collect, type LogFiles } from './cluster-replay.ts'
import { parsePosition, type WalPosition } from './lsn.ts'

/**
 * Rejects where a transaction or a name is not in the log, which only the log itself shows: it is read through once more.
 * Other points are known from the names of its pieces.
 */
export async function seekInLog(
  segments: AsyncIterable<Segment>,
  { base, point, until, signal }: ReplayOptions,
): Promise<void> {
  if (base === undefined || (point.kind !== 'xid' && point.kind !== 'name')) return
  const all = segments[Symbol.asyncIterator]()
  const first = await all.next()
  try {
    const segmentSize = first.done === true ? undefined : segmentSizeIn(first.value, parsePosition(base.from))
    // Then the restore itself will tell.
    if (first.done === true || segmentSize === undefined) return
    const rest = (async function* () {
      yield first.value
      yield* { [Symbol.asyncIterator]: () => all }
    })()
    await collect(lastFiles(segmentSize), segmentSize, rest, base, { point, until, signal })
  } finally {
    await all.return?.()
  }
}

/** Files of log that are larger are not held in memory. */
const LARGEST_LOOKED_AT = 64 * 1024 * 1024
/** In the head of the first page of each file of log: u32 at 32. */
const SEGMENT_SIZE_AT = 32

function segmentSizeIn({ facts, payload }: Segment, begin: WalPosition): number | undefined {
  const at = Number(begin.lsn - parsePosition(facts.from).lsn) + SEGMENT_SIZE_AT
  if (at < SEGMENT_SIZE_AT || at + 4 > payload.length) return undefined
  const size = asBuffer(payload.subarray(at, at + 4)).readUInt32LE(0)
  const isPower = size >= 1024 * 1024 && (size & (size - 1)) === 0
  return isPower && size <= LARGEST_LOOKED_AT ? size : undefined
}

/** Of the log only its last two files, in memory: enough to see a timeline branch off. */
function lastFiles(segmentSize: number): LogFiles {
  const size = BigInt(segmentSize)
  const files = new Map<bigint, Buffer>()
  return {
    write({ lsn }, bytes) {
      let at = lsn
      let rest = bytes
      while (rest.length > 0) {
        const inFile = Number(at % size)
        const start = at - BigInt(inFile)
        const part = rest.subarray(0, segmentSize - inFile)
        const file = files.get(start) ?? Buffer.alloc(segmentSize)
        files.set(start, file)
        for (const old of files.keys()) if (files.size > 2) files.delete(old)
        part.copy(file, inFile)
        at += BigInt(part.length)
        rest = rest.subarray(part.length)
      }
    },
    close() {},
    history() {},
    branch(_, { lsn }) {
      const inFile = Number(lsn % size)
      const file = files.get(lsn - BigInt(inFile))
      return inFile === 0 || file === undefined ? [] : [[lsn - BigInt(inFile), file.subarray(0, inFile)]]
    },
  }
}
