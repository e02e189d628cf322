import { createHash, randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { errno } from '../base/errors.ts'
import type { Bytes } from '../base/bytes.ts'

/** Files by name, each behind its own SHA-256; bounded in size. Never fails: what it cannot do it does not. */
export interface CacheFolder {
  read(name: string, size: number): Promise<Bytes | undefined>
  write(name: string, bytes: Bytes): Promise<void>
  drop(name: string): Promise<void>
}

const HASH_LENGTH = 32
/** After cleaning there is room for some time. */
const CLEAN_TO = 0.8
/** Left by a process that died while it wrote. */
const STALE_MS = 3_600_000

export function cacheFolder(folder: string, maxBytes: number, onWarning: (error: unknown) => void): CacheFolder {
  /** Bytes in the folder as far as this process knows; undefined before the first look. */
  let used: number | undefined
  let cleaning: Promise<void> | undefined

  const pathOf = (name: string): string => join(folder, name.slice(0, 2), name)

  async function tolerant<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (errno(error) !== 'ENOENT') onWarning(error)
      return undefined
    }
  }

  async function drop(name: string): Promise<void> {
    await tolerant(() => rm(pathOf(name), { force: true }))
  }

  /** Looks at all that is there, and removes what was used longest ago until it fits. */
  async function clean(): Promise<void> {
    const files: { path: string; size: number; usedAt: number }[] = []
    for (const part of await readdir(folder)) {
      for (const name of (await tolerant(() => readdir(join(folder, part)))) ?? []) {
        const path = join(folder, part, name)
        const stats = await tolerant(() => stat(path))
        if (stats === undefined) continue
        if (name.endsWith('.tmp') && Date.now() - stats.mtimeMs > STALE_MS) await rm(path, { force: true })
        else files.push({ path, size: stats.size, usedAt: stats.mtimeMs })
      }
    }
    used = files.reduce((sum, { size }) => sum + size, 0)
    if (used <= maxBytes) return
    for (const { path, size } of files.sort((a, b) => a.usedAt - b.usedAt)) {
      if (used <= maxBytes * CLEAN_TO) return
      await rm(path, { force: true })
      used -= size
    }
  }

  return {
    async read(name, size) {
      return tolerant(async () => {
        const path = pathOf(name)
        const file = await readFile(path)
        const bytes = file.subarray(HASH_LENGTH)
        const right = bytes.length === size && hashOf(bytes).equals(file.subarray(0, HASH_LENGTH))
        if (!right) {
          await drop(name)
          return undefined
        }
        // The time of the file tells when it was last used.
        const now = new Date()
        await tolerant(() => utimes(path, now, now))
        return bytes
      })
    },

    async write(name, bytes) {
      if (bytes.length + HASH_LENGTH > maxBytes * CLEAN_TO) return
      await tolerant(async () => {
        const path = pathOf(name)
        await mkdir(join(folder, name.slice(0, 2)), { recursive: true, mode: 0o700 })
        const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
        try {
          const file = await open(temporary, 'wx', 0o600)
          try {
            await file.writeFile(hashOf(bytes))
            await file.writeFile(bytes)
          } finally {
            await file.close()
          }
          await rename(temporary, path)
        } catch (error) {
          await rm(temporary, { force: true })
          throw error
        }
        if (used !== undefined) used += bytes.length + HASH_LENGTH
        if (used === undefined || used > maxBytes)
          await (cleaning ??= clean().finally(() => {
            cleaning = undefined
          }))
      })
    },

    drop,
  }
}

const hashOf = (bytes: Bytes): Buffer => createHash('sha256').update(bytes).digest()
