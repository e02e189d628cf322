/** The first page, figures, and what the server says of itself. */
import { hostname } from 'node:os'
import { AppError } from '../../base/errors.ts'
import { VERSION } from '../../base/version.ts'
import { isTimezone, offsetAt, systemTimezone } from '../../base/zone.ts'
import { hideSecrets, partsOfFile } from '../../config/definitions.ts'
import type { Tree } from '../../config/key-path.ts'
import type { Incident } from '../../model/incident.ts'
import { whose } from '../../model/service.ts'
import { isNewer } from '../../operations/update.ts'
import { NEWER_KEY } from '../../service/service.ts'
import { dueAfter, recurrencesOf } from '../../service/times.ts'
import { sendText } from '../answer.ts'
import type { overviewRoutes } from '../contract/overview.ts'
import type { Served } from '../contract/index.ts'
import { Rendered, type Api, type Handlers } from '../handler.ts'
import { addedParts } from '../parts.ts'
import { jobRows } from '../views/job-rows.ts'
import { seeJobs, type JobsSeen } from '../views/jobs.ts'
import { vaultShort } from '../views/vaults.ts'

const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
/** Of one schedule that comes each minute nobody wants to see all. */
const MOST_EACH = 24
const SEVERITY: Incident['kind'][] = [
  'damage',
  'failure',
  'unreachable',
  'config',
  'overdue',
  'proof',
  'space',
  'warning',
]

