/** Runs and their logs do not pile up: what is older than the log's age goes. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Deps } from './recorder.ts'

const DAY_MS = 86_400_000
const LAST = 'housekeeping'

/** Once a day at most; never rejects, as nobody's backup depends on it. Gives how many run logs it removed. */
export async function tidyRuns(
  { clock, catalogue }: Pick<Deps, 'clock' | 'catalogue'>,
  { runLogDir, maxAgeMs }: { runLogDir: string; maxAgeMs: number },
): Promise<number> {
  const now = clock.now().getTime()
  const last = Number(catalogue.get(LAST) ?? 0)
  // A clock that was ahead once must not stop this for good.
  if (last <= now && now - last < DAY_MS) return 0
  catalogue.set(LAST, String(now))
  const before = new Date(now - maxAgeMs)
  const logs = catalogue.pruneRuns(before)
  let removed = 0
  for (const path of new Set([...logs, ...(await oldLogs(runLogDir, before))])) {
    await rm(path, { force: true }).then(
      () => (removed += 1),
      () => undefined,
    )
  }
  return removed
}

/** Also those of runs that the catalogue does not know. */
async function oldLogs(folder: string, before: Date): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  const old: string[] = []
  for (const name of names.filter((each) => each.endsWith('.ndjson'))) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && found.mtime < before) old.push(path)
  }
  return old
}
