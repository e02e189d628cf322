import { statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { AppError } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import type { SourceEntry } from '../../model/entry.ts'
import type { FilesSettings } from '../../model/job.ts'
import type { ReadOptions, Source, SourceReading } from '../../model/source.ts'
import { EntryMaker } from './entry-maker.ts'
import { Exclusion } from './exclusion.ts'
import { loadLibc } from './libc.ts'
import { LookAhead } from './look-ahead.ts'
import { entryPathOf, presentRoots, rootTree } from './roots.ts'
import { checkFiles } from './source-checks.ts'
import { readAccounts } from './users.ts'
import { identityOf, Walk } from './walk.ts'

export interface FilesEnvironment {
  /** Where copies of SQLite databases are made; the system's temporary folder by default. */
  scratchDir?: string
  /** Folders that are never entered: those of the vaults that the backup goes to. */
  leaveOut?: readonly string[]
}

/** How long the walk may keep the event loop busy, and how often it looks at the clock. */
const BREATH_MS = 20
const ENTRIES_PER_LOOK = 128
/** A thread costs as much as a walk over this many. */
const FILES_BEFORE_THREAD = 10_000

/** Files and folders of this machine. */
export function files(settings: FilesSettings, environment: FilesEnvironment = {}): Source {
  if (settings.paths.length === 0) throw new AppError('config.invalid', 'a files source needs at least one path')
  const roots = [...new Set(settings.paths.map(entryPathOf))]
  const paths = roots.map((root) => `/${root}`)
  return {
    type: 'files',
    name: paths.join(' '),
    paths,
    test: () => checkFiles(settings, roots),
    read: (options) => read(settings, roots, environment, options),
  }
}

async function read(
  settings: FilesSettings,
  roots: readonly string[],
  environment: FilesEnvironment,
  { signal, onWarning }: ReadOptions,
): Promise<SourceReading> {
  throwIfAborted(signal)
  const present = presentRoots(roots, onWarning)
  const libc = await loadLibc()
  const exclusion = new Exclusion(settings, onWarning)
  const sqlite = settings.sqlite ?? true
  const maker = new EntryMaker({
    warn: onWarning,
    sqlite,
    scratchDir: environment.scratchDir ?? tmpdir(),
    accounts: readAccounts(),
    libc,
    xattrs: settings.xattrs ?? true,
  })
  const leaveOut = identities(environment.leaveOut ?? [])
  let unchanged = false
  let ahead: LookAhead | undefined
  const lookAhead = (): LookAhead | undefined => {
    if (unchanged && maker.met.files >= FILES_BEFORE_THREAD) ahead ??= new LookAhead()
    return ahead
  }
  const walk = new Walk({ warn: onWarning, exclusion, maker, sqlite, leaveOut, ahead: lookAhead }).entries(
    rootTree(present),
  )
  return {
    entries: () => breathing(walk, signal),
    expectUnchanged() {
      unchanged = availableParallelism() > 1
    },
    facts: () => ({
      ...maker.met,
      ...(exclusion.counts.size > 0 ? { excluded: Object.fromEntries(exclusion.counts) } : {}),
    }),
    close: async () => {
      walk.return()
      ahead?.close()
    },
  }
}

function identities(folders: readonly string[]): Set<string> {
  return new Set(
    folders.flatMap((folder) => {
      const stat = statSync(folder, { bigint: true, throwIfNoEntry: false })
      return stat === undefined ? [] : identityOf(stat)
    }),
  )
}

/** The entries as promises; now and then one that lets timers and sockets have their turn. */
function breathing(walk: Generator<SourceEntry, void>, signal: AbortSignal | undefined): AsyncIterable<SourceEntry> {
  let seen = 0
  let since = performance.now()
  const iterator: AsyncIterator<SourceEntry, void> = {
    async next() {
      seen += 1
      if (seen % ENTRIES_PER_LOOK === 0) {
        throwIfAborted(signal)
        if (performance.now() - since > BREATH_MS) {
          await new Promise<void>((resolve) => setImmediate(resolve))
          since = performance.now()
        }
      }
      return walk.next()
    },
    async return() {
      return walk.return()
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}
