/** Vaults, notifiers, alerts. */
import { AppError, isAppError, toAppError } from '../../base/errors.ts'
import { settingsOfParts, unhideSecrets } from '../../config/definitions.ts'
import type { Tree } from '../../config/key-path.ts'
import type { Incident } from '../../model/incident.ts'
import { vaultWork } from '../../model/service.ts'
import { checkVault, type DoctorCheck } from '../../operations/doctor.ts'
import type { vaultRoutes } from '../contract/vaults.ts'
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
import { refuseMetadata } from '../metadata-addresses.ts'
import { seeJobs } from '../views/jobs.ts'
import { vaultShort } from '../views/vaults.ts'
import { nextDue, recurrencesOf } from '../../service/times.ts'
import { startRun } from '../start-run.ts'
import { vaultsOf } from './overview.ts'

type Own = Exclude<keyof typeof vaultRoutes, `${string} /api/v1/sources${string}`>

const MEASURED_MS = 400 * 86_400_000

export function vaultHandlers(api: Api): Handlers<Own> {
  const { app } = api
  const catalogue = () => app.history()

  function settingsOf(name: string) {
    const settings = app.settings.vaults[name]
    if (settings === undefined) throw new AppError('vault.not-found', `there is no vault ${name}`)
    return settings
  }

  async function whole(name: string) {
    const part = partNamed(api, 'vault', name)
    const settings = settingsOf(name)
    const usage = catalogue().usage(name, new Date(app.clock.now().getTime() - MEASURED_MS))
    return {
      ...vaultShort(api, settings, seeJobs(api)),
      ...(await shownPart('vault', name, part)),
      ...checksOf(name),
      usage: usage.map(({ at, bytes, objects, free }) => ({ at, bytes, objects, ...(free !== undefined && { free }) })),
    }
  }

  function checksOf(name: string) {
    const [last] = catalogue().runs({ job: '', vault: name, kind: 'check', limit: 1 })
    const recurrence = recurrencesOf(app).find(({ check }) => check?.vault === name)
    const next = recurrence && nextDue(app, recurrence)
    const { readData, damaged } = last?.summary ?? {}
    return {
      ...(last && {
        lastCheck: {
          run: last.id,
          at: last.createdAt,
          status: last.status,
          ...(typeof readData === 'number' && { readData }),
          ...(typeof damaged === 'number' && { damaged }),
          ...(last.error && { message: last.error.message }),
        },
      }),
      ...(next && { nextCheck: next }),
    }
  }

  /** What a definition that is not saved comes to; that of the file is known to be good. */
  async function tried(kind: 'vault' | 'notifier', name: string, definition: Tree, managed: boolean) {
    const faults = managed ? [] : await faultsOf(api, kind, name, definition)
    const [first] = faults
    if (first !== undefined)
      throw new AppError('config.invalid', `${first.key}: ${first.message}`, { details: { faults } })
    const own = kind === 'vault' ? { vaults: { [name]: definition } } : { notify: { [name]: definition } }
    const { settings } = await settingsOfParts(
      { ...addedParts(api), jobs: {}, ...own },
      { ...app.parts, known: { ...app.parts.known, vaults: [] } },
    )
    return settings
  }

  async function notifierShown(name: string) {
    const settings = app.settings.notify[name]
    const part = partNamed(api, 'notifier', name)
    if (settings === undefined) throw new AppError('request.not-found', `there is no notifier ${name}`)
    const { definition } = await shownPart('notifier', name, part)
    const jobs = Object.values(app.settings.jobs).filter((job) => job.notify.includes(name))
    return {
      name,
      managed: part.managed,
      type: settings.type,
      on: settings.on,
      jobs: jobs.map((job) => job.name),
      definition,
    }
  }

  function alertNamed(id: string): Incident {
    const alert = catalogue().incidents.find(id)
    if (alert === undefined) throw new AppError('request.not-found', `there is no alert ${id}`)
    return alert
  }

  return {
    'GET /api/v1/vaults': () => ({ items: vaultsOf(api, seeJobs(api)) }),
    async 'GET /api/v1/vaults/{name}'({ params, headers }) {
      const vault = await whole(params.name)
      tagPart(api, 'vault', params.name, headers)
      return vault
    },
    async 'POST /api/v1/vaults'(call) {
      await createPart(api, 'vault', call)
      return whole(call.body.name)
    },
    async 'PUT /api/v1/vaults/{name}'(call) {
      await changePart(api, 'vault', call)
      return whole(call.params.name)
    },
    async 'DELETE /api/v1/vaults/{name}'({ params }) {
      await removePart(api, 'vault', params.name)
      // What lies there stays; here it is no longer known.
      catalogue().replaceBackups(params.name, [])
      return undefined
    },
    async 'POST /api/v1/vaults/test'({ body, signal, audit }) {
      audit({}, body.name)
      const before = partOf(api, 'vault', body.name)
      const definition = before === undefined ? body.definition : unhideSecrets(body.definition, before.body)
      await refuseMetadata(definition)
      const settings = await tried('vault', body.name, definition, before?.managed === true)
      const vault = settings.vaults[body.name]
      if (vault === undefined) throw new AppError('config.invalid', 'this vault cannot be used as it is')
      const { name: _, ...opening } = vault
      // Under a name of its own: it is not the vault that may be open under that name.
      const open = async () => app.vault(`${body.name} (tried ${app.clock.now().getTime()})`, opening)
      const checks = await checkVault(body.name, open, { write: true, signal })
      const ok = checks.every((check) => check.ok)
      const opened = await open().catch((error: unknown) => toAppError(error))
      const found = isAppError(opened) ? undefined : opened.format
      const backups = isAppError(opened) ? undefined : (await opened.backups({ signal }).catch(() => [])).length
      return {
        ok,
        ...(isAppError(opened, 'vault.not-found') ? { found: 'nothing' as const } : found && { found }),
        ...(backups !== undefined && { backups }),
        checks: checks.map(checkShown),
      }
    },
    async 'POST /api/v1/vaults/{name}/test'({ params, signal }) {
      settingsOf(params.name)
      const checks = await checkVault(params.name, async () => app.vault(params.name), { write: true, signal })
      return { ok: checks.every(({ ok }) => ok), checks: checks.map(checkShown) }
    },
    async 'POST /api/v1/vaults/{name}/check'({ params, body, audit }) {
      const { name: vault } = settingsOf(params.name)
      const { readData } = body
      audit({ readData })
      return startRun(api, { job: vaultWork(vault), kind: 'check', options: { vault, readData } })
    },
    async 'POST /api/v1/vaults/{name}/refresh'({ params, signal }) {
      settingsOf(params.name)
      const vault = await app.vault(params.name)
      const backups = await vault.backups({ signal })
      catalogue().replaceBackups(params.name, backups)
      return { backups: backups.length }
    },

    'GET /api/v1/notifications': async () => ({
      items: await Promise.all(Object.keys(app.settings.notify).sort().map(notifierShown)),
    }),
    async 'GET /api/v1/notifications/{name}'({ params, headers }) {
      tagPart(api, 'notifier', params.name, headers)
      return notifierShown(params.name)
    },
    async 'POST /api/v1/notifications'(call) {
      await createPart(api, 'notifier', call)
      return notifierShown(call.body.name)
    },
    async 'PUT /api/v1/notifications/{name}'(call) {
      await changePart(api, 'notifier', call)
      return notifierShown(call.params.name)
    },
    async 'DELETE /api/v1/notifications/{name}'({ params }) {
      await removePart(api, 'notifier', params.name)
      return undefined
    },
    async 'POST /api/v1/notifications/{name}/test'({ params, signal }) {
      partNamed(api, 'notifier', params.name)
      return sent(app.testNotifier(params.name, { signal }))
    },
    async 'POST /api/v1/notifications/test'({ body, signal, audit }) {
      const { name } = body
      audit({}, name)
      const before = partOf(api, 'notifier', name)
      const definition = before === undefined ? body.definition : unhideSecrets(body.definition, before.body)
      await refuseMetadata(definition)
      const settings = await tried('notifier', name, definition, before?.managed === true)
      const notifier = settings.notify[name]
      if (notifier === undefined) throw new AppError('config.invalid', 'this notifier cannot be used as it is')
      return sent(app.testNotifier(notifier, { signal }))
    },

    'GET /api/v1/alerts'({ query }) {
      const items = catalogue().incidents.list({
        limit: query.limit,
        ...(query.open !== undefined && { open: query.open }),
        ...(query.job !== undefined && { job: query.job }),
      })
      return { items }
    },
    'POST /api/v1/alerts/{id}/acknowledge'({ params, caller }) {
      const alert = alertNamed(params.id)
      catalogue().incidents.acknowledge(alert.id, signedIn({ caller }).name)
      return alertNamed(alert.id)
    },
    'POST /api/v1/alerts/{id}/snooze'({ params, body, audit }) {
      const alert = alertNamed(params.id)
      if (body.until <= app.clock.now()) throw new AppError('request.invalid', 'until: is in the past')
      audit({ until: body.until.toISOString() })
      catalogue().incidents.snooze(alert.id, body.until)
      return alertNamed(alert.id)
    },
  }
}

export const checkShown = ({ name, ok, detail, fix }: Pick<DoctorCheck, 'name' | 'ok' | 'detail' | 'fix'>) => ({
  name,
  ok,
  detail,
  ...(fix !== undefined && { fix }),
})

/** The outcome of a test message, which is an answer however it went. */
async function sent(sending: Promise<void>) {
  try {
    await sending
    return { ok: true }
  } catch (thrown) {
    const { code, message, hint } = toAppError(thrown, 'notify.failed')
    return { ok: false, error: { code, message, hint } }
  }
}
