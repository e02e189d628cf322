/** Asks a cold storage for all that the restore of a backup reads, and waits for it if that is wanted. */
import { AppError } from '../base/errors.ts'
import type { Thaw } from '../model/storage.ts'
import type { Cancel, Vault } from '../model/vault.ts'
import type { Deps } from './recorder.ts'

export interface ThawReport {
  /** Objects that the backup needs, and how many of them can be read, were asked for now, or are on their way. */
  objects: number
  readable: number
  asked: number
  coming: number
}

export interface ThawOptions extends Thaw, Cancel {
  /** Look again after so long until all can be read, for so long at most. */
  wait?: { everyMs: number; mostMs: number }
  onReport?: (report: ThawReport) => void
}

const AT_A_TIME = 8

export async function thawBackup(
  { clock }: Pick<Deps, 'clock'>,
  vault: Vault,
  id: string,
  { wait, onReport, signal, days, speed }: ThawOptions,
): Promise<ThawReport> {
  const { thaw } = vault.storage.can
  if (thaw === undefined)
    throw new AppError('storage.unsupported', `${vault.storage.name} has no cold storage class`, {
      hint: 'What is there can be restored as it is.',
    })
  const cancel = signal ? { signal } : {}
  let left: string[] = []
  for await (const key of vault.payloads(id, cancel)) left.push(key)
  const report: ThawReport = { objects: left.length, readable: 0, asked: 0, coming: 0 }
  const began = clock.monotonic()
  for (;;) {
    const waiting: string[] = []
    const keys = left.values()
    const look = async (): Promise<void> => {
      for (const key of keys) {
        const state = await thaw(key, { days, speed }, cancel)
        report[state] += 1
        if (state !== 'readable') waiting.push(key)
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, look))
    onReport?.(report)
    left = waiting
    const more = wait !== undefined && left.length > 0 && clock.monotonic() - began + wait.everyMs <= wait.mostMs
    if (!more) return report
    await clock.sleep(wait.everyMs, signal)
    report.asked = report.coming = 0
  }
}
