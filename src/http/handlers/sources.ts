/** Places that a new job may read: folders of this machine, databases of a server. */
import { lstatSync, readdirSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { AppError, isAppError, toAppError } from '../../base/errors.ts'
import { settingsOfParts } from '../../config/definitions.ts'
import type { vaultRoutes } from '../contract/vaults.ts'
import { pageOf } from '../cursor.ts'
import type { Api, Handlers } from '../handler.ts'
import { addedParts } from '../parts.ts'
import { refuseMetadata } from '../metadata-addresses.ts'
import { insideRoots } from '../roots.ts'
import { checkShown } from './vaults.ts'

type Own = Extract<keyof typeof vaultRoutes, `${string} /api/v1/sources${string}`>

const LOOK_MS = 5000

export function sourceHandlers(api: Api): Handlers<Own> {
  const { app } = api
  const { server } = app.settings
  const { roots } = server
  return {
    'GET /api/v1/sources/browse'({ query }) {
      const asked = query.path ?? roots[0] ?? '/'
      if (!isAbsolute(asked)) throw new AppError('request.invalid', 'query.path: must be an absolute path')
      const path = insideRoots(server, asked)
      const above = dirname(path)
      const names = namesIn(path).sort()
      const { items, next } = pageOf(names, query)
      return {
        path,
        roots,
        ...(above !== path && isInside(server, above) && { parent: above }),
        items: items.flatMap((name) => itemOf(join(path, name), name)),
        ...(next !== undefined && { next }),
      }
    },
    async 'POST /api/v1/sources/exclude'({ body, signal }) {
      for (const path of body.paths) {
        if (!isAbsolute(path)) throw new AppError('request.invalid', 'paths: must be absolute')
        insideRoots(server, path)
      }
      return app.testExclusion(body, { mostMs: LOOK_MS, signal })
    },
    async 'POST /api/v1/sources/test'({ body, signal, audit }) {
      await refuseMetadata(body.definition)
      const vault = { storage: 'memory:' }
      const job = { source: body.definition, vaults: ['tried'] }
      const { notify } = addedParts(api)
      const { settings, faults } = await settingsOfParts(
        { vaults: { tried: vault }, notify, jobs: { tried: job } },
        { ...app.parts, known: { ...app.parts.known, vaults: [] } },
      )
      const made = settings.jobs['tried']
      if (made === undefined) {
        const told = faults.map(({ fault: { key, message } }) => ({ key: key.replace(/^jobs\.tried\.?/, ''), message }))
        throw new AppError(
          'config.invalid',
          told[0] === undefined ? 'the source is wrong' : `${told[0].key}: ${told[0].message}`,
          {
            details: { faults: told },
          },
        )
      }
      audit({ type: made.source.type }, made.source.type)
      if (made.source.type === 'files') for (const path of made.source.paths) insideRoots(server, path)
      try {
        const source = await app.source(made.source)
        const checks = await source.test({ signal })
        const databases = [...new Set(checks.flatMap(({ database }) => database ?? []))].map((name) => ({ name }))
        return {
          ok: checks.every(({ ok }) => ok),
          checks: checks.map(checkShown),
          ...(databases.length > 0 && { databases }),
        }
      } catch (thrown) {
        if (signal.aborted || !isAppError(thrown)) throw thrown
        const { code, message, hint } = toAppError(thrown)
        return { ok: false, checks: [], error: { code, message, hint } }
      }
    },
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (cause) {
    throw new AppError('request.not-found', `${path} cannot be listed`, {
      cause,
      hint: 'It is no folder, or this server may not read it.',
    })
  }
}

function isInside(server: Parameters<typeof insideRoots>[0], path: string): boolean {
  try {
    insideRoots(server, path)
    return true
  } catch {
    return false
  }
}

function itemOf(path: string, name: string) {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return []
  const kind = stat.isDirectory() ? 'dir' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'other'
  return [
    {
      name: name.toWellFormed(),
      path: path.toWellFormed(),
      kind,
      mtime: stat.mtime,
      ...(kind === 'file' && { size: stat.size }),
    } as const,
  ]
}
