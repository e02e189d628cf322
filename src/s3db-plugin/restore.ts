/** A backup back into a database: checked first, so that a damaged one changes nothing. */
import { isAppError, toAppError, type AppError } from '../base/errors.ts'
import type { Entry } from '../model/entry.ts'
import type { RestoreEffect } from '../model/source.ts'
import { restore as restoreOperation } from '../operations/restore.ts'
import { METADATA_KEY, resourceOf } from '../sources/s3db/keys.ts'
import type { ObjectClient } from '../sources/s3db/object-client.ts'
import { select } from '../sources/s3db/selection.ts'
import { BackupError, optionError } from './errors.ts'
import { recordCounts } from '../model/labels.ts'
import type { Copy, Session } from './session.ts'
import type { RestoreOptions, RestoreResult } from './types.ts'

export type Overwrite = 'refuse' | 'never' | 'always'

/** What `overwrite` and `mode` come to. */
export function manner({ overwrite, mode }: RestoreOptions): { overwrite: Overwrite; delete: boolean } {
  if (overwrite !== undefined && typeof overwrite !== 'boolean') throw optionError('overwrite is true or false')
  if (mode === undefined) return { overwrite: overwrite === true ? 'always' : 'refuse', delete: false }
  if (!['merge', 'replace', 'skip'].includes(mode))
    throw optionError(`the mode ${mode} is not known`, 'Use merge, replace or skip.')
  if (overwrite !== undefined && overwrite === (mode === 'skip'))
    throw optionError(`overwrite: ${overwrite} contradicts mode: ${mode}`)
  return { overwrite: mode === 'skip' ? 'never' : 'always', delete: mode === 'replace' }
}

export async function restoreBackup(
  session: Session,
  copies: readonly Copy[],
  target: ObjectClient | string,
  options: RestoreOptions & { signal: AbortSignal },
): Promise<RestoreResult> {
  const { app } = session
  const { resources, dryRun = false, signal } = options
  const copy = await soundCopy(session, copies, signal)
  const { backup, vault } = copy
  const totals = recordCounts(backup.labels?.['resources'])
  const missing = resources?.filter((name) => /^[\w-]+$/.test(name) && totals[name] === undefined) ?? []
  if (missing.length > 0 && backup.labels?.['resources'] !== undefined)
    throw new BackupError('backup.not-found', `Backup '${backup.id}' has no resource ${missing.join(', ')}`, {
      operation: 'restore',
      backupId: backup.id,
      hint: `It has ${Object.keys(totals).join(', ') || 'none'}.`,
    })
  const selection = resources && select({ include: resources })
  const written = new Map<string, number>()
  const onEffect = ({ path }: Entry, effect: RestoreEffect): void => {
    if (effect !== 'create' && effect !== 'replace') return
    const name = resourceOf(path)
    if (name !== undefined && path.startsWith(`resource=${name}/data/`)) written.set(name, (written.get(name) ?? 0) + 1)
  }
  const { result, error } = await restoreOperation(
    app.deps,
    vault,
    {
      backup,
      target: await app.s3dbTarget(target, {
        ...manner(options),
        ...(resources && { include: resources }),
        dryRun,
        scratchDir: session.config.tempDir,
      }),
      selection: selection ? { want: ({ path }) => path === METADATA_KEY || selection.key(path) } : {},
      dryRun,
      onEffect,
    },
    { signal },
  )
  if (error !== undefined) throw error
  const names = Object.keys(totals).filter((name) => selection?.resource(name) !== false)
  return {
    backupId: backup.id,
    restored: names.map((name) => ({ name, recordsRestored: written.get(name) ?? 0, totalRecords: totals[name] ?? 0 })),
    dryRun,
    effects: { ...result?.effects },
  }
}

/** The first copy that is whole: its stored bytes are read and hashed before anything is written. */
async function soundCopy({ config }: Session, copies: readonly Copy[], signal: AbortSignal): Promise<Copy> {
  let first: AppError | undefined
  for (const copy of copies) {
    try {
      const { id } = copy.backup
      const { ok, damage } = await copy.vault.verify(id, config.verification ? 'V1' : 'V0', { signal })
      if (ok) return copy
      const why = damage[0] === undefined ? 'it is not whole' : `${damage[0].key} ${damage[0].problem}`
      first ??= new BackupError('backup.damaged', `Backup '${id}' verification failed during restore: ${why}`, {
        operation: 'restore',
        backupId: id,
        statusCode: 422,
      })
    } catch (error) {
      if (isAppError(error, 'run.cancelled')) throw error
      first ??= toAppError(error)
    }
  }
  throw first ?? new TypeError('there is no copy')
}
