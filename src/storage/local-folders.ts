import { resolve } from 'node:path'
import type { StorageSettings } from '../model/settings.ts'

/** The folders of this machine that a storage writes to. */
export function localFolders(storage: StorageSettings): string[] {
  if (storage.type === 'file') return [resolve(storage.path)]
  return storage.type === 'mirror' ? storage.members.flatMap(localFolders) : []
}
