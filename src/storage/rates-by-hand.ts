/** Rates that were given to runs while they go on, by the vault that each works on. */
export interface RatesByHand {
  /** KiB a second; `none`: as fast as it goes, whatever the settings say; undefined: as the settings say again. */
  set(vault: string, run: string, rate: number | 'none' | undefined): void
  /** The lowest in bytes a second that holds for a vault. */
  of(vault: string): number | 'none' | undefined
}

export function ratesByHand(): RatesByHand {
  const vaults = new Map<string, Map<string, number | 'none'>>()
  return {
    set(vault, run, rate) {
      const runs = vaults.get(vault) ?? new Map<string, number | 'none'>()
      if (rate === undefined) runs.delete(run)
      else runs.set(run, rate)
      if (runs.size === 0) vaults.delete(vault)
      else vaults.set(vault, runs)
    },
    of(vault) {
      const runs = vaults.get(vault)
      if (runs === undefined) return undefined
      const least = Math.min(...[...runs.values()].map((rate) => (rate === 'none' ? Infinity : rate * 1024)))
      return least === Infinity ? 'none' : least
    },
  }
}
