import { rm, statfs, unlink } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Bytes } from '../base/bytes.ts'
import { AppError, errno, isAppError } from '../base/errors.ts'
import { checkKey, checkPrefix } from '../base/keys.ts'
import { throwIfAborted } from '../base/streams.ts'
import type { FileStorageSettings } from '../model/settings.ts'
import type { PutOptions, Storage, StoredObject } from '../model/storage.ts'
import { abortable } from './abortable.ts'
import { guarded, localError } from './local-errors.ts'
import { createTemporary, isTemporary, madeFolders, moveIntoPlace, syncFolder, type Modes } from './local-files.ts'
import { etagOf, statOf, walk } from './local-list.ts'
import { readChunks } from './local-read.ts'
import { fileWriter, writeAll } from './local-write.ts'

/**
 * Objects as files below a folder. A put writes a temporary file in the same folder, flushes it, renames it into place
 * and flushes the folder; `ifAbsent` links instead, which is atomic, and only looks first on file systems without hard
 * links (`can.conditionalCreate` is false from then on).
 */
export function local(settings: Omit<FileStorageSettings, 'type'>): Storage {
  const root = resolve(settings.path)
  const name = `file:${root}`
  const modes: Modes = { file: settings.permissions, directory: settings.directoryPermissions }
  const folders = madeFolders(root, modes)
  let linkable = true

  function pathOf(key: string): string {
    checkKey(key)
    if (isTemporary(basename(key)))
      throw new AppError('storage.invalid', `cannot use ${JSON.stringify(key)} as a key: it names a temporary file`)
    return join(root, key)
  }

  async function put(key: string, body: Bytes | AsyncIterable<Bytes>, options: PutOptions = {}): Promise<StoredObject> {
    const { signal, ifAbsent = false, onBytes = () => undefined } = options
    const path = pathOf(key)
    const tried = `store ${key} in ${name}`
    throwIfAborted(signal)
    const taken = (): AppError => new AppError('storage.exists', `cannot create ${key} in ${name}: it exists`)
    if (ifAbsent && (await guarded(tried, () => statOf(path))) !== undefined) throw taken()

    const [file, temporary] = await guarded(tried, () => createTemporary(path, folders, modes))
    let stats: BigIntStats
    try {
      try {
        if (body instanceof Uint8Array) {
          await guarded(tried, () => writeAll(file, body, 0))
          onBytes(body.length)
        } else {
          const writer = fileWriter(file, onBytes)
          try {
            for await (const chunk of abortable(body, signal)) {
              // Only the file's own errors become ours: those of the body pass as they are.
              await writer.write(chunk).catch((error: unknown) => {
                throw localError(error, tried)
              })
            }
            await guarded(tried, () => writer.end())
          } finally {
            await writer.settle()
          }
        }
        throwIfAborted(signal)
        stats = await guarded(tried, async () => {
          if (modes.file !== undefined) await file.chmod(modes.file)
          await file.sync()
          return file.stat({ bigint: true })
        })
      } finally {
        await file.close().catch(() => undefined)
      }
      throwIfAborted(signal)
      linkable = (await guarded(tried, () => moveIntoPlace(temporary, path, ifAbsent))) && linkable
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw isAppError(error, 'storage.exists') ? taken() : error
    }
    return described(key, stats)
  }

  return {
    name,
    can: {
      get conditionalCreate() {
        return linkable
      },
      storageClasses: false,
      serverChecksums: false,
      space: () => guarded(`look at the space of ${name}`, () => spaceOf(root)),
    },
    put,

    async *get(key, options = {}) {
      yield* readChunks(pathOf(key), key, name, options)
    },

    fileOf: pathOf,

    async stat(key, { signal } = {}) {
      const path = pathOf(key)
      throwIfAborted(signal)
      const stats = await guarded(`look at ${key} in ${name}`, () => statOf(path))
      return stats?.isFile() ? described(key, stats) : undefined
    },

    async *list(prefix, { signal } = {}) {
      checkPrefix(prefix)
      try {
        const wanted = (file: string): boolean => !isTemporary(file)
        for await (const { key, stats } of walk(root, prefix, wanted, signal)) yield described(key, stats)
      } catch (error) {
        throw localError(error, prefix === '' ? `list ${name}` : `list ${prefix} in ${name}`)
      }
    },

    async remove(key, { signal } = {}) {
      const path = pathOf(key)
      throwIfAborted(signal)
      await guarded(`remove ${key} from ${name}`, async () => {
        try {
          await unlink(path)
          // So that the order of removals survives a power cut.
          await syncFolder(dirname(path))
        } catch (error) {
          if (!['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')) throw error
        }
        await folders.removeEmpty(dirname(path))
      })
    },

    async sweep(before, { signal } = {}) {
      let removed = 0
      let bytes = 0
      await guarded(`sweep ${name}`, async () => {
        for await (const { key, stats } of walk(root, '', isTemporary, signal)) {
          if (stats.mtime >= before) continue
          await rm(join(root, key), { force: true })
          await folders.removeEmpty(dirname(join(root, key)))
          removed += 1
          bytes += Number(stats.size)
        }
      })
      return { removed, bytes }
    },

    async close() {},
  }
}

function described(key: string, stats: BigIntStats): StoredObject {
  return { key, size: Number(stats.size), modified: stats.mtime, etag: etagOf(stats) }
}

async function spaceOf(root: string): Promise<{ free: number; total: number }> {
  for (let path = root; ; path = dirname(path)) {
    try {
      const { bavail, blocks, bsize } = await statfs(path)
      return { free: bavail * bsize, total: blocks * bsize }
    } catch (error) {
      // Before the first put the folder may not be there: its file system is the one of what is above.
      if (errno(error) !== 'ENOENT' || dirname(path) === path) throw error
    }
  }
}
