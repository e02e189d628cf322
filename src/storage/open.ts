import type { Clock } from '../base/clock.ts'
import { AppError } from '../base/errors.ts'
import type { StorageSettings } from '../model/settings.ts'
import type { Storage } from '../model/storage.ts'
import { requestCounter } from './count-requests.ts'
import type { DriverOptions } from './driver-options.ts'
import { local } from './local.ts'
import { memory } from './memory.ts'
import { mirror, type MirrorEvents } from './mirror.ts'
import { parseStorageUrl } from './url.ts'
import { DEFAULT_RETRY, withRetry } from './with-retry.ts'

export interface OpenStorageOptions extends MirrorEvents {
  /** For drivers over a network; false: try once. */
  retry?: { attempts: number; baseMs: number; maxMs: number } | false
  clock?: Clock
  /** Told of each attempt that failed and will be repeated. */
  onRetry?: (error: AppError, attempt: number, waitMs: number) => void
}

/** Opens the storage that settings or an address name. Drivers over a network come with retries; an open one is as it is. */
export async function openStorage(
  from: StorageSettings | Storage | string,
  options: OpenStorageOptions = {},
): Promise<Storage> {
  if (typeof from === 'object' && 'put' in from) return from
  const settings = typeof from === 'string' ? parseStorageUrl(from) : from
  switch (settings.type) {
    case 'file':
      return local(settings)
    case 'memory':
      return memory(settings.name)
    case 's3': {
      const { s3 } = await import('./s3.ts')
      return overNetwork((driver) => s3(settings, driver), options)
    }
    case 'gcs': {
      const { gcs } = await import('./gcs.ts')
      return overNetwork((driver) => gcs(settings, driver), options)
    }
    case 'azure': {
      const { azure } = await import('./azure.ts')
      return overNetwork((driver) => azure(settings, driver), options)
    }
    case 'webdav': {
      const { webdav } = await import('./webdav.ts')
      return overNetwork((driver) => webdav(settings, driver), options)
    }
    case 'rclone': {
      const { rclone } = await import('./rclone.ts')
      return overNetwork((driver) => rclone(settings, driver), options)
    }
    case 'sftp': {
      const { sftp } = await import('./sftp.ts')
      return overNetwork((driver) => sftp(settings, driver), options)
    }
    case 'mirror': {
      const members = await Promise.all(settings.members.map((member) => openStorage(member, options)))
      return mirror(settings, members, options)
    }
  }
}

/** Drivers repeat what only they can, such as one part of an upload; the rest is repeated around them. */
function overNetwork(open: (options: DriverOptions) => Storage, options: OpenStorageOptions): Storage {
  const retry = options.retry === false ? { ...DEFAULT_RETRY, attempts: 1 } : (options.retry ?? DEFAULT_RETRY)
  const { clock, onRetry } = options
  const { count, counts } = requestCounter()
  const driver = { retry, onRequest: count, ...(clock && { clock }), ...(onRetry && { onRetry }) }
  const storage = open(driver)
  Object.assign(storage.can, { requests: counts })
  return withRetry(storage, { ...retry, ...driver, driverRepeats: ['put', 'list'] })
}

export { parseStorageUrl }
