/** Jobs: list, make, change, run, pause; schedules and what a retention would keep. */
import { formatDuration } from '../../base/units.ts'
import { AppError, isAppError } from '../../base/errors.ts'
import { systemTimezone } from '../../base/zone.ts'
import type { Tree } from '../../config/key-path.ts'
import { settingsOfParts } from '../../config/definitions.ts'
import type { Job } from '../../model/job.ts'
import { whose, type Recurrence } from '../../model/service.ts'
import { planPrune, pruneAndKeepLocks } from '../../operations/prune.ts'
import { exclusively, recorded } from '../../operations/recorder.ts'
import { timelineOf } from '../../operations/timeline.ts'
import { dueAfter, recurrencesOf } from '../../service/times.ts'
import type { jobRoutes } from '../contract/jobs.ts'
import { cronText } from '../cron-text.ts'
import { pageOf } from '../cursor.ts'
import { signedIn, type Api, type Handlers } from '../handler.ts'
import {
  changePart,
  createPart,
  tagPart,
  addedParts,
  faultsOf,
  partNamed,
  partOf,
  removePart,
  shownPart,
} from '../parts.ts'
import { simulate } from '../simulate.ts'
import { timesOf } from '../cron-times.ts'
import { startRun } from '../start-run.ts'
import { FOREVER, jobShort, seeJobs } from '../views/jobs.ts'

const TIMES = 6

export function jobHandlers(api: Api): Handlers<keyof typeof jobRoutes> {
  const { app } = api

  async function whole(name: string) {
    const job = app.job(name)
    const part = partNamed(api, 'job', name)
    const seen = seeJobs(api)
    const figures = seen.board.get(name)
    const description = part.body['description']
    return {
      ...jobShort(api, job, seen),
      ...(await shownPart('job', name, part)),
      ...(typeof description === 'string' && { description }),
      vaultStates: job.vaults.map((vault) => {
        const one = figures?.vaults.get(vault)
        return {
          vault,
          backups: one?.backups ?? 0,
          ...(one?.newest && { newest: one.newest }),
          ...(one && { stored: one.storedBytes }),
          ...(one?.proof && { proof: { level: one.proof.level, at: one.proof.at } }),
        }
      }),
    }
  }

  const recurrencesNamed = (job: string): Recurrence[] => recurrencesOf(app).filter((one) => one.job === job)

  return {
    'GET /api/v1/jobs'({ query }) {
      const seen = seeJobs(api)
      const all = Object.values(app.settings.jobs)
        .filter(({ name }) => query.q === undefined || name.toLowerCase().includes(query.q.toLowerCase()))
        .sort((a, b) => a.name.localeCompare(b.name))
      if (query.state === undefined) {
        const { items, next } = pageOf(all, query)
        return { items: items.map((job) => jobShort(api, job, seen)), ...(next !== undefined && { next }) }
      }
      return pageOf(
        all.map((job) => jobShort(api, job, seen)).filter(({ state }) => state === query.state),
        query,
      )
    },
    async 'GET /api/v1/jobs/{name}'({ params, headers }) {
      const job = await whole(params.name)
      tagPart(api, 'job', params.name, headers)
      return job
    },
    async 'POST /api/v1/jobs'(call) {
      await createPart(api, 'job', call)
      return whole(call.body.name)
    },
    async 'PUT /api/v1/jobs/{name}'(call) {
      await changePart(api, 'job', call)
      return whole(call.params.name)
    },
    async 'DELETE /api/v1/jobs/{name}'({ params }) {
      await removePart(api, 'job', params.name)
      return undefined
    },
    async 'POST /api/v1/jobs/check'({ body }) {
      const { name, definition } = body
      const found = await faultsOf(api, 'job', name, definition)
      const known = partOf(api, 'job', name)
      const { yaml } = await shownPart('job', name, { body: definition })
      const job = found.length === 0 ? await asJob(api, name, definition) : undefined
      const { schedule } = job ?? {}
      return {
        ok: found.length === 0,
        faults: found,
        yaml,
        ...(job && { sentence: sentenceOf(job, known !== undefined) }),
        next:
          schedule === undefined
            ? []
            : timesOf(schedule.cron, schedule.timezone ?? systemTimezone(), app.clock.now(), TIMES),
      }
    },
    async 'POST /api/v1/jobs/{name}/runs'({ params, body, audit }) {
      const job = app.job(params.name)
      audit({ kind: body.kind, ...(body.level && { level: body.level }) })
      return startRun(api, { job: job.name, kind: body.kind, ...(body.level && { level: body.level }) })
    },
    'POST /api/v1/jobs/{name}/pause'({ params, body, caller, audit }) {
      app.job(params.name)
      const until = body.until ?? FOREVER
      if (until <= app.clock.now()) throw new AppError('request.invalid', 'until: is in the past')
      const names = recurrencesNamed(params.name)
      if (names.length === 0)
        throw new AppError('request.exists', `${params.name} has no schedule that could be paused`, {
          hint: 'It runs only when somebody asks for it.',
        })
      audit({
        ...(body.until && { until: body.until.toISOString() }),
        ...(body.reason !== undefined && { reason: body.reason }),
      })
      const reason = body.reason ?? `paused by ${signedIn({ caller }).name}`
      for (const { name } of names) app.history().service.pause(name, until, reason)
      return undefined
    },
    'POST /api/v1/jobs/{name}/resume'({ params }) {
      app.job(params.name)
      for (const { name } of recurrencesNamed(params.name)) app.history().service.pause(name, undefined)
      return undefined
    },
    async 'POST /api/v1/jobs/{name}/prune'({ params, body, signal, audit }) {
      const job = app.job(params.name)
      const { retention } = job
      if (retention === undefined)
        throw new AppError('request.exists', `${job.name} has no retention: everything is kept`, {
          hint: 'Give the job a retention first.',
        })
      audit({ dryRun: body.dryRun })
      const vaults = []
      for (const name of job.vaults) {
        const vault = await app.openers().vault(name, job)
        const timezone = job.schedule?.timezone
        const plan = async () => planPrune(app.deps, vault, { job: job.name, retention, ...(timezone && { timezone }) })
        if (body.dryRun) {
          const { keep, remove } = await plan()
          const bytesFreed = remove.reduce((sum, { storedBytes = 0 }) => sum + storedBytes, 0)
          vaults.push({ vault: name, keep, remove, bytesFreed })
          continue
        }
        const start = { kind: 'prune', job: job.name, vault: name, trigger: 'api', signal } as const
        const { result, error } = await recorded(app.deps, start, async (handle) =>
          exclusively(app.deps, `job:${job.name}`, async () => {
            handle.stage('prune')
            return pruneAndKeepLocks(app.deps, vault, await plan(), { handle })
          }),
        )
        if (result === undefined) throw error ?? new Error('a prune ended without a result')
        vaults.push({ vault: name, keep: result.keep, remove: result.remove, bytesFreed: result.bytesFreed })
      }
      return {
        applied: !body.dryRun,
        vaults: vaults.map(({ keep, remove, ...rest }) => ({
          ...rest,
          keep: keep.map(itemOf),
          remove: remove.map(itemOf),
        })),
      }
    },
    async 'GET /api/v1/jobs/{name}/timeline'({ params, signal }) {
      const job = app.job(params.name)
      const vaults = []
      for (const name of job.vaults) {
        try {
          const { job: _, ...found } = await timelineOf(await app.vault(name), job.name, app.clock.now(), { signal })
          vaults.push(found)
        } catch (error) {
          // Its first backup makes it.
          if (!isAppError(error, 'vault.not-found')) throw error
          vaults.push({ vault: name, windows: [], gaps: [], events: [], proofs: [], bytes: 0, segments: 0 })
        }
      }
      return { vaults }
    },
    'GET /api/v1/schedules'() {
      const states = app.history().service.states()
      const now = app.clock.now()
      const items = recurrencesOf(app).map((one) => {
        const { pausedUntil, pauseReason } = states.get(one.name) ?? {}
        const [next] = dueAfter(one, now, pausedUntil, 1)
        const paused = pausedUntil !== undefined && pausedUntil > now
        return {
          name: one.name,
          ...whose(one),
          kind: one.kind,
          origin: one.origin,
          spec: 'cron' in one.schedule ? one.schedule.cron : `every ${formatDuration(one.schedule.everyMs)}`,
          ...('cron' in one.schedule && { timezone: one.schedule.timezone ?? systemTimezone() }),
          ...(next && { next }),
          paused,
          ...(paused && pausedUntil.getTime() !== FOREVER.getTime() && { pausedUntil }),
          ...(paused && pauseReason !== undefined && { pauseReason }),
        }
      })
      return { items }
    },
    'POST /api/v1/schedules/preview': ({ body }) => ({
      times: timesOf(body.cron, body.timezone, app.clock.now(), TIMES),
      text: cronText(body.cron),
    }),
    'POST /api/v1/retention/simulate': async ({ body }) => simulate(api, body),
  }
}

