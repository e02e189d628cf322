/** Segments of lanes in a repository: `holdfast/lanes/JOB/NAME`, sealed as the other files are. restic does not look there. */
import { AppError } from '../base/errors.ts'
import { collect } from '../base/streams.ts'
import { LANE_OBJECT_BYTES, LANE_STORED_BYTES, type VaultLanes } from '../model/vault.ts'
import type { OpenRepository } from './repository.ts'
import { decodeUnpacked, encodeUnpacked } from './unpacked.ts'

const FOLDER = 'holdfast/lanes/'

export function repositoryLanes({ storage, key: sealKey }: OpenRepository): VaultLanes {
  const folder = (job: string): string => `${FOLDER}${encodeURIComponent(job)}/`
  return {
    async jobs({ signal } = {}) {
      const jobs = new Set<string>()
      for await (const { key } of storage.list(FOLDER, signal ? { signal } : {})) {
        const [job] = key.slice(FOLDER.length).split('/')
        if (job !== undefined) jobs.add(decodeURIComponent(job))
      }
      return [...jobs]
    },
    async *list(job, { signal } = {}) {
      const prefix = folder(job)
      for await (const { key, size } of storage.list(prefix, signal ? { signal } : {}))
        yield { name: key.slice(prefix.length), size }
    },
    async put(job, name, bytes, { signal } = {}) {
      if (bytes.length > LANE_OBJECT_BYTES) throw tooLarge(name, bytes.length)
      // Version 2 packs whatever it is; only JSON would be taken as it stands.
      const { bytes: sealed } = encodeUnpacked(sealKey, 2, bytes)
      await storage.put(folder(job) + name, sealed, { storageClass: 'warm', ...(signal && { signal }) })
    },
    async get(job, name, { signal } = {}) {
      const key = folder(job) + name
      const stored = await collect(storage.get(key, signal ? { signal } : {}), LANE_STORED_BYTES)
      const what = `${key} in ${storage.name}`
      const bytes = decodeUnpacked(sealKey, stored, what)
      if (bytes.length === 0) throw new AppError('backup.damaged', `${what} is empty`)
      return bytes
    },
    remove: async (job, name, { signal } = {}) => storage.remove(folder(job) + name, signal ? { signal } : {}),
  }
}

const tooLarge = (name: string, size: number): AppError =>
  new AppError('source.unsupported', `${name} of a log has ${size} bytes, more than can be read again at once`)
