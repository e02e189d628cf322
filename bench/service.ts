/** The scheduler's tick and the queue's claims with ten thousand jobs on the SQLite catalogue, in this process. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../src/base/clock.ts'
import { sqliteCatalogue } from '../src/catalogue/sqlite.ts'
import { createScheduler } from '../src/jobs/scheduler.ts'
import type { Recurrence, Task } from '../src/model/service.ts'

const JOBS = 10_000
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York']

/** Half of the jobs run each minute, the others each hour at a minute of their own. */
const recurrences = (): Recurrence[] =>
  Array.from({ length: JOBS }, (_, n) => ({
    name: `job${n}/backup`,
    job: `job${n}`,
    kind: 'backup',
    schedule: {
      cron: n % 2 === 1 ? '* * * * *' : `${n % 60} * * * *`,
      timezone: ZONES[n % 3] as string,
      missed: 'once',
    },
    origin: 'config',
  }))

export function serviceFigures(dir: string): string {
  const path = join(dir, 'service.db')
  let now = Date.UTC(2027, 0, 1, 0, 0, 30)
  const clock: Clock = { now: () => new Date(now), monotonic: () => now, sleep: async () => {} }
  const catalogue = sqliteCatalogue(path, clock)
  const { service } = catalogue
  const jobs = recurrences()
  const onQueued = ({ run: id, job }: Task): void =>
    catalogue.saveRun({
      id,
      kind: 'backup',
      job,
      status: 'queued',
      trigger: 'schedule',
      createdAt: clock.now(),
      warnings: [],
      warningCount: 0,
      stages: [],
    })
  const scheduler = createScheduler({ clock, store: service, recurrences: () => jobs, onQueued, onAbandoned: () => {} })
  const timed = (work: () => number): [count: number, ms: number] => {
    const start = performance.now()
    return [work(), performance.now() - start]
  }
  try {
    do scheduler.tick()
    while (scheduler.behind)
    const [, idle] = timed(() => scheduler.tick().length)
    now += 60_000
    let [queued, ticks, longest] = [0, 0, 0]
    const [, all] = timed(() => {
      do {
        const [count, took] = timed(() => scheduler.tick().length)
        queued += count
        ticks += 1
        longest = Math.max(longest, took)
      } while (scheduler.behind)
      return queued
    })
    const [claims, took] = timed(() => {
      let count = 0
      for (let claim = service.claim([], 60_000); claim !== undefined; claim = service.claim([], 60_000)) {
        service.finish(claim, 'done')
        count += 1
      }
      return count
    })
    const memory = Math.round(process.memoryUsage().rss / 1024 ** 2)
    return [
      `10,000 jobs: a tick with nothing due ${idle.toFixed(0)} ms, the longest of ${ticks} that queue ${queued} runs ${longest.toFixed(0)} ms (goal 200), all of them ${all.toFixed(0)} ms (drift: goal 1 s)`,
      `claims through SQLite: ${Math.round((claims * 1000) / took)} a second, each taken and ended (goal 1,000)`,
      `memory of this process: ${memory} MiB (goal 150)`,
    ].join('\n')
  } finally {
    catalogue.close()
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  }
}
