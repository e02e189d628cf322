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
  { cached, cacheFolder, onCacheProblem, ...options }: WrapOptions,
): Promise<Storage> {
  let storage = await openStorage(from, { ...options, ...(retry && { retry }) })
  if (bandwidth !== undefined) {
    const { rateLimit, withLimit } = await import('./with-limit.ts')
    const { rateOf } = await import('./bandwidth.ts')
    const { clock = systemClock } = options
    const plans = Array.isArray(bandwidth) ? bandwidth : [bandwidth]
    const [upload, download] = (['upload', 'download'] as const).map((direction) => {
      const rate = rateOf(plans, direction, clock)
      return rate && rateLimit(rate, clock)
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
