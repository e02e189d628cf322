/** Runs a second through a catalogue in PostgreSQL: four processes, each taking and ending what waits. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { systemClock } from '../src/base/clock.ts'
import { postgresCatalogue } from '../src/catalogue/postgres.ts'
import { newRun } from '../src/model/run.ts'
import type { Task } from '../src/model/service.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { catalogueUrl } from '../test/support/catalogues.ts'

const TASKS = 2000
const WORKERS = 4

export async function sharedQueueFigures(dir: string): Promise<string> {
  const server = await startPostgres()
  const url = catalogueUrl(server)
  const catalogue = postgresCatalogue(url, systemClock, join(dir, 'server.key'))
  try {
    const now = systemClock.now()
    const queueing = performance.now()
    catalogue.service.record(
      Array.from({ length: TASKS }, (_, n) => {
        const job = `job${n}`
        const task: Task = {
          id: job,
          job,
          kind: 'backup',
          recurrence: `${job}/backup`,
          due: now,
          notBefore: now,
          trigger: 'schedule',
          run: `run of ${job}`,
          attempt: 1,
          labels: [],
        }
        return { recurrence: `${job}/backup`, job, due: now, state: 'queued' as const, run: task.run, task }
      }),
      [],
      ({ run: id, job }) => catalogue.saveRun(newRun({ id, kind: 'backup', job, status: 'queued', createdAt: now })),
    )
    const queued = performance.now() - queueing
    const workers = Array.from({ length: WORKERS }, () =>
      spawn(process.execPath, [import.meta.filename, url, dir], { stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    // Each says that it is connected; then all begin.
    await Promise.all(workers.map(async ({ stdout }) => once(stdout, 'data')))
    const start = performance.now()
    for (const worker of workers) worker.kill('SIGUSR2')
    await Promise.all(workers.map(async (worker) => once(worker, 'exit')))
    const took = performance.now() - start
    const left = catalogue.service.tasks().length
    if (left > 0) throw new Error(`${left} tasks were left`)
    return [
      `PostgreSQL: ${TASKS} runs queued in ${(queued / 1000).toFixed(2)} s`,
      `PostgreSQL: ${WORKERS} workers took, recorded twice and ended ${Math.round((TASKS * 1000) / took)} runs a second (goal 200)`,
    ].join('\n')
  } finally {
    catalogue.close()
    await server.stop()
  }
}

async function work(url: string, dir: string): Promise<void> {
  const catalogue = postgresCatalogue(url, systemClock, join(dir, 'server.key'))
  const begin = once(process, 'SIGUSR2')
  const alive = setInterval(() => {}, 1000)
  catalogue.get('anything')
  process.stdout.write('ready\n')
  await begin
  clearInterval(alive)
  const { service } = catalogue
  for (let claim = service.claim([], 60_000); claim !== undefined; claim = service.claim([], 60_000)) {
    const { run: id, job } = claim.task
    const now = systemClock.now()
    const run = newRun({ id, kind: 'backup', job, status: 'running', createdAt: now })
    catalogue.saveRun(run)
    catalogue.saveRun({ ...run, status: 'success', endedAt: systemClock.now() })
    service.finish(claim, 'done')
  }
  catalogue.close()
}

const [url, dir] = process.argv.slice(2)
if (import.meta.main && url !== undefined && dir !== undefined) await work(url, dir)
