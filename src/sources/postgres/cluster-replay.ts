/**
 * Makes a restored cluster come forward to a point when it starts: files of log in its folder, and the settings of the
 * recovery. Where to stop is found in the log here, as the place of one record, so that no clock or zone has a say.
 */
import {
  appendFileSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { asBuffer } from '../../base/bytes.ts'
import { AppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { LaneBase, LaneReplay, Point, Reached } from '../../model/lane.ts'
import { EPOCH_2000_US, formatLsn, parsePosition, positionOf, timeOfPg, walFileName, type WalPosition } from './lsn.ts'
import { walScanner, type WalFact, type WalScanner } from './wal-records.ts'

/** In the data folder, so that the whole can be moved; the command runs there. */
const LOG_FOLDER = 'holdfast_wal'

export interface ClusterReplaySettings {
  folder: string
  segmentSize: number
  owner?: { uid: number; gid: number }
}

export function clusterReplay(settings: ClusterReplaySettings): LaneReplay {
  return {
    async run(segments, { base, point, until, signal, onStep }) {
      if (base === undefined) throw new AppError('internal.bug', 'a cluster comes forward from a backup')
      const writer = logWriter(settings)
      const found = await collect(writer, settings.segmentSize, segments, base, { point, until, signal })
      writeSettings(settings, found)
      onStep?.(
        `start the server on ${settings.folder}: it replays the log to ${formatLsn(found.stop?.at.lsn ?? parsePosition(base.to).lsn)} and then is open for writing`,
      )
      return found.reached
    },
  }
}

interface Stop {
  at: WalPosition
  inclusive: boolean
}

interface Found {
  /** Absent: nothing was committed since the backup. */
  stop?: Stop
  reached: Reached
}

export type LogFiles = ReturnType<typeof logWriter>

export async function collect(
  writer: LogFiles,
  segmentSize: number,
  segments: Parameters<LaneReplay['run']>[0],
  base: LaneBase,
  { point, until, signal }: { point: Point; until: Date; signal: AbortSignal | undefined },
): Promise<Found> {
  const begin = parsePosition(base.from)
  const after = parsePosition(base.to)
  const judge = judgeOf(point, after)
  let at = begin
  let scanner: WalScanner = walScanner(begin.lsn)
  try {
    for await (const { facts, payload } of segments) {
      throwIfAborted(signal)
      const [from, to] = [parsePosition(facts.from), parsePosition(facts.to)]
      for (const [name, text] of Object.entries(facts.extra))
        if (/^[0-9A-F]{8}\.history$/.test(name)) writer.history(name, text)
      if (payload.length === 0 && to.timeline !== from.timeline) {
        // The new timeline's file begins with what the old one has.
        const file = to.lsn - (to.lsn % BigInt(segmentSize))
        scanner = walScanner(file)
        for (const [start, bytes] of writer.branch(at, to)) scanner.take(start, bytes)
        at = to
        continue
      }
      const bytes = asBuffer(payload.subarray(0, payload.length))
      if (to.timeline !== from.timeline || from.lsn + BigInt(bytes.length) !== to.lsn)
        throw new AppError(
          'backup.damaged',
          `the piece of log from ${facts.from} to ${facts.to} has ${bytes.length} bytes`,
        )
      if (from.lsn > at.lsn || from.timeline !== at.timeline)
        throw new AppError('backup.chain-broken', `the log has a gap from ${positionOf(at)} to ${facts.from}`)
      const fresh = bytes.subarray(
        Number(at.lsn - from.lsn > BigInt(bytes.length) ? BigInt(bytes.length) : at.lsn - from.lsn),
      )
      writer.write(at, fresh)
      const stop = judge.see(scanner.take(at.lsn, fresh), at.timeline)
      at = to
      if (stop) break
    }
  } finally {
    writer.close()
  }
  return judge.end(at, until)
}

/** Judges records in the order of the log. */
function judgeOf(point: Point, after: WalPosition) {
  let stop: Stop | undefined
  let last: { at: WalPosition; micros: bigint } | undefined
  let transactions = 0

  const limit = point.kind === 'time' ? BigInt(point.time.getTime()) * 1000n - EPOCH_2000_US : 0n
  const place = point.kind === 'position' || point.kind === 'before' ? parsePosition(point.position) : undefined

  function see(facts: readonly WalFact[], timeline: number): boolean {
    for (const fact of facts) {
      // What the backup holds already.
      if (fact.end <= after.lsn) continue
      const at = { timeline, lsn: fact.lsn }
      if (point.kind === 'name' && fact.kind === 'point' && fact.name === point.name) {
        stop = { at, inclusive: true }
        return true
      }
      if (fact.kind !== 'commit') continue
      const late =
        (point.kind === 'time' && fact.micros > limit) ||
        (point.kind === 'before' && place !== undefined && fact.lsn >= place.lsn) ||
        (point.kind === 'position' && place !== undefined && fact.end > place.lsn)
      if (late) {
        stop = { at, inclusive: false }
        return true
      }
      transactions += 1
      last = { at, micros: fact.micros }
      if (point.kind === 'xid' && String(fact.xid) === point.xid) {
        stop = { at, inclusive: true }
        return true
      }
    }
    return false
  }

  function end(at: WalPosition, until: Date): Found {
    if (stop === undefined) {
      const missing = missingOf(point, at, until)
      if (missing !== undefined) throw new AppError('restore.unreachable', missing)
      // Nothing came later: everything is wanted.
      if (last !== undefined) stop = { at: last.at, inclusive: true }
    }
    return {
      ...(stop && { stop }),
      reached: {
        position: positionOf(stop?.at ?? after),
        ...(last && { time: timeOfPg(last.micros) }),
        transactions,
      },
    }
  }
  return { see, end }
}

function missingOf(point: Point, at: WalPosition, until: Date): string | undefined {
  switch (point.kind) {
    case 'latest':
      return undefined
    case 'time':
      return point.time <= until ? undefined : `the log is known until ${until.toISOString()} only`
    case 'position':
    case 'before':
      return parsePosition(point.position).lsn <= at.lsn ? undefined : `the log ends at ${formatLsn(at.lsn)}`
    case 'xid':
      return `no transaction ${point.xid} was committed in the log that is stored`
    case 'name':
      return `there is no restore point ${JSON.stringify(point.name)} in the log that is stored`
  }
}

/** Files of log, whole or filled with zeros. */
function logWriter({ folder, segmentSize, owner }: ClusterReplaySettings) {
  const size = BigInt(segmentSize)
  const root = join(folder, LOG_FOLDER)
  const own = (path: string): void => {
    if (owner !== undefined) chownSync(path, owner.uid, owner.gid)
  }
  mkdirSync(root, { mode: 0o700, recursive: true })
  own(root)
  let open: { name: string; fd: number } | undefined

  function close(): void {
    if (open === undefined) return
    ftruncateSync(open.fd, segmentSize)
    fsyncSync(open.fd)
    closeSync(open.fd)
    open = undefined
  }

  function fileAt(at: WalPosition): number {
    const name = walFileName(at, segmentSize)
    if (open?.name === name) return open.fd
    close()
    const path = join(root, name)
    open = { name, fd: openSync(path, existsSync(path) ? 'r+' : 'w', 0o600) }
    own(path)
    return open.fd
  }

  function write({ timeline, lsn }: WalPosition, bytes: Buffer): void {
    let at = lsn
    let rest = bytes
    while (rest.length > 0) {
      const inFile = Number(at % size)
      const part = rest.subarray(0, segmentSize - inFile)
      const fd = fileAt({ timeline, lsn: at })
      for (let done = 0; done < part.length;) done += writeSync(fd, part, done, part.length - done, inFile + done)
      at += BigInt(part.length)
      rest = rest.subarray(part.length)
    }
  }

  return {
    write,
    close,
    history(name: string, text: string): void {
      const path = join(root, name)
      writeFileSync(path, text, { mode: 0o600 })
      own(path)
    },
    /** What the two timelines have in common in the file where one leaves the other. */
    branch(from: WalPosition, to: WalPosition): [bigint, Buffer][] {
      close()
      const inFile = Number(to.lsn % size)
      if (inFile === 0) return []
      const path = join(root, walFileName({ timeline: to.timeline, lsn: to.lsn }, segmentSize))
      copyFileSync(join(root, walFileName({ timeline: from.timeline, lsn: to.lsn }, segmentSize)), path)
      own(path)
      const fd = openSync(path, 'r+')
      ftruncateSync(fd, inFile)
      const bytes = readAll(fd, inFile)
      closeSync(fd)
      return [[to.lsn - BigInt(inFile), bytes]]
    },
  }
}

function readAll(fd: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length;) {
    const got = readSync(fd, bytes, at, length - at, at)
    if (got === 0) throw new AppError('backup.damaged', 'the log is shorter than it should be')
    at += got
  }
  return bytes
}

function writeSettings({ folder, owner }: ClusterReplaySettings, { stop, reached }: Found): void {
  const lines = [
    '',
    `# Written by holdfast: recovery to ${reached.position}${reached.time === undefined ? '' : `, after a commit of ${reached.time.toISOString()}`}.`,
    `restore_command = 'test -f "${LOG_FOLDER}/%f" || exit 1; cp "${LOG_FOLDER}/%f" "%p" || exit 126'`,
    ...(stop === undefined
      ? [`recovery_target = 'immediate'`]
      : [
          `recovery_target_lsn = '${formatLsn(stop.at.lsn)}'`,
          `recovery_target_inclusive = ${stop.inclusive ? 'on' : 'off'}`,
          `recovery_target_timeline = '${stop.at.timeline}'`,
        ]),
    `recovery_target_action = 'promote'`,
    '# A copy must not write into the archive of the server that it was made of. Take this line out for a new server.',
    `archive_mode = 'off'`,
    '',
  ]
  const settings = join(folder, 'postgresql.auto.conf')
  appendFileSync(settings, lines.join('\n'), { mode: 0o600 })
  const signal = join(folder, 'recovery.signal')
  writeFileSync(signal, '', { mode: 0o600 })
  if (owner !== undefined) for (const path of [settings, signal]) chownSync(path, owner.uid, owner.gid)
}
