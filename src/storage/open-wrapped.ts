import { systemClock } from '../base/clock.ts'
import type { StorageSettings, VaultSettings } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import { openStorage, type OpenStorageOptions } from './open.ts'

export interface WrapOptions extends Omit<OpenStorageOptions, 'retry'> {
  /** Objects that are never replaced, and so may be kept on this machine. */
  cached: (key: string) => boolean
  /** Where the cache is, unless the settings say. */
  cacheFolder: string
  onCacheProblem?: (error: unknown) => void
  /** A rate that comes and goes, in bytes a second, in place of that of the settings; undefined: that of the settings. */
  rateByHand?: () => number | 'none' | undefined
}

const CACHE_BYTES = 1024 ** 3

/** The storage of a vault with its retries, its limit and its cache; what is read from the cache is not limited. */
export async function openWrapped(
  {
    storage: from,
    retry,
    bandwidth,
    cache,
  }: Pick<VaultSettings, 'retry' | 'bandwidth' | 'cache'> & {
    storage: StorageSettings | Storage
  },
  { cached, cacheFolder, onCacheProblem, rateByHand, ...options }: WrapOptions,
): Promise<Storage> {
  let storage = await openStorage(from, { ...options, ...(retry && { retry }) })
  if (bandwidth !== undefined || rateByHand !== undefined) {
    const { rateLimit, withLimit } = await import('./with-limit.ts')
    const { rateOf } = await import('./bandwidth.ts')
    const { clock = systemClock } = options
    const plans = Array.isArray(bandwidth) ? bandwidth : bandwidth === undefined ? [] : [bandwidth]
    const [upload, download] = (['upload', 'download'] as const).map((direction) => {
      const rate = rateOf(plans, direction, clock)
      // Files that threads read past us stay theirs, unless the settings limit reading.
      const free = rate === undefined && direction === 'download' && storage.fileOf !== undefined
      if (rateByHand === undefined || free) return rate && rateLimit(rate, clock)
      return rateLimit(() => {
        const hand = rateByHand()
        return hand === 'none' ? undefined : (hand ?? rate?.())
      }, clock)
    })
    storage = withLimit(storage, { upload, download, clock })
  }
  if (cache !== undefined) {
    const { withCache } = await import('./with-cache.ts')
    storage = withCache(storage, {
      folder: cache.dir ?? cacheFolder,
      maxBytes: cache.maxSize ?? CACHE_BYTES,
      wanted: cached,
      ...(onCacheProblem && { onWarning: onCacheProblem }),
    })
  }
  return storage
}
