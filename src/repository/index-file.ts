/** Files of `index/`: which blobs lie where in which packs. docs/formats/repository.md §5. */
import type { Bytes } from '../base/bytes.ts'
import { scanIndex } from './index-scan.ts'
import { isId } from './ids.ts'
import type { PackedBlob } from './pack-header.ts'
import { countIn, damaged, isObject, parseObject } from './parse.ts'

export interface IndexedPack {
  id: string
  blobs: PackedBlob[]
}

/** A pack is listed whole in one file, or restic takes it for damaged. Of each pack in turn: their blobs need not be there at once. */
export function encodeIndex(packs: Iterable<IndexedPack>): Uint8Array {
  let out = Buffer.allocUnsafeSlow(256 * 1024)
  let at = 0
  const put = (text: string): void => {
    if (out.length - at < text.length) {
      const larger = Buffer.allocUnsafeSlow(2 * out.length + text.length)
      out.copy(larger, 0, 0, at)
      out = larger
    }
    at += out.write(text, at, 'latin1')
  }
  put('{"packs":[')
  let comma = ''
  for (const { id, blobs } of packs) {
    put(`${comma}{"id":"${id}","blobs":[`)
    for (const [n, blob] of blobs.entries()) put(n === 0 ? encodeBlob(blob) : `,${encodeBlob(blob)}`)
    put(']}')
    comma = ','
  }
  put(']}\n')
  return out.subarray(0, at)
}

function encodeBlob({ id, type, offset, length, uncompressedLength }: PackedBlob): string {
  const expanded = uncompressedLength > 0 ? `,"uncompressed_length":${uncompressedLength}` : ''
  return `{"id":"${id}","type":"${type}","offset":${offset},"length":${length}${expanded}}`
}

/** Calls `add` for each blob of each pack. What is written as restic and we write it needs no JSON parser. */
export function parseIndex(bytes: Bytes, what: string, add: (pack: string, blob: PackedBlob) => void): void {
  // Read to its end before anything of it is used.
  if (scanIndex(bytes)) {
    scanIndex(bytes, add)
    return
  }
  const { packs } = parseObject(bytes, what)
  if (packs === null) return
  if (!Array.isArray(packs)) throw damaged(what, 'it has no list of packs')
  for (const pack of packs) {
    if (!isObject(pack) || !isId(pack['id']) || !Array.isArray(pack['blobs']))
      throw damaged(what, 'a pack of it is none')
    for (const blob of pack['blobs']) add(pack['id'], parseBlob(blob, what))
  }
}

/** Where a blob may end in its pack, and what its content may have. */
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
