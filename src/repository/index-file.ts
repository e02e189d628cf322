/** Files of `index/`: which blobs lie where in which packs. docs/formats/repository.md §5. */
import type { Bytes } from '../base/bytes.ts'
import { utf8 } from '../base/bytes.ts'
import { isId } from './ids.ts'
import type { PackedBlob } from './pack-header.ts'
import { countIn, damaged, isObject, parseObject } from './parse.ts'

export interface IndexedPack {
  id: string
  blobs: PackedBlob[]
}

/** A pack is listed whole in one file, or restic takes it for damaged. */
export function encodeIndex(packs: readonly IndexedPack[]): Uint8Array {
  const text = packs.map(({ id, blobs }) => `{"id":"${id}","blobs":[${blobs.map(encodeBlob).join(',')}]}`)
  return utf8(`{"packs":[${text.join(',')}]}\n`)
}

function encodeBlob({ id, type, offset, length, uncompressedLength }: PackedBlob): string {
  const expanded = uncompressedLength > 0 ? `,"uncompressed_length":${uncompressedLength}` : ''
  return `{"id":"${id}","type":"${type}","offset":${offset},"length":${length}${expanded}}`
}

/** Calls `add` for each blob of each pack. */
export function parseIndex(bytes: Bytes, what: string, add: (pack: string, blob: PackedBlob) => void): void {
  const { packs } = parseObject(bytes, what)
  if (packs === null) return
  if (!Array.isArray(packs)) throw damaged(what, 'it has no list of packs')
  for (const pack of packs) {
    if (!isObject(pack) || !isId(pack['id']) || !Array.isArray(pack['blobs']))
      throw damaged(what, 'a pack of it is none')
    for (const blob of pack['blobs']) add(pack['id'], parseBlob(blob, what))
  }
}

const MAX_OFFSET = 2 ** 32 - 1

function parseBlob(value: unknown, what: string): PackedBlob {
  if (isObject(value)) {
    const { id, type } = value
    const [offset, length] = [countIn(value, 'offset'), countIn(value, 'length')]
    const uncompressedLength = countIn(value, 'uncompressed_length') ?? 0
    if (
      isId(id) &&
      (type === 'data' || type === 'tree') &&
      offset !== undefined &&
      length !== undefined &&
      offset + length <= MAX_OFFSET &&
      uncompressedLength <= MAX_OFFSET
    )
      return { id, type, offset, length, uncompressedLength }
  }
  throw damaged(what, 'a blob of it is none')
}