const itemOf = ({
  id,
  time,
  storedBytes,
  reasons,
}: {
  id: string
  time: Date
  storedBytes?: number
  reasons: string[]
}) => ({
  id,
  time,
  reasons,
  ...(storedBytes !== undefined && { storedBytes }),
})

async function asJob(api: Api, name: string, definition: Tree): Promise<Job | undefined> {
  const parts = addedParts(api)
  const { settings } = await settingsOfParts({ ...parts, jobs: { [name]: definition } }, api.app.parts)
  return settings.jobs[name]
}

function sentenceOf(job: Job, exists: boolean): string {
  const when =
    job.schedule === undefined
      ? 'when somebody asks for it'
      : `${cronText(job.schedule.cron)} (${job.schedule.timezone ?? systemTimezone()})`
  const keep = Object.entries(job.retention ?? {}).flatMap(([rule, value]) =>
    typeof value === 'number' && value > 0 ? [`${rule} ${value}`] : [],
  )
  const proof = job.verify.restoreTest
  return [
    `${exists ? 'Changes' : 'Makes'} the job ${job.name}: a backup of ${job.source.type} to ${job.vaults.join(' and ')}, ${when}.`,
    keep.length === 0 ? 'Everything is kept.' : `Kept are: ${keep.join(', ')}.`,
    proof === undefined
      ? 'No restore is tried by itself.'
      : `Each ${proof.every} a restore is tried, up to ${proof.level}.`,
  ].join(' ')
}
