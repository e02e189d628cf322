/**
 * A catalogue that no backup fails for: what cannot be written down is told once, and the work goes on. Where it cannot
 * even be opened, one in memory takes its place, so that what the work reads of itself is there.
 */
import type { Clock } from '../base/clock.ts'
import { toAppError, type AppError } from '../base/errors.ts'
import type { Catalogue, Lease } from '../model/catalogue.ts'
import { sqliteCatalogue } from './sqlite.ts'

const AGAIN_MS = 2000
const MOST_OWED = 1000

export function tolerantCatalogue(
  open: () => Catalogue,
  clock: Clock,
  onProblem: (error: AppError) => void,
): Catalogue {
  let told = false
  const tell = (thrown: unknown): void => {
    if (!told) onProblem(toAppError(thrown, 'catalogue.failed'))
    told = true
  }

  function opened(): Catalogue {
    try {
      return open()
    } catch (error) {
      tell(error)
      return sqliteCatalogue(':memory:', clock)
    }
  }
  const catalogue = opened()

  function trying<T>(call: () => T, otherwise: T): T {
    try {
      return call()
    } catch (error) {
      tell(error)
      return otherwise
    }
  }

  /** The newest of each run and backup that could not be written: written when the catalogue can be again. */
  const owed = new Map<string, () => void>()
  let timer: NodeJS.Timeout | undefined

  function pay(): void {
    for (const [key, write] of owed) {
      try {
        write()
      } catch {
        return
      }
      owed.delete(key)
    }
    clearInterval(timer)
    timer = undefined
    told = false
  }

  function writing<T>(key: string, value: T, write: (value: T) => void): void {
    // In their order: an older state must not come after a newer one.
    owed.delete(key)
    try {
      write(value)
    } catch (error) {
      tell(error)
      const now = structuredClone(value)
      if (owed.size < MOST_OWED) owed.set(key, () => write(now))
      timer ??= setInterval(pay, AGAIN_MS).unref()
    }
  }

  return {
    ...catalogue,
    saveRun: (run) => writing(`run ${run.id}`, run, catalogue.saveRun),
    saveBackup: (backup) => writing(`backup ${backup.vault} ${backup.id}`, backup, catalogue.saveBackup),
    replaceBackups: (vault, backups) => trying(() => catalogue.replaceBackups(vault, backups), undefined),
    removeBackups: (vault, ids) => trying(() => catalogue.removeBackups(vault, ids), undefined),
    saveUsage: (vault, usage) => trying(() => catalogue.saveUsage(vault, usage), undefined),
    set: (key, value) => trying(() => catalogue.set(key, value), undefined),
    // What is not known is not asked for again by those who work: nothing before, nothing measured, nobody cancelled.
    run: (id) => trying(() => catalogue.run(id), undefined),
    runs: (filter) => trying(() => catalogue.runs(filter), []),
    backups: (filter) => trying(() => catalogue.backups(filter), []),
    usage: (vault, since) => trying(() => catalogue.usage(vault, since), []),
    get: (key) => trying(() => catalogue.get(key), undefined),
    leaseOwner: (name) => trying(() => catalogue.leaseOwner(name), undefined),
    cancelAsked: (id) => trying(() => catalogue.cancelAsked(id), undefined),
    limitAsked: (id) => trying(() => catalogue.limitAsked(id), undefined),
    // Vaults have leases of their own.
    lease: (name, options) => trying(() => catalogue.lease(name, options), unwritten(name)),
    pruneRuns: (before) => trying(() => catalogue.pruneRuns(before), []),
    reapRuns: () => trying(() => catalogue.reapRuns(), []),
    close() {
      if (owed.size > 0) pay()
      clearInterval(timer)
      catalogue.close()
    },
  }
}

const unwritten = (name: string): Lease => ({
  name,
  held: () => true,
  release: () => undefined,
  [Symbol.dispose]: () => undefined,
})
