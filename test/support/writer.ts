/** Rows that one after the other are committed while something else happens, with the times between which each was. */
export interface Written {
  id: number
  /** Milliseconds: before it was begun, and after its commit was answered. */
  before: number
  after: number
}

export interface Writer {
  readonly rows: Written[]
  /** Ends after the row in hand. */
  stop(): Promise<Written[]>
}

/** `commit` writes row `id` and resolves when it is committed. */
export function startWriter(commit: (id: number) => Promise<void>, pauseMs = 3): Writer {
  const rows: Written[] = []
  let ended = false
  const working = (async () => {
    for (let id = 1; !ended; id += 1) {
      const before = Date.now()
      await commit(id)
      rows.push({ id, before, after: Date.now() })
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  })()
  working.catch(() => {})
  return {
    rows,
    async stop() {
      ended = true
      await working
      return rows
    },
  }
}

/** A row that is begun after T must not be there; one whose commit was answered by then must. */
export function expectedAt(rows: readonly Written[], time: number): { least: number; most: number } {
  const done = rows.findLast(({ after }) => after < time)?.id ?? 0
  const begun = rows.findLast(({ before }) => before <= time)?.id ?? 0
  return { least: done, most: begun }
}

/** Times within a stretch, always the same ones for a seed; the campaign gives others with `PIT_SEED`. */
export function timesWithin(from: number, to: number, count: number, seed = 1): Date[] {
  let state = seed + Number(process.env['PIT_SEED'] ?? 0)
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
  return Array.from({ length: count }, () => new Date(Math.floor(from + random() * (to - from)))).sort(
    (a, b) => a.getTime() - b.getTime(),
  )
}
