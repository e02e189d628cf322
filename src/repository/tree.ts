/** Trees: the items of one folder, sorted by the bytes of their names. docs/formats/repository.md §7. */
import { pathToBytes } from '../base/paths.ts'
import { textOf, utf8, type Bytes } from '../base/bytes.ts'
import { damaged, isObject, parseObject } from './parse.ts'
import { parseNode, type TreeNode } from './node.ts'

/** `nodes`: from encodeNode, in order. */
export const encodeTree = (nodes: readonly (string | undefined)[]): Uint8Array =>
  utf8(`{"nodes":[${nodes.join(',')}]}\n`)

/** What JSON.parse would round: such numbers become text first. */
const LARGE = /"(inode|device_id|size|links|device)":(\d{16,20})(?=[,}])/g
const MAY_BE_LARGE = /:\d{16}/

export function parseTree(tree: Bytes | string, what: string): TreeNode[] {
  let text = typeof tree === 'string' ? tree : textOf(tree)
  if (MAY_BE_LARGE.test(text)) text = text.replaceAll(LARGE, '"$1":"$2"')
  const { nodes } = parseObject(text, what)
  // Written by old versions for an empty folder.
  if (nodes === null) return []
  if (!Array.isArray(nodes)) throw damaged(what, 'it has no list of items')
  const parsed: TreeNode[] = []
  let last: TreeNode | undefined
  for (const value of nodes) {
    if (!isObject(value)) throw damaged(what, 'an item of it is no object')
    const node = parseNode(value, what)
    if (last !== undefined && compareNames(last.name, node.name) >= 0)
      throw damaged(what, `${node.name} comes twice or out of order`)
    parsed.push(node)
    last = node
  }
  return parsed
}

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\x00-\x7f]*$/

/** By bytes. */
export function compareNames(a: string, b: string): number {
  if (ASCII.test(a) && ASCII.test(b)) return a < b ? -1 : a > b ? 1 : 0
  return Buffer.compare(pathToBytes(a), pathToBytes(b))
}
