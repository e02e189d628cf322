/** What a retention keeps: of a job's real backups, or of a made-up history. */
import { AppError } from '../base/errors.ts'
import { settingsOfParts } from '../config/definitions.ts'
import type { Retention, RetentionItem } from '../model/retention.ts'
import { planRetention } from '../policy/retention.ts'
import type { Served } from './contract/index.ts'
import { cronOf } from './cron-times.ts'
import type { Api } from './handler.ts'
import { addedParts, faultsOf } from './parts.ts'

type Asked = Served<'POST /api/v1/retention/simulate'>['body']
type Answer = Served<'POST /api/v1/retention/simulate'>['answer']

const DAY_MS = 86_400_000
/** More than anybody looks at; a schedule of each minute would make millions. */
const MOST = 5000

export async function simulate(api: Api, asked: Asked): Promise<Answer> {
  const { app } = api
  const retention = await retentionOf(api, asked.retention)
  const now = app.clock.now()
  const items: (RetentionItem & { storedBytes?: number })[] =
    asked.job === undefined
      ? madeUp(asked, now)
      : app
          .history()
          .backups({ job: asked.job, ...(asked.vault !== undefined && { vault: asked.vault }) })
          .slice(-MOST)
  const times = new Map(items.map(({ id, time, storedBytes }) => [id, { time, storedBytes }]))
  const decisions = planRetention(items, retention, {
    now: asked.job === undefined ? (items.at(-1)?.time ?? now) : now,
    timezone: asked.timezone,
  })
  const removed = decisions.filter(({ keep }) => !keep)
  const freed = removed.reduce((sum, { id }) => sum + (times.get(id)?.storedBytes ?? 0), 0)
  return {
    items: decisions.map(({ id, keep, reasons }) => ({ id, keep, reasons, time: times.get(id)?.time ?? now })),
    kept: decisions.length - removed.length,
    removed: removed.length,
    ...(asked.job !== undefined && { bytesFreed: freed }),
  }
}

/** As the schedule would have made them up to now. */
function madeUp({ cron, timezone, days }: Asked, now: Date): RetentionItem[] {
  const times = cronOf(cron, timezone)
  const items: RetentionItem[] = []
  const from = new Date(now.getTime() - days * DAY_MS)
  for (let at = times.next(from); at !== undefined && at <= now && items.length < MOST; at = times.next(at))
    items.push({ id: at.toISOString(), time: at, tags: [], needs: [] })
  return items
}

/** Checked as part of a job. */
async function retentionOf(api: Api, retention: Record<string, unknown>): Promise<Retention> {
  const [vault] = Object.keys(api.app.settings.vaults)
  const name = 'simulated'
  const body = { source: { type: 'files', paths: ['/'] }, vaults: [vault ?? name], retention }
  const parts = addedParts(api)
  const vaults = vault === undefined ? { [name]: { storage: 'memory:' } } : parts.vaults
  const { settings, faults } = await settingsOfParts(
    { vaults, notify: parts.notify, jobs: { [name]: body } },
    api.app.parts,
  )
  const job = settings.jobs[name]
  if (job !== undefined) return job.retention ?? {}
  const all = vault === undefined ? faults.map(({ fault }) => fault) : await faultsOf(api, 'job', name, body)
  throw new AppError('request.invalid', `retention: ${all[0]?.message ?? 'is wrong'}`, { details: { faults: all } })
}
