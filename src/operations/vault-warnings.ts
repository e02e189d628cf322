/** What goes wrong in a vault's storage while the work goes on, such as one member of a mirror: told to the runs on it. */
import type { Warning } from '../model/progress.ts'

export interface VaultWarnings {
  /** `kind` tells repetitions: each watcher hears of each kind once. */
  tell(vault: string, kind: string, warning: Warning): void
  watch(vault: string, onWarning: (warning: Warning) => void): Disposable
}

/** `otherwise` hears what no run is there to hear. */
export function vaultWarnings(otherwise: (warning: Warning) => void): VaultWarnings {
  interface Watcher {
    onWarning: (warning: Warning) => void
    heard: Set<string>
  }
  const watchers = new Map<string, Set<Watcher>>()
  const nobody: Watcher = { onWarning: otherwise, heard: new Set() }
  return {
    tell(vault, kind, warning) {
      const present = watchers.get(vault)
      for (const { onWarning, heard } of present === undefined || present.size === 0 ? [nobody] : present) {
        if (heard.has(kind)) continue
        heard.add(kind)
        onWarning(warning)
      }
    },
    watch(vault, onWarning) {
      const watcher: Watcher = { onWarning, heard: new Set() }
      const present = watchers.get(vault) ?? new Set()
      watchers.set(vault, present.add(watcher))
      return { [Symbol.dispose]: () => void present.delete(watcher) }
    },
  }
}
