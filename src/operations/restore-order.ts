/** A restore that somebody asked for and a worker makes. */
import { AppError } from '../base/errors.ts'
import { isUnder } from '../base/paths.ts'
import type { Backup } from '../model/backup.ts'
import { DATABASE_TYPES, type DatabaseTargetSettings, type ServerSettings } from '../model/databases.ts'
import type { SourceSettings } from '../model/job.ts'
import { literalSecret } from '../model/secret.ts'
import type { RestoreOrder } from '../model/service.ts'
import type { EntrySelection, Vault } from '../model/vault.ts'
import { siblingsOf } from './fallback.ts'
import { bringBack, type RestoreResult } from './restore.ts'
import type { Deps, RunHandle } from './recorder.ts'
import type { Openers } from './run-jobs.ts'

/** The server of the order, else that of the job with its credentials. */
export function databaseOrder(
  { to, paths, overwrite, ownership }: RestoreOrder,
  backup: Backup,
  source: SourceSettings | undefined,
  dryRun: boolean,
): DatabaseTargetSettings {
  const type = DATABASE_TYPES.find((one) => one === backup.source)
  if (type === undefined)
    throw new AppError('usage.invalid', `a backup of ${backup.source} cannot be restored to a database`, {
      hint: 'Restore it to a folder.',
    })
  const own = source !== undefined && source.type === type ? source : undefined
  const asked = to.type === 'database' ? to : undefined
  const server: ServerSettings =
    asked?.host === undefined && own !== undefined && own.type !== 'sqlite'
      ? serverOf(own)
      : {
          ...(asked?.host !== undefined && { host: asked.host }),
          ...(asked?.port !== undefined && { port: asked.port }),
          ...(asked?.user !== undefined && { user: asked.user }),
          ...(asked?.password !== undefined && { password: literalSecret(asked.password, 'the restore') }),
        }
  const name =
    type === 'sqlite'
      ? sqliteFile(to, own)
      : (asked?.database ?? (own === undefined || own.type === 'sqlite' ? undefined : own.database))
  return {
    type,
    server,
    ...(name !== undefined && { database: name }),
    ...(asked?.from !== undefined && { from: asked.from }),
    ...(paths.length > 0 && { only: paths }),
    ...(overwrite === 'always' && { replace: true }),
    ...(ownership === false && { ownership }),
    ...(dryRun && { dryRun }),
  }
}

/** A name is no path: only what is said to be a file is one, so that who checks files checks all. */
export function sqliteFile(to: RestoreOrder['to'], source: SourceSettings | undefined): string | undefined {
  if (to.type === 'database' && to.file !== undefined) return to.file
  if (to.type === 'database' && to.database !== undefined)
    throw new AppError('usage.invalid', 'an SQLite database is restored to a file, not to a name')
  return source?.type === 'sqlite' ? (source.file ?? source.files?.[0]) : undefined
}

function serverOf({ host, port, user, password, url, tls, ca }: ServerSettings): ServerSettings {
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(user !== undefined && { user }),
    ...(password && { password }),
    ...(url && { url }),
    ...(tls !== undefined && { tls }),
    ...(ca !== undefined && { ca }),
  }
}

/** Of files: exactly these items and what is below them. Targets of databases choose by themselves. */
export function selectionOf({ paths, to }: RestoreOrder, backup: Backup): EntrySelection {
  if (paths.length === 0 || to.type === 'database' || (to.type === 'original' && backup.source !== 'files')) return {}
  const wanted = paths.map((path) => path.replace(/^\//, ''))
  const [only] = wanted
  if (wanted.length === 1 && only !== undefined) return { under: only }
  return { want: ({ path }) => wanted.some((one) => isUnder(path, one)) }
}

export async function restoreByOrder(
  deps: Pick<Deps, 'clock'>,
  openers: Openers,
  {
    vault,
    backup,
    order,
    dryRun = false,
    vaults = [],
  }: { vault: Vault; backup: Backup; order: RestoreOrder; dryRun?: boolean; vaults?: readonly string[] },
  handle: Pick<RunHandle, 'run' | 'signal' | 'stage' | 'onProgress' | 'onWarning' | 'log'>,
  onEffect?: Parameters<typeof bringBack>[2]['onEffect'],
): Promise<RestoreResult> {
  if (openers.target === undefined) throw new Error('restores by order need a target')
  const target = await openers.target(order, backup, dryRun)
  const selection = selectionOf(order, backup)
  const { stored } = openers
  const siblings =
    stored === undefined || vaults.length < 2
      ? undefined
      : () => siblingsOf(backup, vaults, async (name) => stored(name))
  return bringBack(
    deps,
    vault,
    { backup, target, selection, dryRun, ...(siblings && { siblings }), ...(onEffect && { onEffect }) },
    handle,
  )
}
