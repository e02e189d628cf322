/** Backups, what is in them, and bringing it back. */
import { isAbsolute } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { displayPath, pathFromWire, pathToWire } from '../../base/paths.ts'
import type { Backup } from '../../model/backup.ts'
import type { RestoreOrder } from '../../model/service.ts'
import type { TreeItem } from '../../model/tree-index.ts'
import type { Vault } from '../../model/vault.ts'
import { diff } from '../../operations/diff.ts'
import { annotate } from '../../operations/hold.ts'
import { pruneAndKeepLocks } from '../../operations/prune.ts'
import { sqliteFile } from '../../operations/restore-order.ts'
import { exclusively, recorded } from '../../operations/recorder.ts'
import type { backupRoutes, RestoreBody } from '../contract/backups.ts'
import { afterOf, cursorOf } from '../cursor.ts'
import { sendContent, sendPreview } from '../download.ts'
import type { Api, Handlers } from '../handler.ts'
import { planOf, pointPlanOf } from '../restore-plan.ts'
import { refuseMetadata } from '../metadata-addresses.ts'
import { insideRoots } from '../roots.ts'
import { search } from '../search.ts'
import { startRun } from '../start-run.ts'
import { backupShown } from '../views/backups.ts'

export function backupHandlers(api: Api): Handlers<keyof typeof backupRoutes> {
  const { app } = api
  const catalogue = () => app.history()

  const copiesOf = (id: string): Backup[] => catalogue().backupsPage({ id, limit: 100 })

  function find(id: string, vault: string | undefined): Backup {
    const copies = copiesOf(id)
    const found = vault === undefined ? copies[0] : copies.find((one) => one.vault === vault)
    if (found !== undefined) return found
    throw new AppError(
      'backup.not-found',
      `there is no backup ${id}${vault === undefined ? '' : ` in ${vault}`} that is known here`,
      {
        hint: 'What others made becomes known by POST /api/v1/vaults/{name}/refresh.',
      },
    )
  }

  const open = async (backup: Backup): Promise<Vault> => app.vault(backup.vault)

  return {
    'GET /api/v1/backups'({ query }) {
      const { cursor, limit, ...filter } = query
      const before = afterOf(cursor)
      const found = catalogue().backupsPage({ ...filter, ...(before && { before }), limit: limit + 1 })
      const items = found.slice(0, limit)
      const last = items.at(-1)
      return {
        items: items.map(backupShown),
        ...(found.length > limit && last && { next: cursorOf({ at: last.time, id: `${last.vault}\n${last.id}` }) }),
      }
    },
    'GET /api/v1/backups/{id}'({ params, query }) {
      const backup = find(params.id, query.vault)
      return { ...backupShown(backup), copies: copiesOf(params.id).map(({ vault }) => vault) }
    },
    async 'PATCH /api/v1/backups/{id}'({ params, query, body, audit }) {
      const backup = find(params.id, query.vault)
      const vault = await open(backup)
      audit({ ...body, vault: backup.vault })
      await annotate(vault, backup.id, {
        ...(body.hold !== undefined && { hold: body.hold }),
        ...(body.addTags && { addTags: body.addTags }),
        ...(body.removeTags && { removeTags: body.removeTags }),
      })
      const changed = (await vault.backups()).find(({ id }) => id === backup.id)
      if (changed === undefined) throw new AppError('backup.not-found', `${backup.id} is gone from ${backup.vault}`)
      catalogue().saveBackup(changed)
      return backupShown(changed)
    },
    async 'DELETE /api/v1/backups/{id}'({ params, query, signal, audit }) {
      if (query.confirm !== params.id)
        throw new AppError('request.invalid', 'query.confirm: must be the id of the backup')
      const backup = find(params.id, query.vault)
      audit({ vault: backup.vault, job: backup.job, time: backup.time.toISOString() })
      const vault = await open(backup)
      const start = { kind: 'prune', job: backup.job, vault: backup.vault, trigger: 'api', signal } as const
      const { result, error } = await recorded(app.deps, start, async (handle) =>
        exclusively(app.deps, `job:${backup.job}`, async () => {
          handle.stage('prune', backup.id)
          const reasons = ['removed by hand']
          const plan = { keep: [], remove: [{ ...backup, reasons }], applied: false, bytesFreed: 0 }
          await refuseLast(vault, backup)
          return pruneAndKeepLocks(app.deps, vault, plan, { handle })
        }),
      )
      if (result === undefined) throw error ?? new Error('a removal ended without a result')
      return { removed: result.remove.map(({ id }) => id), bytesFreed: result.bytesFreed }
    },
    async 'POST /api/v1/backups/{id}/verify'({ params, query, body, audit }) {
      const backup = find(params.id, query.vault)
      app.job(backup.job)
      audit({ level: body.level, vault: backup.vault })
      const options = { backup: backup.id, vault: backup.vault }
      return startRun(api, { job: backup.job, kind: 'verify', level: body.level, options })
    },

    async 'GET /api/v1/backups/{id}/tree'({ params, query, signal }) {
      const backup = find(params.id, query.vault)
      const index = await app.trees.get(await open(backup), backup.id)
      const path = pathFromWire(query.path).replace(/^\/+|\/+$/g, '')
      const none = (): AppError =>
        new AppError('request.not-found', `there is no folder /${displayPath(path)} in ${backup.id}`)
      if (query.q !== undefined) {
        const after = query.cursor === undefined ? undefined : Number(query.cursor)
        if (after !== undefined && !Number.isSafeInteger(after))
          throw new AppError('request.invalid', 'cursor: is none of ours')
        const found = await index.search(query.q, {
          under: path,
          limit: query.limit,
          signal,
          ...(after !== undefined && { after }),
        })
        if (found === undefined) throw none()
        const { items, next } = found
        return {
          path: pathToWire(path),
          items: items.map(itemShown),
          total: items.length,
          ...(next !== undefined && { next: String(next) }),
        }
      }
      const found = index.folder(path, { limit: query.limit, ...placeOf(query.cursor) })
      if (found === undefined) throw none()
      return {
        path: pathToWire(path),
        items: found.items.map(itemShown),
        total: found.total,
        ...(found.next && { next: Buffer.from(JSON.stringify(found.next)).toString('base64url') }),
      }
    },
    async 'GET /api/v1/backups/{id}/tables'({ params, query, signal }) {
      const backup = find(params.id, query.vault)
      const vault = await open(backup)
      return { items: await app.dumpedTables(vault, backup, { signal }) }
    },
    async 'GET /api/v1/backups/{id}/preview'({ params, query, request, response, signal, audit }) {
      const backup = find(params.id, query.vault)
      audit({ path: displayPath(query.path), vault: backup.vault })
      await sendPreview(api, {
        vault: await open(backup),
        backup,
        path: pathFromWire(query.path),
        request,
        response,
        signal,
      })
      return undefined
    },
    async 'GET /api/v1/backups/{id}/download'({ params, query, request, response, signal, audit }) {
      const backup = find(params.id, query.vault)
      const paths = [query.path ?? []].flat().map(pathFromWire)
      audit({ paths: paths.slice(0, 100).map(displayPath), vault: backup.vault })
      const vault = await open(backup)
      await sendContent(api, { vault, backup, paths, format: query.format, request, response, signal })
      return undefined
    },
    async 'GET /api/v1/backups/{id}/diff'({ params, query, signal }) {
      const after = find(params.id, query.vault)
      const before = find(query.with, after.vault)
      const from = query.cursor === undefined ? 0 : Number(query.cursor)
      if (!Number.isSafeInteger(from) || from < 0) throw new AppError('request.invalid', 'cursor: is none of ours')
      const items = []
      const counts = { added: 0, removed: 0, modified: 0 }
      let seen = 0
      for await (const one of diff(await open(after), before.id, after.id, { signal })) {
        if (one.modifier === 'U') continue
        const change = one.modifier === '+' ? 'added' : one.modifier === '-' ? 'removed' : 'modified'
        counts[change] += 1
        seen += 1
        if (seen <= from || items.length >= query.limit) continue
        items.push({
          path: pathToWire(one.path),
          change,
          kind: (one.after ?? one.before)?.kind ?? 'file',
          ...(one.before && { sizeBefore: one.before.size }),
          ...(one.after && { sizeAfter: one.after.size }),
        } as const)
      }
      const end = from + items.length
      return { items, ...counts, ...(end < seen && { next: String(end) }) }
    },
    'GET /api/v1/search': async ({ query, signal }) => search(api, { ...query, signal }),

    async 'POST /api/v1/restores/plan'({ body, signal, audit }) {
      await refuseMetadata(body.to)
      const order = orderOf(body)
      if (order.point !== undefined) {
        const { job, vault } = lanePlace(body)
        audit({ to: safeTarget(order), point: order.point }, job)
        return pointPlanOf({ vault: await app.vault(vault), job, order, signal })
      }
      const backup = find(body.backup ?? '', body.vault)
      allowTarget(order, backup)
      audit({ to: safeTarget(order) }, backup.id)
      return planOf(api, { vault: await open(backup), backup, order, signal })
    },
    async 'POST /api/v1/restores'({ body, audit }) {
      await refuseMetadata(body.to)
      const order = orderOf(body)
      if (order.point !== undefined) {
        const { job, vault } = lanePlace(body)
        audit({ vault, to: safeTarget(order), point: order.point }, job)
        return startRun(api, { job, kind: 'restore', options: { vault, restore: order } })
      }
      const backup = find(body.backup ?? '', body.vault)
      allowTarget(order, backup)
      audit(
        { vault: backup.vault, to: safeTarget(order), paths: order.paths.slice(0, 100).map(displayPath) },
        backup.id,
      )
      const options = { backup: backup.id, vault: backup.vault, restore: order }
      return startRun(api, { job: backup.job, kind: 'restore', options })
    },
  }

  function orderOf({ to, paths, overwrite, delete: remove, ownership, at, before, backup }: RestoreBody): RestoreOrder {
    if ([backup, at, before].filter((one) => one !== undefined).length !== 1)
      throw new AppError('request.invalid', 'give one of backup, at and before')
    if (to.type === 'folder') insideRoots(app.settings.server, absolute(to.path))
    if (to.type === 'database' && to.file !== undefined) insideRoots(app.settings.server, absolute(to.file))
    return {
      to,
      paths: paths.map(pathFromWire),
      delete: remove,
      ...(overwrite && { overwrite }),
      ...(ownership !== undefined && { ownership }),
      ...(at !== undefined && { point: { at } }),
      ...(before !== undefined && { point: { before } }),
    }
  }

  function allowTarget({ to }: RestoreOrder, backup: Backup): void {
    if (to.type === 'original' && backup.source === 'files')
      for (const path of backup.paths) insideRoots(app.settings.server, path)
    if (to.type === 'database' && backup.source === 'files')
      throw new AppError('request.invalid', 'to: files cannot be restored to a database')
    if (backup.source === 'sqlite' && to.type !== 'folder') {
      const file = sqliteFile(to, app.settings.jobs[backup.job]?.source)
      if (file !== undefined) insideRoots(app.settings.server, file)
    }
  }

  /** Whose log is meant, and where it lies. */
  function lanePlace({ job: name, vault }: RestoreBody): { job: string; vault: string } {
    if (name === undefined) throw new AppError('request.invalid', 'job: a moment is one of a job')
    const place = vault ?? app.job(name).vaults[0]
    if (place === undefined || app.settings.vaults[place] === undefined)
      throw new AppError('vault.not-found', `there is no vault ${place ?? ''}`)
    return { job: name, vault: place }
  }
}

