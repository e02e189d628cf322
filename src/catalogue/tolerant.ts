/**
 * A catalogue that no backup fails for: what cannot be written down is told once, and the work goes on. Where it cannot
 * even be opened, one in memory takes its place, so that what the work reads of itself is there.
 */
import type { Clock } from '../base/clock.ts'
import { toAppError, type AppError } from '../base/errors.ts'
import type { Catalogue, Lease } from '../model/catalogue.ts'
import { sqliteCatalogue } from './sqlite.ts'

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

  function trying(write: () => void): void {
    try {
      write()
    } catch (error) {
      tell(error)
    }
  }

  return {
    ...catalogue,
    saveRun: (run) => trying(() => catalogue.saveRun(run)),
    saveBackup: (backup) => trying(() => catalogue.saveBackup(backup)),
    replaceBackups: (vault, backups) => trying(() => catalogue.replaceBackups(vault, backups)),
    removeBackups: (vault, ids) => trying(() => catalogue.removeBackups(vault, ids)),
    saveUsage: (vault, usage) => trying(() => catalogue.saveUsage(vault, usage)),
    set: (key, value) => trying(() => catalogue.set(key, value)),
    cancelAsked(id) {
      try {
        return catalogue.cancelAsked(id)
      } catch (error) {
        tell(error)
        return undefined
      }
    },
    lease(name, options) {
      try {
        return catalogue.lease(name, options)
      } catch (error) {
        // Vaults have leases of their own.
        tell(error)
        return unwritten(name)
      }
    },
    pruneRuns(before) {
      try {
        return catalogue.pruneRuns(before)
      } catch (error) {
        tell(error)
        return []
      }
    },
    reapRuns() {
      try {
        return catalogue.reapRuns()
      } catch (error) {
        tell(error)
        return []
      }
    },
  }
}

const unwritten = (name: string): Lease => ({
  name,
  held: () => true,
  release: () => undefined,
  [Symbol.dispose]: () => undefined,
})
