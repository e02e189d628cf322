/** Archive vaults on any storage, and sources that are a handful of names in memory. */
import { createHash } from 'node:crypto'
import { archiveVault, type ArchiveVaultOptions } from '../../src/archive/vault.ts'
import type { Clock } from '../../src/base/clock.ts'
import { comparePaths } from '../../src/base/paths.ts'
import { readerOfBytes, type ByteReader } from '../../src/base/reader.ts'
import { collect } from '../../src/base/streams.ts'
import { literalSecret } from '../../src/model/secret.ts'
import type { SourceEntry } from '../../src/model/entry.ts'
import type { Secret, VaultSettings } from '../../src/model/settings.ts'
import type { SourceReading } from '../../src/model/source.ts'
import type { Storage } from '../../src/model/storage.ts'
import type { BackupOutcome, BackupRequest, OpenOptions, Vault } from '../../src/model/vault.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'

export interface VaultOptions extends Partial<ArchiveVaultOptions['settings']> {
  clock?: Clock
  create?: boolean
  timezone?: string
}

export async function openVault(storage: Storage, options: VaultOptions = {}): Promise<Vault> {
  const { clock = manualClock(), create = true, timezone, ...settings } = options
  return archiveVault({
    storage,
    clock,
    create,
    program: 'holdfast test',
    settings: { name: 'vault', ...settings },
    ...(timezone !== undefined && { timezone }),
  })
}

export const secret = (text: string): Secret => literalSecret(text, 'the test')

/** Cheap to derive: for tests in which the cost of a password does not matter. */
export const cheapPassword = (text = 'correct horse'): Pick<VaultSettings, 'encryption'> => ({
  encryption: { type: 'aes-256-gcm', password: secret(text), keyDerivation: { type: 'pbkdf2', iterations: 1000 } },
})

/** Path → content; a folder's path ends in `/`; a content may be an entry of its own kind. */
export type Tree = Record<string, string | Uint8Array | Partial<SourceEntry>>

const isBytes = (value: Tree[string]): value is string | Uint8Array =>
  typeof value === 'string' || value instanceof Uint8Array

/** Entries whose times follow from their content, so that a change shows. */
export function entriesOf(tree: Tree): SourceEntry[] {
  const names = Object.keys(tree).sort((a, b) => comparePaths(trimmed(a), trimmed(b)))
  return names.map((name): SourceEntry => {
    const value = tree[name] as Tree[string]
    const base = { path: trimmed(name), mode: 0o644, uid: 1, gid: 2, mtime: { s: 1_700_000_000, ns: 5 } }
    if (name.endsWith('/'))
      return { ...base, kind: 'directory', mode: 0o755, size: 0, ...(isBytes(value) ? {} : value) }
    if (!isBytes(value)) return { ...base, kind: 'file', size: 0, ...value }
    const bytes = Buffer.from(value)
    const stamp = createHash('sha256').update(bytes).update(name).digest().readUInt32LE()
    return {
      ...base,
      kind: 'file',
      size: bytes.length,
      inode: createHash('sha256').update(name).digest().readUInt32LE(),
      ctime: { s: stamp, ns: 0 },
      open: () => readerOfBytes(bytes),
    }
  })
}

const trimmed = (name: string): string => (name.endsWith('/') ? name.slice(0, -1) : name)

export function readingOf(entries: Iterable<SourceEntry> | AsyncIterable<SourceEntry>): SourceReading {
  return {
    async *entries() {
      yield* entries
    },
    close: async () => {},
  }
}

export function request(tree: Tree, more: Partial<BackupRequest> = {}): BackupRequest {
  return {
    job: 'job',
    source: 'files',
    paths: ['/data'],
    reading: readingOf(entriesOf(tree)),
    type: 'full',
    tags: [],
    host: 'here',
    time: new Date('2024-03-15T14:30:45Z'),
    ...more,
  }
}

/** Makes backups a minute apart. */
export function backupSeries(vault: Vault, start = new Date('2024-03-15T14:30:45Z')) {
  let minute = 0
  return async (tree: Tree, more: Partial<BackupRequest> = {}): Promise<BackupOutcome> =>
    vault.backup(request(tree, { time: new Date(start.getTime() + 60_000 * minute++), ...more }))
}

/** What a backup gives back: contents of files as text (latin1), `/` for folders, else the kind and the target. */
export async function contents(vault: Vault, id: string, options: OpenOptions = {}): Promise<Record<string, string>> {
  const found: [string, string][] = []
  for await (const entry of vault.open(id, options)) {
    if (entry.open !== undefined) found.push([entry.path, Buffer.from(await collect(entry.open())).toString('latin1')])
    else if (entry.hardlink !== undefined) found.push([entry.path, `= ${entry.hardlink}`])
    else if (entry.kind === 'directory') found.push([`${entry.path}/`, ''])
    else found.push([entry.path, `${entry.kind} ${entry.linkTarget ?? ''}`])
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** The same of a tree of contents. */
export const wantedOf = (tree: Tree): Record<string, string> =>
  Object.fromEntries(
    Object.entries(tree)
      .map(([name, value]): [string, string] => [
        name,
        name.endsWith('/') ? '' : Buffer.from(value as string | Uint8Array).toString('latin1'),
      ])
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )

export async function keysOf(storage: Storage, prefix = ''): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of storage.list(prefix)) keys.push(key)
  return keys
}

export const bytesOf = async (storage: Storage, key: string): Promise<Buffer> =>
  Buffer.from(await collect(storage.get(key)))

/** Objects that belong to no backup and are not the vault's own: must be none when nobody is at work. */
export async function leftovers(storage: Storage): Promise<string[]> {
  const keys = await keysOf(storage)
  const own = new Set(['holdfast-vault.json', 'RECOVERY.md', 'restore.mjs'])
  const bases = keys
    .filter((key) => key.endsWith('.manifest.json'))
    .map((key) => `${key.slice(0, -'.manifest.json'.length)}.`)
  return keys.filter((key) => !own.has(key) && !bases.some((base) => key.startsWith(base)))
}

/** A reader that gives some bytes and then fails. */
export function failingReader(bytes: Uint8Array, error: Error): ByteReader {
  const good = readerOfBytes(bytes)
  return {
    close: () => good.close(),
    read(into) {
      const count = good.read(into)
      if (count === 0) throw error
      return count
    },
  }
}
