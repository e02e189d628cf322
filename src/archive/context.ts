/** What all parts of an open archive vault share. */
import type { Clock } from '../base/clock.ts'
import type { Storage } from '../model/storage.ts'
import type { ByteSource, Opener, Sealer } from './cipher.ts'
import type { Compression, Container, Manifest, StoredPart } from './manifest.ts'
import { folderOf, readParts } from './parts.ts'

export interface ArchiveContext {
  readonly name: string
  readonly storage: Storage
  readonly clock: Clock
  /** For new backups. */
  readonly writing: WriteSettings
  sealer(): Promise<Sealer>
  /** For stored ones, by the encryption that their manifest names. */
  opener(manifest: Manifest): Opener
}

export interface WriteSettings {
  template: string
  timezone?: string | undefined
  container: Container
  compression: { type: Compression; level: number }
  partSize: number
  program: string
}

/** A manifest and where it lies. */
export interface StoredManifest {
  key: string
  manifest: Manifest
}

export async function openStored(
  context: ArchiveContext,
  { key, manifest }: StoredManifest,
  which: 'index' | 'payload',
  signal?: AbortSignal,
): Promise<ByteSource> {
  const parts: StoredPart[] = which === 'index' ? [manifest.index] : manifest.payload.parts
  const stored: ByteSource = {
    size: parts.reduce((sum, part) => sum + part.size, 0),
    what: `the ${which} of ${manifest.id}`,
    read: (range) => readParts(context.storage, folderOf(key), parts, range, signal),
  }
  return context.opener(manifest).open(stored)
}
