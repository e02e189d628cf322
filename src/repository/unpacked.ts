/**
 * Files of `index/`, `snapshots/` and `locks/`: sealed; inside, the byte 2 and a zstd frame of JSON, or JSON as it is
 * (version 1). Named by the SHA-256 of the sealed bytes. docs/formats/repository.md §5.
 */
import { concat, type Bytes } from '../base/bytes.ts'
import { collect } from '../base/streams.ts'
import type { Storage } from '../model/storage.ts'
import type { Cancel } from '../model/vault.ts'
import { seal, unseal, type SealKey } from './crypto.ts'
import { idOf, keyOfFile, type FileKind } from './ids.ts'
import { damaged } from './parse.ts'
import { compress, decompress } from './zstd.ts'

const COMPRESSED = Buffer.of(2)
/** Of one stored file and of what it expands to: an index has 8 MiB, one by others perhaps some more. */
const MAX_STORED = 256 * 1024 * 1024
const MAX_JSON = 1024 * 1024 * 1024

export type UnpackedKind = Exclude<FileKind, 'keys' | 'data'>

export function encodeUnpacked(key: SealKey, version: 1 | 2, json: Bytes): { id: string; bytes: Uint8Array } {
  const bytes = seal(key, version === 1 ? json : concat([COMPRESSED, compress(json)]))
  return { id: idOf(bytes), bytes }
}

export function decodeUnpacked(key: SealKey, bytes: Bytes, what: string): Buffer {
  const plain = unseal(key, bytes)
  if (plain === undefined) throw damaged(what, 'its sum is wrong')
  if (plain[0] === 0x7b || plain[0] === 0x5b) return plain
  if (plain[0] !== 2) throw damaged(what, 'it is in a format of a later version')
  const json = decompress(plain.subarray(1), MAX_JSON)
  if (json === undefined) throw damaged(what, 'it cannot be expanded')
  return json
}

export async function readFile(
  storage: Storage,
  kind: FileKind,
  id: string,
  { signal }: Cancel = {},
): Promise<Uint8Array> {
  const key = keyOfFile(kind, id)
  const bytes = await collect(storage.get(key, signal ? { signal } : {}), MAX_STORED)
  if (idOf(bytes) !== id) throw damaged(`${key} in ${storage.name}`, 'its bytes are not those of its name')
  return bytes
}

export async function readUnpacked(
  storage: Storage,
  key: SealKey,
  kind: UnpackedKind,
  id: string,
  cancel: Cancel = {},
): Promise<Buffer> {
  const bytes = await readFile(storage, kind, id, cancel)
  return decodeUnpacked(key, bytes, `${keyOfFile(kind, id)} in ${storage.name}`)
}

export async function storeUnpacked(
  storage: Storage,
  key: SealKey,
  version: 1 | 2,
  kind: UnpackedKind,
  json: Bytes,
  { signal, onBytes }: Cancel & { onBytes?: (bytes: number) => void } = {},
): Promise<string> {
  const { id, bytes } = encodeUnpacked(key, version, json)
  await storage.put(keyOfFile(kind, id), bytes, {
    storageClass: 'warm',
    ...(kind === 'locks' && { lock: false }),
    ...(signal && { signal }),
    ...(onBytes && { onBytes }),
  })
  return id
}
