/**
 * What lies ahead of a walk that passes most files by: a thread goes through the folders in the same order and tells what
 * lstat says. It is never waited for: what it has not seen, or saw too long ago, the walk looks at itself.
 */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import type { LookAheadOrder, LookAheadStart, SeenFolder } from './look-ahead-worker.ts'
import { STAT_FIELDS, type FileStat } from './stat-entry.ts'

/** Older news is no better than what the walk finds by itself; a backup that waits for its storage meets such. */
const FRESH_MS = 1000
/** The thread hears of so many entries at once that it has room for more. */
const ENTRIES_PER_WORD = 1024

const WORKER = new URL(`./look-ahead-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** A folder as the thread saw it. */
export class Seen {
  /** The bytes of names, one char a byte, sorted. */
  readonly names: string[]
  readonly #stats: BigInt64Array

  constructor({ names, stats }: SeenFolder) {
    this.names = names === '' ? [] : names.split('/')
    this.#stats = stats
  }

  /** Of the name with that number; undefined when it could not be told. */
  stat(number: number): FileStat | undefined {
    const at = number * STAT_FIELDS.length
    const stats = this.#stats
    // Nothing has a mode of 0.
    if (stats[at] === 0n) return undefined
    return {
      mode: stats[at] as bigint,
      dev: stats[at + 1] as bigint,
      ino: stats[at + 2] as bigint,
      nlink: stats[at + 3] as bigint,
      uid: stats[at + 4] as bigint,
      gid: stats[at + 5] as bigint,
      rdev: stats[at + 6] as bigint,
      size: stats[at + 7] as bigint,
      blocks: stats[at + 8] as bigint,
      mtimeNs: stats[at + 9] as bigint,
      ctimeNs: stats[at + 10] as bigint,
    }
  }
}

export class LookAhead {
  readonly #worker: Worker
  readonly #port: MessagePort
  /** Its first word counts the orders: the thread sleeps on it when it is far enough ahead. */
  readonly #orders = new Int32Array(new SharedArrayBuffer(4))
  /** In the order of the walk. */
  readonly #seen = new Map<string, SeenFolder>()
  #passed = 0
  #ended = false

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    const workerData: LookAheadStart = { port: port2, orders: this.#orders }
    this.#worker = new Worker(WORKER, {
      workerData,
      transferList: [port2],
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
    })
    const end = (): void => void (this.#ended = true)
    this.#worker.on('error', end).on('exit', end).unref()
  }

  /** The walk enters this folder, and has passed by all before it. */
  take(at: string): Seen | undefined {
    if (this.#ended) return undefined
    this.#receive()
    const found = this.#seen.get(at)
    if (found === undefined) {
      this.#seen.clear()
      this.#passed = 0
      this.#order({ goTo: at })
      return undefined
    }
    for (const [path, { count }] of this.#seen) {
      this.#seen.delete(path)
      this.#passed += count
      if (path === at) break
    }
    if (this.#passed >= ENTRIES_PER_WORD) {
      this.#order({ passed: this.#passed })
      this.#passed = 0
    }
    return Date.now() - found.time < FRESH_MS ? new Seen(found) : undefined
  }

  close(): void {
    this.#ended = true
    this.#port.close()
    void this.#worker.terminate()
  }

  #receive(): void {
    for (;;) {
      const received: { message: SeenFolder } | undefined = receiveMessageOnPort(this.#port)
      if (received === undefined) return
      this.#seen.set(received.message.at, received.message)
    }
  }

  #order(order: LookAheadOrder): void {
    this.#port.postMessage(order)
    Atomics.add(this.#orders, 0, 1)
    Atomics.notify(this.#orders, 0)
  }
}
