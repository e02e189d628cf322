/** Bringing a backup, or a part of one, back. */
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Entry, RestoredEntry } from '../model/entry.ts'
import type { Counters } from '../model/progress.ts'
import type { Run } from '../model/run.ts'
import type { RestoreEffect, RestoreOutcome, Target } from '../model/source.ts'
import type { EntrySelection, Vault } from '../model/vault.ts'
import { withSiblings, type Sibling } from './fallback.ts'
import { recorded, type Deps, type Recorded, type RunHandle } from './recorder.ts'

export interface RestoreRequest {
  backup: Backup
  target: Target
  selection: EntrySelection
  /** Tell what would be done; the target was made for that. */
  dryRun?: boolean
  /** Give what can be had of a backup with a broken chain. */
  partial?: boolean
  /** Other vaults that have the same backup, for when this one fails. */
  siblings?: () => AsyncIterable<Sibling>
  onEffect?: (entry: Entry, effect: RestoreEffect) => void
  /** What is done once everything is in place, as a part of the run; its step for people, and its figures. */
  forward?: (options: { signal: AbortSignal; onStep: (what: string) => void }) => Promise<Record<string, unknown>>
}

export interface RestoreResult extends RestoreOutcome {
  backup: Backup
  /** Paths that could not be had, with `partial`. */
  missing: string[]
}

export async function restore(
  deps: Deps,
  vault: Vault,
  request: RestoreRequest,
  cancel: { signal?: AbortSignal; trigger?: Run['trigger']; id?: string } = {},
): Promise<Recorded<RestoreResult>> {
  const { backup } = request
  const start = { kind: 'restore', job: backup.job, vault: vault.name, ...cancel } as const
  return recorded(deps, start, async (handle) => bringBack(deps, vault, request, handle))
}

/** The restore itself, for who keeps the record of it, or wants none as it is only a plan. */
export async function bringBack(
  deps: Pick<Deps, 'clock'>,
  vault: Vault,
  request: RestoreRequest,
  handle: Pick<RunHandle, 'run' | 'signal' | 'stage' | 'onProgress' | 'onWarning' | 'log'>,
): Promise<RestoreResult> {
  const { backup, target } = request
  const options = { signal: handle.signal }
  handle.run.backupId = backup.id
  handle.stage('restore', request.dryRun === true ? 'dry run' : target.name)
  const missing: string[] = []
  const selected = request.selection.want !== undefined || request.selection.under !== undefined
  const counters: Counters = {
    filesDone: 0,
    bytesDone: 0,
    bytesStored: 0,
    ...(!selected && { filesTotal: backup.files, bytesTotal: backup.sourceBytes }),
  }
  let told = -Infinity
  const tick = (): void => {
    const now = deps.clock.monotonic()
    if (now - told < 250) return
    told = now
    handle.onProgress({ type: 'progress', stage: 'restore', counters: { ...counters } })
  }
  const onUnreadable = (error: AppError, path: string): void => {
    missing.push(path)
    handle.onWarning({ code: 'missing', message: error.message, path })
  }
  const { siblings } = request
  // What is asked for in part is meant to show what this vault has.
  const reading =
    siblings === undefined || request.partial === true
      ? vault
      : withSiblings(vault, siblings, (message) => handle.onWarning({ code: 'fallback', message }))
  const open = (): AsyncIterable<RestoredEntry> =>
    inRounds(target.rounds ?? [undefined], (round) =>
      reading.open(backup.id, {
        ...narrowed(request.selection, round),
        ...options,
        transient: true,
        ...(request.partial === true && { onUnreadable }),
      }),
    )
  await target.check?.(open, options)
  let seen = 0
  const outcome = await target.write(
    counted(open(), () => (seen += 1)),
    {
      ...options,
      onWarning: handle.onWarning,
      onStep: (what) => handle.log('info', what),
      onBytes: (bytes) => {
        counters.bytesDone += bytes
        tick()
      },
      onEntry: (entry, effect) => {
        if (entry.kind === 'file') counters.filesDone += 1
        counters.current = entry.path
        request.onEffect?.(entry, effect)
        tick()
      },
    },
  )
  if (seen === 0 && selected)
    throw new AppError('backup.not-found', `nothing in ${backup.id} matches what was asked for`, {
      hint: `See what is in it with \`holdfast ls ${backup.id}\`.`,
    })
  handle.run.summary = { files_restored: outcome.files, bytes_restored: outcome.bytes, effects: outcome.effects }
  if (request.forward !== undefined && request.dryRun !== true) {
    handle.stage('restore', 'log')
    const figures = await request.forward({
      signal: handle.signal,
      onStep: (what) => handle.onWarning({ code: 'note', message: what }),
    })
    handle.run.summary = { ...handle.run.summary, ...figures }
  }
  return { ...outcome, backup, missing }
}

type Round = ((entry: Entry) => boolean) | undefined

async function* inRounds(
  rounds: readonly Round[],
  open: (round: Round) => AsyncIterable<RestoredEntry>,
): AsyncGenerator<RestoredEntry> {
  for (const round of rounds) {
    // Vaults give the folders on the way to what is wanted too.
    for await (const entry of open(round)) if (round === undefined || round(entry)) yield entry
  }
}

function narrowed(selection: EntrySelection, round: Round): EntrySelection {
  const { want } = selection
  if (round === undefined) return selection
  return { ...selection, want: want === undefined ? round : (entry) => want(entry) && round(entry) }
}

async function* counted(entries: AsyncIterable<RestoredEntry>, see: () => void): AsyncGenerator<RestoredEntry> {
  for await (const entry of entries) {
    see()
    yield entry
  }
}
