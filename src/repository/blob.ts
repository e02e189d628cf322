/** A sealed blob as it lies in a pack. docs/formats/repository.md §4. */
import { unseal, type SealKey } from './crypto.ts'
import { idOf, type BlobType } from './ids.ts'
import { damaged } from './parse.ts'
import { expandTo } from './zstd.ts'

/** Largest content of one blob: a chunk has at most 8 MiB, a tree of a huge folder much more. */
const MAX_BLOB = 2 ** 31

/** Opens a sealed blob as it came from a pack: decrypted, expanded, compared with its id. */
export function decodeBlob(
  key: SealKey,
  sealed: Uint8Array,
  { type, id, uncompressedLength }: { type: BlobType; id: string; uncompressedLength: number },
): Buffer {
  const what = `${type} blob ${id.slice(0, 8)}`
  const plain = unseal(key, sealed)
  if (plain === undefined) throw damaged(what, 'its sum is wrong')
  if (uncompressedLength > MAX_BLOB) throw damaged(what, 'it claims to be larger than any')
  const content = uncompressedLength === 0 ? plain : expandTo(uncompressedLength, plain)
  if (content === undefined) throw damaged(what, 'it cannot be expanded')
  if (idOf(content) !== id) throw damaged(what, 'its content is not that of its id')
  return content
}
