/**
 * Keys in path order, whatever order they come in, in constant memory: runs are sorted, spilled to a private file, and
 * merged. Clients list by code units or by locale, an archive wants components by bytes.
 */
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToBytes } from '../../base/paths.ts'
import { pathOf } from './keys.ts'

export interface ListedObject {
  key: string
  path: string
  size: number
  /** Milliseconds since 1970, with fractions where the client tells them. */
  modified: number
}

interface Row extends ListedObject {
  order: string
}

/** About 10 MB of keys. */
const RUN = 40_000
const BATCH = 512

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/

/** Strings whose order by code units is the order of `comparePaths`. */
function orderOf(path: string): string {
  const nulled = path.replaceAll('/', '\0')
  return ASCII.test(nulled) ? nulled : pathToBytes(nulled).toString('latin1')
}

const byOrder = (a: Row, b: Row): number => (a.order < b.order ? -1 : a.order > b.order ? 1 : 0)

export class SortedKeys implements AsyncDisposable {
  #rows: Row[] = []
  #folder: string | undefined
  readonly #runs: string[] = []
  readonly #runLength: number
  readonly #scratchDir: string

  constructor({ runLength = RUN, scratchDir = tmpdir() }: { runLength?: number; scratchDir?: string } = {}) {
    this.#runLength = runLength
    this.#scratchDir = scratchDir
  }

  /** How many were added. */
  size = 0

  /** Gives a promise when a run has to be spilled first. */
  add(key: string, size: number, modified: number): Promise<void> | undefined {
    const path = pathOf(key)
    this.size += 1
    this.#rows.push({ key, path, size, modified, order: orderOf(path) })
    return this.#rows.length < this.#runLength ? undefined : this.#spill()
  }

  async #spill(): Promise<void> {
    this.#folder ??= mkdtempSync(join(this.#scratchDir, 'holdfast-keys-'))
    const rows = this.#rows.sort(byOrder)
    this.#rows = []
    const file = join(this.#folder, String(this.#runs.length))
    this.#runs.push(file)
    const handle: FileHandle = await open(file, 'wx', 0o600)
    try {
      for (let at = 0; at < rows.length; at += 4096) {
        const lines = rows.slice(at, at + 4096).map(({ key, size, modified }) => JSON.stringify([key, size, modified]))
        await handle.write(`${lines.join('\n')}\n`)
      }
    } finally {
      await handle.close()
    }
  }

  /** Batches in order, each key once. */
  async *sorted(): AsyncGenerator<ListedObject[]> {
    this.#rows.sort(byOrder)
    if (this.#runs.length === 0) {
      let last: string | undefined
      for (let at = 0; at < this.#rows.length; at += BATCH) {
        const batch: ListedObject[] = []
        for (const row of this.#rows.slice(at, at + BATCH)) {
          if (row.key !== last) batch.push(row)
          last = row.key
        }
        yield batch
      }
      return
    }
    if (this.#rows.length > 0) await this.#spill()
    yield* merged(this.#runs.map(readRun))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rows = []
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
    this.#folder = undefined
  }
}

async function* merged(runs: AsyncGenerator<Row, void>[]): AsyncGenerator<ListedObject[]> {
  try {
    const heads: { row: Row; run: AsyncGenerator<Row, void> }[] = []
    for (const run of runs) {
      const { value } = await run.next()
      if (value) heads.push({ row: value, run })
    }
    heads.sort((a, b) => byOrder(a.row, b.row))
    let batch: ListedObject[] = []
    let last: string | undefined
    while (heads.length > 0) {
      const head = heads[0] as (typeof heads)[number]
      if (head.row.key !== last) batch.push(head.row)
      last = head.row.key
      if (batch.length === BATCH) {
        yield batch
        batch = []
      }
      const { value } = await head.run.next()
      if (value) head.row = value
      else heads.shift()
      // The head that moved sinks to its place: there are few runs.
      for (let at = 0; at + 1 < heads.length; at += 1) {
        const [a, b] = [heads[at], heads[at + 1]] as [(typeof heads)[number], (typeof heads)[number]]
        if (byOrder(a.row, b.row) <= 0) break
        heads[at] = b
        heads[at + 1] = a
      }
    }
    if (batch.length > 0) yield batch
  } finally {
    for (const run of runs) await run.return()
  }
}

/** Our own file of a moment ago. */
async function* readRun(file: string): AsyncGenerator<Row, void> {
  const lines = createInterface({ input: createReadStream(file, { highWaterMark: 64 * 1024 }), crlfDelay: Infinity })
  for await (const line of lines) {
    const [key, size, modified] = JSON.parse(line) as [string, number, number]
    const path = pathOf(key)
    yield { key, path, size, modified, order: orderOf(path) }
  }
}
