/** A backup of a database as `restore --to FOLDER` wrote it, given as a vault gives it. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { RestoredEntry } from '../../src/model/entry.ts'
import type { OpenEntries } from '../../src/model/source.ts'

/** `change` may give other bytes for a path. */
export function dumpFolder(
  folder: string,
  change: (path: string, bytes: Buffer) => Buffer = (_, bytes) => bytes,
): OpenEntries {
  return async function* (want) {
    const found = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name))
      .sort()
    for (const file of found) {
      const path = relative(folder, file)
      const bytes = change(path, readFileSync(file))
      const entry: RestoredEntry = {
        path,
        kind: 'file',
        mode: 0o600,
        mtime: { s: Math.floor(statSync(file).mtimeMs / 1000), ns: 0 },
        size: bytes.length,
        async *open() {
          yield bytes
        },
      }
      if (want === undefined || want(entry)) yield entry
    }
  }
}
