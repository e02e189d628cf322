/** Names of things in a repository: SHA-256 sums, as 64 hex digits or 32 bytes. */
import { hash } from 'node:crypto'
import type { Bytes } from '../base/bytes.ts'

export const ID_LENGTH = 32

export type BlobType = 'data' | 'tree'

const ID = /^[0-9a-f]{64}$/

export const isId = (text: unknown): text is string => typeof text === 'string' && ID.test(text)

export const idOf = (bytes: Bytes): string => hash('sha256', bytes, 'hex')

export const idBytesOf = (bytes: Bytes): Buffer => hash('sha256', bytes, 'buffer')

/** The kinds of files of a repository, which are folders there. */
export type FileKind = 'keys' | 'data' | 'index' | 'snapshots' | 'locks'

export const keyOfFile = (kind: FileKind, id: string): string =>
  kind === 'data' ? `data/${id.slice(0, 2)}/${id}` : `${kind}/${id}`

/** Small files that are never replaced and that many commands read. */
export const isMetadata = (key: string): boolean => /^(?:index|snapshots)\/[0-9a-f]{64}$/.test(key)
