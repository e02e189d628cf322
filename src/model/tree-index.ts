/** Looking into a backup quickly: a folder, a path, a search by name. */
import type { EntryKind } from './entry.ts'
import type { Cancel, Vault } from './vault.ts'

export interface TreeItem {
  name: string
  path: string
  kind: EntryKind
  size: number
  mtime: Date
  mode: number
  /** Of a symbolic link. */
  target?: string
  digest?: string
  /** Of a folder: how many are in it. */
  children?: number
}

export interface TreePage {
  items: TreeItem[]
  /** In the folder. */
  total: number
  next?: [number, string]
}

export interface TreeIndex {
  item(path: string): TreeItem | undefined
  /** Folders first, then by name; undefined: no such folder. */
  folder(path: string, options: { after?: [number, string]; limit: number }): TreePage | undefined
  /** Items below a folder whose name holds the text, case aside; undefined: no such folder. */
  search(
    text: string,
    options: Cancel & { under: string; after?: number; limit: number },
  ): Promise<{ items: TreeItem[]; next?: number } | undefined>
}

export interface TreeIndexes {
  /** Made now if it was not looked into yet. */
  get(vault: Vault, backup: string): Promise<TreeIndex>
  has(vault: string, backup: string): boolean
  close(): void
}
