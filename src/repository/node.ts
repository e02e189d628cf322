/** One item of a tree, in restic's words. docs/formats/repository.md §7. */
import { goJson, goJsonString, goQuote, goUnquote } from './go-text.ts'
import { isId } from './ids.ts'
import { damaged, isObject, textIn, type JsonObject } from './parse.ts'

export const NODE_TYPES = ['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket', 'irregular', ''] as const
export type NodeType = (typeof NODE_TYPES)[number]

/** Beyond 2^53 as digits. */
export type Big = number | string

export interface TreeNode {
  /** As base/paths.ts has names. */
  name: string
  type: NodeType
  /** Go's fs.FileMode. */
  mode: number
  /** RFC 3339 with nanoseconds, in the zone of who wrote it. */
  mtime: string
  atime: string
  ctime: string
  uid: number
  gid: number
  user?: string
  group?: string
  inode?: Big
  device_id?: Big
  size?: Big
  links?: Big
  linktarget?: string
  /** base64, where the target is not UTF-8. */
  linktarget_raw?: string
  /** base64 values. */
  extended_attributes?: { name: string; value: string | null }[]
  /** Of Windows; kept as it is. */
  generic_attributes?: JsonObject
  device?: Big
  /** Ids of the data blobs of a file. */
  content: string[] | null
  /** Id of the tree of a folder. */
  subtree?: string
  error?: string
}

const number = (name: string, value: Big | undefined): string =>
  value === undefined || value === 0 ? '' : `,"${name}":${value}`
const text = (name: string, value: string | undefined): string =>
  value === undefined || value === '' ? '' : `,"${name}":${goJsonString(value)}`

/** The JSON of a node, as Go writes it. */
export function encodeNode(node: TreeNode): string {
  const { content } = node
  let out = encodeHead(node)
  out +=
    content === null
      ? ',"content":null'
      : content.length === 0
        ? ',"content":[]'
        : `,"content":["${content.join('","')}"]`
  if (node.subtree !== undefined) out += `,"subtree":"${node.subtree}"`
  return `${out}${text('error', node.error)}}`
}

/** All of it before the content: what tells whether an item is still the same. */
export function encodeHead(node: TreeNode): string {
  const { extended_attributes: attributes, generic_attributes: generic } = node
  let out = `{"name":${goJsonString(goQuote(node.name))},"type":"${node.type}"${number('mode', node.mode)}`
  out += `,"mtime":"${node.mtime}","atime":"${node.atime}","ctime":"${node.ctime}","uid":${node.uid},"gid":${node.gid}`
  out += text('user', node.user) + text('group', node.group)
  out += number('inode', node.inode) + number('device_id', node.device_id)
  out += number('size', node.size) + number('links', node.links)
  out += text('linktarget', node.linktarget) + text('linktarget_raw', node.linktarget_raw)
  if (attributes !== undefined && attributes.length > 0)
    out += `,"extended_attributes":[${attributes.map(attribute).join(',')}]`
  if (generic !== undefined && Object.keys(generic).length > 0) out += `,"generic_attributes":${goJson(generic)}`
  return out + number('device', node.device)
}

const attribute = ({ name, value }: { name: string; value: string | null }): string =>
  `{"name":${goJsonString(name)},"value":${value === null ? 'null' : `"${value}"`}}`

/** Whether a name can only mean an item of its folder. */
const isPlainName = (name: string): boolean =>
  name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0')

export function parseNode(value: unknown, what: string): TreeNode {
  if (!isObject(value)) throw damaged(what, 'an item of it is no object')
  const quoted = value['name']
  const name = typeof quoted === 'string' ? goUnquote(quoted) : undefined
  if (name === undefined || !isPlainName(name)) throw damaged(what, `the name ${JSON.stringify(quoted)} is no name`)
  const type = NODE_TYPES.find((one) => one === value['type'])
  if (type === undefined) throw damaged(what, `${name} is of a type that nobody knows`)
  const { subtree } = value
  const node: TreeNode = {
    name,
    type,
    mode: count(value, 'mode'),
    mtime: textIn(value, 'mtime') ?? '',
    atime: textIn(value, 'atime') ?? '',
    ctime: textIn(value, 'ctime') ?? '',
    uid: count(value, 'uid'),
    gid: count(value, 'gid'),
    content: ids(value['content'], name, what),
  }
  if (subtree !== undefined && subtree !== null) {
    if (!isId(subtree)) throw damaged(what, `${name} has no proper id`)
    node.subtree = subtree
  }
  for (const field of ['user', 'group', 'linktarget', 'linktarget_raw', 'error'] as const) {
    const found = textIn(value, field)
    if (found !== undefined) node[field] = found
  }
  for (const field of ['inode', 'device_id', 'size', 'links', 'device'] as const) {
    const found = value[field]
    if (typeof found === 'number' && found >= 0) node[field] = found
    else if (typeof found === 'string' && /^\d{16,20}$/.test(found)) node[field] = found
  }
  const { extended_attributes: attributes, generic_attributes: generic } = value
  if (Array.isArray(attributes)) node.extended_attributes = attributes.map((one) => parseAttribute(one, name, what))
  if (isObject(generic)) node.generic_attributes = generic
  return node
}

function count(value: JsonObject, name: string): number {
  const found = value[name]
  return typeof found === 'number' && found >= 0 && found <= 0xffffffff ? Math.floor(found) : 0
}

function ids(value: unknown, name: string, what: string): string[] | null {
  if (value === undefined || value === null) return null
  if (!Array.isArray(value) || !value.every(isId)) throw damaged(what, `the content of ${name} is no list of ids`)
  return value
}

function parseAttribute(value: unknown, name: string, what: string): { name: string; value: string | null } {
  if (!isObject(value) || typeof value['name'] !== 'string') throw damaged(what, `an attribute of ${name} has no name`)
  const { value: content } = value
  return { name: value['name'], value: typeof content === 'string' ? content : null }
}