function absolute(path: string): string {
  if (isAbsolute(path)) return path
  throw new AppError('request.invalid', 'to.path: must be an absolute path')
}

/** The newest that can be restored is never removed by hand either. */
async function refuseLast(vault: Vault, backup: Backup): Promise<void> {
  const good = (await vault.backups()).filter(({ job, broken }) => job === backup.job && broken === undefined)
  if (good.at(-1)?.id === backup.id)
    throw new AppError(
      'backup.last-one',
      `${backup.id} is the newest of ${backup.job} in ${vault.name} that can be restored`,
    )
}

/** For the audit log: without the password. */
function safeTarget({ to }: RestoreOrder): Record<string, unknown> {
  if (to.type !== 'database') return to
  const { password: _, ...rest } = to
  return rest
}

export function itemShown({ name, path, kind, size, mtime, mode, target, children }: TreeItem) {
  return {
    name: pathToWire(name),
    path: pathToWire(path),
    kind: kind === 'directory' ? ('dir' as const) : kind === 'file' || kind === 'symlink' ? kind : ('other' as const),
    mtime,
    mode,
    ...(kind === 'file' && { size }),
    ...(target !== undefined && { target: pathToWire(target) }),
    ...(children !== undefined && { children }),
  }
}

function placeOf(cursor: string | undefined): { after?: [number, string] } {
  if (cursor === undefined) return {}
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'))
    if (Array.isArray(value) && typeof value[0] === 'number' && typeof value[1] === 'string')
      return { after: [value[0], value[1]] }
  } catch {
    // Told below.
  }
  throw new AppError('request.invalid', 'cursor: is none of ours')
}
