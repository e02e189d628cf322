import { AppError, isAppError, type ErrorCode } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { DatabaseTargetSettings } from '../../model/databases.ts'
import type { Entry, RestoredEntry } from '../../model/entry.ts'
import type { RestoreOutcome, Target, WriteTargetOptions } from '../../model/source.ts'
import { folderName } from '../names.ts'
import { nameOf } from '../restored.ts'
import { ABOUT, DUMP, GLOBALS, isPiece, LARGE_OBJECTS, TOTALS } from './layout.ts'
import { openRestore } from './restore.ts'

/**
 * One PostgreSQL database, or some tables. A database is made under a name of its own, filled, its rows are counted and
 * compared, and only then it gets its name; with `replace` the database of that name is renamed out of the way before, and
 * kept. Single tables go into the database that is there; with `replace` those that are in the way move to another schema.
 */
export function postgresTarget(settings: DatabaseTargetSettings): Target {
  const { from, only, globals } = settings
  const ours = ({ kind, path }: Entry): boolean =>
    kind === 'file' && (from === undefined || path.startsWith(`${folderName(from)}/`))
  const named =
    (...names: string[]) =>
    (entry: Entry): boolean =>
      names.includes(nameOf(entry)) && ours(entry)
  return {
    name: settings.database ?? from ?? 'postgres',
    rounds: [
      named(ABOUT, TOTALS),
      ...(globals === true ? [({ path }: Entry): boolean => path === GLOBALS] : []),
      named(DUMP),
      // Partitions follow their parents: which tables are wanted is known when the dump has been read.
      (entry) => isPiece(nameOf(entry)) && ours(entry),
      (entry) => only === undefined && named(LARGE_OBJECTS)(entry),
    ],
    write: async (entries, options) => {
      try {
        return await write(settings, entries, options)
      } catch (error) {
        throw asTargetError(error)
      }
    },
  }
}

const CODES: Partial<Record<ErrorCode, ErrorCode>> = {
  'source.denied': 'target.denied',
  'source.unreachable': 'target.unreachable',
  'source.incomplete': 'restore.failed',
  'source.not-found': 'restore.failed',
}

function asTargetError(error: unknown): unknown {
  const code = isAppError(error) ? CODES[error.code] : undefined
  return code === undefined || !isAppError(error) ? error : new AppError(code, error.message, { cause: error })
}

async function write(
  settings: DatabaseTargetSettings,
  entries: AsyncIterable<RestoredEntry>,
  options: WriteTargetOptions,
): Promise<RestoreOutcome> {
  const restore = await openRestore(settings, options)
  try {
    for await (const entry of entries) {
      throwIfAborted(options.signal)
      await restore.take(entry)
    }
    return await restore.finish()
  } finally {
    await restore.close()
  }
}
