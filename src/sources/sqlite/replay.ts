/** A database out of a lane: the copy in it, then its transactions. */
import { ftruncateSync, writeSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { LaneReplay, Point, Reached, Segment } from '../../model/lane.ts'
import { faults } from './inspect.ts'
import { putInPlace, refuseWhatIsThere, type Place } from './place.ts'
import { recordsOf } from './wal.ts'

/** The log has no times: a moment is known as exactly as it was looked at. */
const LONGEST_LOOK_MS = 1000

export function sqliteReplay(place: Place): LaneReplay {
  return {
    async prepare() {
      refuseWhatIsThere(place)
    },
    run: async (segments, { point, signal, onStep }) =>
      putInPlace(place, {
        fill: async (fd) => apply(fd, segments, point, signal),
        prove(temporary) {
          onStep?.('checking the integrity of the database')
          const [fault] = faults(temporary, 'integrity_check')
          if (fault !== undefined) throw new AppError('backup.damaged', `the database would not be whole: ${fault}`)
        },
      }),
  }
}

async function apply(
  fd: number,
  segments: AsyncIterable<Segment>,
  point: Point,
  signal: AbortSignal | undefined,
): Promise<Reached> {
  /** Pages of the copy that are there. */
  let copied = 0
  let total: number | undefined
  let size = 0
  let transactions = 0
  let last: number | undefined
  let position = ''
  const write = (bytes: Buffer, at: number): void => {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
  }
  const whole = (): boolean => total !== undefined && copied === total
  outer: for await (const { facts, payload } of segments) {
    throwIfAborted(signal)
    let number = Number(facts.from.split('-')[1])
    const generation = facts.from.split('-')[0] ?? ''
    for (const record of recordsOf(payload)) {
      number += 1
      const here = `${generation}-${number}`
      if (record.kind === 'copy') {
        // A later copy of the same: what is there is that already.
        if (whole()) continue
        if (record.first !== copied + 1) throw new AppError('backup.damaged', 'the copy of the database has a hole')
        total = record.total
        write(record.pages, (record.first - 1) * record.pageSize)
        copied += record.pages.length / record.pageSize
        size = copied * record.pageSize
        position = here
        last = facts.fromTime.getTime()
        continue
      }
      if (!whole()) throw new AppError('backup.damaged', 'the copy of the database is not whole')
      // When exactly it was committed is not in the log, only between which looks: it counts as the later one.
      if (point.kind === 'time' && record.until > point.time.getTime()) {
        const { after, until } = record
        if (until - after <= LONGEST_LOOK_MS || after >= point.time.getTime()) break outer
        const [first, then] = [new Date(after).toISOString(), new Date(until).toISOString()]
        throw new AppError('restore.unreachable', `nobody looked at the log between ${first} and ${then}`, {
          hint: `Choose ${first} or before, or ${then} or later.`,
        })
      }
      if (point.kind === 'position' && number > Number(point.position.split('-')[1])) break outer
      for (const [page, bytes] of record.pages) write(bytes, (page - 1) * record.pageSize)
      size = record.size * record.pageSize
      ftruncateSync(fd, size)
      transactions += 1
      last = record.until
      position = here
    }
  }
  if (!whole())
    throw new AppError('restore.unreachable', 'the copy of the database in the log is not whole', {
      hint: 'Choose a later moment.',
    })
  ftruncateSync(fd, size)
  return { position, transactions, ...(last !== undefined && { time: new Date(last) }) }
}
