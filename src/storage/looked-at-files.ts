import type { Bytes } from '../base/bytes.ts'
import { checkPrefix } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { CallOptions, GetOptions, Storage, StoredObject, SweepResult } from '../model/storage.ts'
import type { Calls } from './calls.ts'
import { walkFolders, type Named } from './folder-walk.ts'
import { isTemporary } from './local-files.ts'
import { lookedAtGet } from './looked-at-get.ts'

/** Files behind HTTP whose folders are told one at a time, as those of WebDAV and of rclone. */
export interface LookedAtFiles {
  /** Of the storage, for people. */
  name: string
  idleMs: number
  calls: Calls
  /** Refuses what is no key here. */
  checked(key: string): string
  file(tried: string, signal: AbortSignal, path: string): Promise<Named | undefined>
  folder(tried: string, signal: AbortSignal, path: string): Promise<Named[]>
  /** Asks for the content, or a range of it. */
  read(tried: string, signal: AbortSignal, path: string, headers: Record<string, string>): Promise<Response>
  /** A missing file is no error. */
  remove(tried: string, signal: AbortSignal, path: string): Promise<void>
}

/** All of the contract but `put`: what WebDAV and rclone have in common. */
export function lookedAtFiles(files: LookedAtFiles): Pick<Storage, 'get' | 'stat' | 'list' | 'remove' | 'sweep'> {
  const { name, idleMs, calls, checked } = files

  async function stat(key: string, { signal }: CallOptions = {}): Promise<StoredObject | undefined> {
    const path = checked(key)
    throwIfAborted(signal)
    const tried = `look at ${key} in ${name}`
    const found = await calls.call(tried, signal, (each) => files.file(tried, each, path))
    return found && objectOf(key, found)
  }

  async function* get(key: string, options: GetOptions = {}): AsyncGenerator<Bytes> {
    const path = checked(key)
    const how = {
      key,
      name,
      idleMs,
      stat: async (cancel: CallOptions) => stat(key, cancel),
      ask: async (tried: string, both: AbortSignal, range: string | undefined) =>
        calls.call(tried, options.signal, () => files.read(tried, both, path, range === undefined ? {} : { range })),
    }
    yield* lookedAtGet(how, options)
  }

  async function* walk(
    prefix: string,
    wanted: (one: string) => boolean,
    tried: string,
    signal: AbortSignal | undefined,
  ) {
    const folderOf = (folder: string): Promise<Named[]> =>
      calls.persist(tried, signal, (each) => files.folder(tried, each, folder))
    yield* walkFolders(folderOf, prefix, wanted, signal)
  }

  return {
    get,
    stat,
    async *list(prefix, { signal } = {}) {
      checkPrefix(prefix)
      throwIfAborted(signal)
      const tried = prefix === '' ? `list ${name}` : `list ${prefix} in ${name}`
      yield* walk(prefix, (one) => !isTemporary(one), tried, signal)
    },
    async remove(key, { signal } = {}) {
      const path = checked(key)
      throwIfAborted(signal)
      const tried = `remove ${key} from ${name}`
      await calls.call(tried, signal, (each) => files.remove(tried, each, path))
    },
    async sweep(before, { signal } = {}) {
      const tried = `sweep ${name}`
      const result: SweepResult = { removed: 0, bytes: 0 }
      for await (const { key, size, modified } of walk('', isTemporary, tried, signal)) {
        if (modified >= before) continue
        await calls.call(tried, signal, (each) => files.remove(tried, each, key))
        result.removed += 1
        result.bytes += size
      }
      return result
    },
  }
}

export const objectOf = (key: string, { size, modified, etag }: Named): StoredObject => ({
  key,
  size,
  modified,
  ...(etag !== undefined && { etag }),
})
