/** Putting work into the queue, from where a worker takes it. */
import { AppError } from '../base/errors.ts'
import { runId } from '../base/ids.ts'
import { whose, type Task, type TaskKind, type TaskOptions } from '../model/service.ts'
import { saveQueued } from '../service/service.ts'
import type { Api } from './handler.ts'

export interface Order {
  /** Of a check: `vaultWork` of the vault. */
  job: string
  kind: TaskKind
  level?: Task['level']
  options?: TaskOptions
}

const ENDING_TRIES = 20
const ENDING_MS = 50

/** Gives the run; refuses a second one of the same kind while one waits or works. */
export async function startRun({ app }: Api, { job, kind, level, options }: Order): Promise<{ id: string }> {
  const catalogue = app.history()
  catalogue.reapRuns()
  const now = app.clock.now()
  const labels = app.settings.jobs[job]?.labels ?? []
  const task: Task = {
    id: runId(),
    job,
    kind,
    due: now,
    notBefore: now,
    trigger: 'api',
    run: runId(),
    attempt: 1,
    labels,
    ...(level && { level }),
    ...(options && { options }),
  }
  const runningNow = () =>
    kind === 'restore'
      ? undefined
      : catalogue.runs({ ...whose({ job }), kind, status: ['queued', 'running'], limit: 1 }).at(0)
  let running = runningNow()
  let queued = running === undefined && catalogue.service.enqueue(task) !== undefined
  // A run that has ended just now is put away a moment later.
  for (let tries = 0; !queued && running === undefined && tries < ENDING_TRIES; tries += 1) {
    await app.clock.sleep(ENDING_MS)
    running = runningNow()
    queued = running === undefined && catalogue.service.enqueue(task) !== undefined
  }
  if (!queued) {
    const run = running?.id ?? catalogue.service.tasks().find((one) => one.job === job && one.kind === kind)?.run
    throw new AppError('run.locked', `a ${kind} of ${whose({ job }).vault ?? job} waits or works already`, {
      hint: 'Wait for it, or cancel it.',
      details: { ...(run !== undefined && { run }) },
    })
  }
  saveQueued(app, task)
  return { id: task.run }
}
