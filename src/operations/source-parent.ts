/** The backup that a source builds on, for those that can. */
import { AppError } from '../base/errors.ts'
import { readerOfStream } from '../base/reader.ts'
import type { ParentBackup } from '../model/source.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import type { BackupJob } from './backup.ts'
import type { Deps } from './recorder.ts'

/** The newest whole one of the job; none for a full backup. */
export async function parentOf(
  { clock }: Pick<Deps, 'clock'>,
  { job, source, type, fullEveryMs }: Pick<BackupJob, 'job' | 'source' | 'type' | 'fullEveryMs'>,
  vault: Vault,
  cancel: Cancel,
): Promise<ParentBackup | undefined> {
  if (source.builds !== true || type === 'full') return undefined
  const parent = (await vault.backups(cancel)).findLast(
    (one) => one.job === job && one.source === source.type && one.broken === undefined,
  )
  if (parent === undefined) return undefined
  const { id } = parent
  async function* content(path: string): AsyncGenerator<Uint8Array> {
    for await (const entry of vault.open(id, { want: (one) => one.path === path, ...cancel })) {
      if (entry.path !== path || entry.open === undefined) continue
      yield* entry.open()
      return
    }
    throw new AppError('backup.damaged', `${id} has no ${path}`)
  }
  return {
    id,
    differential: type === 'differential',
    ...(fullEveryMs !== undefined && { since: new Date(clock.now().getTime() - fullEveryMs) }),
    entries: () => vault.entries(id, cancel),
    open: (path) => readerOfStream(content(path)),
  }
}
