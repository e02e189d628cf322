/** Between the entries of the contract and the nodes of trees. */
import { pathFromBytes, pathToBytes } from '../base/paths.ts'
import type { Entry, EntryKind } from '../model/entry.ts'
import { goTime, parseGoTime, type ZoneOffset } from './go-time.ts'
import type { NodeType, TreeNode } from './node.ts'

const TYPES: Record<EntryKind, NodeType> = {
  file: 'file',
  directory: 'dir',
  symlink: 'symlink',
  fifo: 'fifo',
  chardev: 'chardev',
  blockdev: 'dev',
  socket: 'socket',
}
const KINDS: Partial<Record<NodeType, EntryKind>> = {
  file: 'file',
  dir: 'directory',
  symlink: 'symlink',
  fifo: 'fifo',
  chardev: 'chardev',
  dev: 'blockdev',
  socket: 'socket',
}

/** Bits of Go's fs.FileMode. */
const DEVICE = 0x0400_0000
const TYPE_BITS: Record<EntryKind, number> = {
  file: 0,
  directory: 0x8000_0000,
  symlink: 0x0800_0000,
  fifo: 0x0200_0000,
  chardev: DEVICE + 0x0020_0000,
  blockdev: DEVICE,
  socket: 0x0100_0000,
}
const SETUID = 0x0080_0000
const SETGID = 0x0040_0000
const STICKY = 0x0010_0000

export const goMode = (kind: EntryKind, mode: number): number =>
  (mode & 0o777) +
  TYPE_BITS[kind] +
  ((mode & 0o4000) === 0 ? 0 : SETUID) +
  ((mode & 0o2000) === 0 ? 0 : SETGID) +
  ((mode & 0o1000) === 0 ? 0 : STICKY)

export const unixMode = (mode: number): number =>
  (mode & 0o777) |
  ((mode & SETUID) === 0 ? 0 : 0o4000) |
  ((mode & SETGID) === 0 ? 0 : 0o2000) |
  ((mode & STICKY) === 0 ? 0 : 0o1000)

/** st_rdev as Linux packs it. */
function packDevice({ major, minor }: { major: number; minor: number }): number {
  return (
    (minor & 0xff) + ((major & 0xfff) << 8) + Math.floor(minor / 256) * 0x10_0000 + Math.floor(major / 4096) * 2 ** 44
  )
}

function splitDevice(device: number): { major: number; minor: number } {
  const low = device % 2 ** 32
  const high = Math.floor(device / 2 ** 32)
  return {
    major: ((low >>> 8) & 0xfff) + (high & 0xfffff000),
    minor: (low & 0xff) + ((low >>> 12) & 0xfff00) + (high & 0xfff) * 2 ** 20,
  }
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')

/** Without what comes later: the content or subtree, and the size that was read. */
export function nodeOfEntry(entry: Entry, name: string, zone?: ZoneOffset): TreeNode {
  const { kind } = entry
  const mtime = goTime(entry.mtime, zone)
  const node: TreeNode = {
    name,
    type: TYPES[kind],
    mode: goMode(kind, entry.mode),
    mtime,
    atime: mtime,
    ctime: entry.ctime === undefined ? mtime : goTime(entry.ctime, zone),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    content: null,
  }
  if (entry.user !== undefined) node.user = entry.user
  if (entry.group !== undefined) node.group = entry.group
  if (entry.inode !== undefined) node.inode = entry.inode
  if (entry.device !== undefined) node.device_id = entry.device
  if (kind === 'file') node.size = entry.size
  if (entry.inode !== undefined && ['file', 'symlink', 'chardev', 'blockdev'].includes(kind))
    node.links = entry.links ?? 1
  if (entry.linkTarget !== undefined) {
    node.linktarget = entry.linkTarget
    if (!entry.linkTarget.isWellFormed()) node.linktarget_raw = base64(pathToBytes(entry.linkTarget))
  }
  if (entry.xattrs !== undefined && entry.xattrs.length > 0)
    node.extended_attributes = entry.xattrs.map(({ name: key, value }) => ({ name: key, value: base64(value) }))
  if (entry.rdev !== undefined) node.device = packDevice(entry.rdev)
  return node
}

/** The content of 512 KiB of zeros, as the chunker cuts holes. */
export const ZERO_CHUNK_LENGTH = 512 * 1024
export const ZERO_CHUNK = '07854d2fef297a06ba81685e660c332de36d5d18d546927d30daad6d7fda1541'

const EPOCH = { s: 0, ns: 0 }

/** Undefined for what no target could make: types that restic itself does not restore. */
export function entryOfNode(node: TreeNode, path: string): Entry | undefined {
  const kind = KINDS[node.type]
  if (kind === undefined) return undefined
  const entry: Entry = {
    path,
    kind,
    mode: unixMode(node.mode),
    mtime: parseGoTime(node.mtime) ?? EPOCH,
    size: kind === 'file' ? Number(node.size ?? 0) : 0,
    uid: node.uid,
    gid: node.gid,
  }
  const ctime = parseGoTime(node.ctime)
  if (ctime !== undefined) entry.ctime = ctime
  if (node.user !== undefined && node.user !== '') entry.user = node.user
  if (node.group !== undefined && node.group !== '') entry.group = node.group
  if (node.inode !== undefined) entry.inode = Number(node.inode)
  if (node.device_id !== undefined) entry.device = Number(node.device_id)
  if (kind === 'file' && Number(node.links ?? 1) > 1) entry.links = Number(node.links)
  if (kind === 'symlink') {
    const raw = node.linktarget_raw
    entry.linkTarget = raw === undefined ? (node.linktarget ?? '') : pathFromBytes(Buffer.from(raw, 'base64'))
  }
  if (node.type === 'dev' || node.type === 'chardev') entry.rdev = splitDevice(Number(node.device ?? 0))
  if (node.extended_attributes !== undefined && node.extended_attributes.length > 0)
    entry.xattrs = node.extended_attributes.map(({ name, value }) => ({
      name,
      value: Buffer.from(value ?? '', 'base64'),
    }))
  if (node.content?.includes(ZERO_CHUNK) === true) entry.sparse = true
  return entry
}