export function overviewHandlers(api: Api): Handlers<keyof typeof overviewRoutes> {
  const { app } = api
  return {
    'GET /api/v1/overview'({ query }) {
      if (!isTimezone(query.timezone))
        throw new AppError('request.invalid', `query.timezone: ${query.timezone} is no time zone`)
      const seen = seeJobs(api)
      const { now } = seen
      const dayOf = dayIn(query.timezone)
      const rows = jobRows(api, seen, query.timezone, dayOf)
      const jobs = rows.map(({ job }) => job)
      const alerts = [...seen.incidents.values()]
        .flat()
        .filter(({ snoozedUntil }) => snoozedUntil === undefined || snoozedUntil <= now)
        .sort(
          (a, b) => SEVERITY.indexOf(a.kind) - SEVERITY.indexOf(b.kind) || b.openedAt.getTime() - a.openedAt.getTime(),
        )
      const running = jobs.filter((job) => job.running !== undefined).length
      const enabled = jobs.filter((job) => job.enabled)
      const upcoming = upcomingOf(api, seen)
      const states = new Set(enabled.map(({ state }) => state))
      const rest: Omit<Served<'GET /api/v1/overview'>['answer'], 'jobs'> = {
        worst:
          jobs.length === 0
            ? 'empty'
            : states.has('bad')
              ? 'bad'
              : states.has('warning') || states.has('unknown')
                ? 'warning'
                : running > 0
                  ? 'running'
                  : 'ok',
        counts: {
          jobs: enabled.length,
          good: enabled.filter(({ state }) => state === 'ok').length,
          proven: enabled.filter(({ proof }) => proof !== undefined).length,
          running,
          alerts: alerts.length,
        },
        ...(upcoming[0] && { nextRun: upcoming[0].at }),
        alerts: alerts.slice(0, 50),
        upcoming: upcoming.slice(0, 200),
        vaults: vaultsOf(api, seen),
      }
      return new Rendered(`${JSON.stringify(rest).slice(0, -1)},"jobs":[${rows.map(({ text }) => text).join(',')}]}`)
    },
    'GET /api/v1/stats'() {
      const seen = seeJobs(api)
      const since = seen.now.getTime() - 30 * DAY_MS
      const runs30d = { total: 0, good: 0, failed: 0 }
      // Of many jobs these are tens of thousands.
      for (const { recent } of seen.board.values())
        for (const { at, endedAt, status } of recent) {
          if (endedAt === undefined || at.getTime() < since) continue
          runs30d.total += 1
          if (status === 'success' || status === 'warning') runs30d.good += 1
          if (status === 'failed' || status === 'interrupted') runs30d.failed += 1
        }
      const perJob = [...seen.board]
        .filter(([, { backups }]) => backups > 0)
        .map(([job, { backups, sourceBytes, storedBytes }]) => ({ job, backups, sourceBytes, storedBytes }))
      const sum = (pick: (one: (typeof perJob)[number]) => number): number =>
        perJob.reduce((all, one) => all + pick(one), 0)
      const jobs = Object.values(app.settings.jobs)
      return {
        jobs: jobs.length,
        enabledJobs: jobs.filter(({ enabled }) => enabled).length,
        backups: sum((one) => one.backups),
        sourceBytes: sum((one) => one.sourceBytes),
        storedBytes: sum((one) => one.storedBytes),
        runs30d,
        vaults: vaultsOf(api, seen).map(({ name, backups, bytes, growthPerDay, daysToFull }) => ({
          vault: name,
          backups,
          ...(bytes !== undefined && { bytes }),
          ...(growthPerDay !== undefined && { growthPerDay }),
          ...(daysToFull !== undefined && { daysToFull }),
        })),
        perJob,
      }
    },
    'GET /api/v1/settings': async () => api.shownSettings(),
    async 'GET /api/v1/export'({ query, request, response }) {
      const file = partsOfFile(api.raw)
      const added = addedParts(api)
      const tree: Tree = { version: 1 }
      for (const section of ['vaults', 'jobs', 'notify'] as const) {
        const all = { ...added[section], ...file[section] }
        if (Object.keys(all).length > 0)
          tree[section] = Object.fromEntries(
            Object.entries(all).map(([name, body]) => [name, hideSecrets(section, body)]),
          )
      }
      const { renderConfig } = await import('../../config/transfer.ts')
      const text = await renderConfig(tree, query.format)
      const type = query.format === 'json' ? 'application/json' : 'application/yaml'
      sendText(request, response, 200, text, {
        'content-type': `${type}; charset=utf-8`,
        'content-disposition': `attachment; filename="holdfast.${query.format}"`,
      })
      return undefined
    },
    'GET /api/v1/about'() {
      const catalogue = app.history()
      const scheduler = catalogue.leaseOwner('scheduler')
      const newer = catalogue.get(NEWER_KEY)
      return {
        version: VERSION,
        ...(newer !== undefined && isNewer(newer, VERSION) && { newer }),
        node: process.versions.node,
        host: hostname(),
        startedAt: api.startedAt,
        timezone: systemTimezone(),
        now: app.clock.now(),
        queue: catalogue.service.tasks().map(({ run, job, kind, state, by }) => ({
          run,
          ...whose({ job }),
          kind,
          state,
          ...(by !== undefined && { by }),
        })),
        ...(scheduler !== undefined && { scheduler }),
        dataDir: app.settings.server.dataDir,
        roots: app.settings.server.roots,
      }
    },
  }
}

/** The number of the day that a time falls on; the zone is asked once for each quarter of an hour. */
function dayIn(timezone: string): (time: Date) => number {
  const offsets = new Map<number, number>()
  return (time) => {
    const quarter = Math.floor(time.getTime() / QUARTER_MS)
    let offset = offsets.get(quarter)
    if (offset === undefined) {
      offset = offsetAt(timezone, time.getTime())
      offsets.set(quarter, offset)
    }
    return Math.floor((time.getTime() + offset) / DAY_MS)
  }
}

export function vaultsOf(api: Api, seen: JobsSeen) {
  return Object.values(api.app.settings.vaults)
    .sort((a, b) => a.name.localeCompare(b.name))
    .map((vault) => vaultShort(api, vault, seen))
}

function upcomingOf({ app }: Api, { now, states }: JobsSeen) {
  const until = now.getTime() + DAY_MS
  return recurrencesOf(app)
    .flatMap((one) =>
      dueAfter(one, now, states.get(one.name)?.pausedUntil, MOST_EACH)
        .filter((at) => at.getTime() < until)
        .map((at) => ({ ...whose(one), kind: one.kind, at })),
    )
    .sort((a, b) => a.at.getTime() - b.at.getTime())
}
