import { AppError, errno, isAbort, isAppError, toAppError } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { formatSize } from '../../base/units.ts'
import type { RestoredEntry } from '../../model/entry.ts'
import type { RestoreEffect, RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { noOutcome } from '../restored.ts'
import { loadLibc } from './libc.ts'
import { Extras } from './target-delete.ts'
import { freeBytes, Items } from './target-items.ts'
import { targetPath } from './target-paths.ts'
import type { FilesTargetSettings } from './target-settings.ts'

/** A folder of this machine that takes a restore. See the settings for each promise. */
export function filesTarget(settings: FilesTargetSettings): Target {
  return {
    name: settings.root,
    write: (entries, options) => write(settings, entries, options),
  }
}

interface Failures {
  count: number
  codes: Set<AppError['code']>
  first: AppError | undefined
}

async function write(
  settings: FilesTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  throwIfAborted(options.signal)
  await refuseWhatDoesNotFit(settings)
  const outcome = noOutcome()
  const failures: Failures = { count: 0, codes: new Set(), first: undefined }
  const strip = settings.strip ?? ''
  const extras = settings.delete && new Extras(settings.delete.flatMap((path) => targetPath(path, strip) ?? []))

  const done = (entry: RestoredEntry, effect: RestoreEffect): void => {
    outcome.effects[effect] += 1
    if (entry.kind !== 'directory' && (effect === 'create' || effect === 'replace')) outcome.files += 1
    options.onEntry?.(entry, effect)
  }
  const failed = (entry: RestoredEntry, error: unknown): void => {
    const failure = asFailure(error, entry, options)
    failures.count += 1
    failures.codes.add(failure.code)
    failures.first ??= failure
    options.onWarning({ code: 'failed', message: failure.message, path: entry.path })
  }

  /** What ends the restore, met where nobody could take it. */
  let fatal: { error: unknown } | undefined
  const failedLater = (entry: RestoredEntry, error: unknown): void => {
    if (fatal !== undefined) return
    try {
      failed(entry, error)
    } catch (thrown) {
      fatal = { error: thrown }
    }
  }
  const throwFatal = (): void => {
    if (fatal !== undefined) throw fatal.error
  }

  const items = new Items(settings, await loadLibc(), {
    warn: options.onWarning,
    signal: options.signal,
    done,
    failed,
    failedLater,
    onBytes(bytes) {
      outcome.bytes += bytes
      options.onBytes?.(bytes)
    },
  })
  try {
    for await (const entry of entries) {
      throwIfAborted(options.signal)
      throwFatal()
      try {
        const path = targetPath(entry.path, strip)
        if (path === undefined) continue
        extras?.add(path, entry.kind === 'directory')
        const writing = items.write(path, entry)
        if (writing !== undefined) await writing
      } catch (error) {
        failed(entry, error)
      }
    }
    throwFatal()
    items.finish()
    if (failures.count === 0)
      extras?.remove(items.folders, settings.dryRun === true, options.onWarning, (entry) => done(entry, 'delete'))
    items.finishFolders()
  } finally {
    items.close()
  }
  throwFailures(failures)
  return outcome
}

async function refuseWhatDoesNotFit(settings: FilesTargetSettings): Promise<void> {
  const { root, expectedBytes, exactBytes, dryRun, overwrite } = settings
  // What replaces files takes less room than it has bytes, or none: then each large file is looked at alone.
  if (expectedBytes === undefined || dryRun === true || overwrite !== undefined) return
  const free = freeBytes(root)
  if (free === undefined || free >= expectedBytes) return
  const needed = (await exactBytes?.()) ?? expectedBytes
  if (free >= needed) return
  throw new AppError(
    'target.full',
    `the restore needs ${formatSize(needed)}, but ${root} has room for ${formatSize(free)}`,
  )
}

/** Failures that concern one item; all others end the restore: throws them. */
function asFailure(error: unknown, entry: RestoredEntry, { signal }: WriteTargetOptions): AppError {
  throwIfAborted(signal)
  if (isAbort(error)) throw toAppError(error)
  if (error instanceof AppError) {
    const goesOn =
      error.details['local'] === true || isAppError(error, 'backup.damaged', 'verify.damaged', 'restore.failed')
    if (!goesOn) throw error
    return error
  }
  const shown = displayPath(entry.path)
  const name = errno(error)
  if (name === 'ENOSPC' || name === 'EDQUOT')
    throw new AppError('target.full', `no space left while restoring ${shown}`, { cause: error })
  if (name === undefined) throw error
  return new AppError(
    name === 'EACCES' || name === 'EPERM' || name === 'EROFS' ? 'target.denied' : 'restore.failed',
    `cannot restore ${shown}: ${name}`,
    { cause: error },
  )
}

function throwFailures({ count, codes, first }: Failures): void {
  if (first === undefined) return
  const code = codes.size === 1 ? first.code : 'restore.failed'
  if (count === 1) throw first
  throw new AppError(code, `${count} items could not be restored; the first: ${first.message}`, {
    cause: first,
    details: { failed: count },
  })
}
