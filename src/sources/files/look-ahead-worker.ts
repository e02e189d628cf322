/** The thread that goes ahead of a walk: folders in path order, each with what lstat says of all that is in it. */
import { lstatSync, readdirSync } from 'node:fs'
import { receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'
import { fsPath, pathFromLatin1 } from '../../base/paths.ts'
import { childrenFit } from './long-path.ts'
import { STAT_FIELDS } from './stat-entry.ts'

/** Entries that the walk has not passed by yet. */
const MOST_AHEAD = 4096

export interface LookAheadStart {
  port: MessagePort
  orders: Int32Array
}

/** Look at this folder and go on from there, or: so many of what you told have been passed by. */
export type LookAheadOrder = { goTo: string } | { passed: number }

export interface SeenFolder {
  /** What node:fs takes for it. */
  at: string
  /** Milliseconds since 1970. */
  time: number
  /** What it counts for in `passed`. */
  count: number
  /** Names as latin1, sorted, with a `/` between them. */
  names: string
  /** STAT_FIELDS of each; a mode of 0 where lstat failed. */
  stats: BigInt64Array
}

interface Frame {
  at: string
  /** Folders in it, in path order. */
  folders: string[]
  next: number
}

const { port, orders } = workerData as LookAheadStart
let stack: Frame[] = []
let ahead = 0

for (;;) {
  const known = Atomics.load(orders, 0)
  for (let order = receive(); order !== undefined; order = receive()) {
    if ('passed' in order) ahead = Math.max(0, ahead - order.passed)
    else goTo(order.goTo)
  }
  if (ahead >= MOST_AHEAD || !step()) Atomics.wait(orders, 0, known)
}

function receive(): LookAheadOrder | undefined {
  const received: { message: LookAheadOrder } | undefined = receiveMessageOnPort(port)
  return received?.message
}

/** Drops what does not lead there; what lies before it will not be asked for. */
function goTo(at: string): void {
  ahead = 0
  const prefix = (frame: Frame): string => (frame.at === '/' ? '/' : `${frame.at}/`)
  stack = stack.filter((frame) => at.startsWith(prefix(frame)))
  const above = stack.at(-1)
  if (above !== undefined) {
    const start = prefix(above).length
    const end = at.indexOf('/', start)
    const next = above.folders.indexOf(end === -1 ? at : at.slice(0, end))
    if (next !== -1) above.next = next + 1
  }
  look(at)
}

/** The next folder; false when there is none. */
function step(): boolean {
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const at = frame.folders[frame.next]
    if (at === undefined) {
      stack.pop()
      continue
    }
    frame.next += 1
    look(at)
    return true
  }
  return false
}

function look(at: string): void {
  const time = Date.now()
  let names: string[]
  let device: bigint
  try {
    device = lstatSync(at, { bigint: true }).dev
    names = readdirSync(at, { encoding: 'latin1' }).sort()
  } catch {
    return
  }
  const prefix = at === '/' ? '/' : `${at}/`
  const stats = new BigInt64Array(names.length * STAT_FIELDS.length)
  const folders: string[] = []
  for (const [number, name] of names.entries()) {
    const path = prefix + pathFromLatin1(name)
    const place = fsPath(path)
    try {
      const stat = lstatSync(place, { bigint: true })
      for (const [field, key] of STAT_FIELDS.entries()) stats[number * STAT_FIELDS.length + field] = stat[key]
      // Other file systems may hang, or be left out: the walk goes there first. Names that are no text it reaches otherwise.
      if (stat.isDirectory() && stat.dev === device && typeof place === 'string' && childrenFit(path))
        folders.push(path)
    } catch {
      // The walk meets it, and says so.
    }
  }
  stack.push({ at, folders, next: 0 })
  const count = names.length + 1
  ahead += count
  const seen: SeenFolder = { at, time, count, names: names.join('/'), stats }
  port.postMessage(seen, [stats.buffer])
}
