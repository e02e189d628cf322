/** What can be restored: a snapshot in a repository, an archive in an archive vault. */
export type BackupType = 'full' | 'incremental' | 'differential'

/** V0 stored · V1 bytes hashed · V2 parsed to the end · V3 restored to scratch · V4 equal to recorded figures · V5 assertions pass */
export type ProofLevel = 'V0' | 'V1' | 'V2' | 'V3' | 'V4' | 'V5'

export const PROOF_LEVELS: readonly ProofLevel[] = ['V0', 'V1', 'V2', 'V3', 'V4', 'V5']

export interface Proof {
  level: ProofLevel
  at: Date
}

export interface Backup {
  /** `full-2024-03-15T14-30-45-abc123` in an archive vault; the snapshot's id in a repository. */
  id: string
  job: string
  /** The name of the vault as configured, or its address. */
  vault: string
  /** The type of the source: `files`, `postgres`, … */
  source: string
  type: BackupType
  /** When the source was read: the start of the run. */
  time: Date
  /** The backup that this one builds on. */
  parent?: string
  /** Every backup that restoring this one reads, itself not included. */
  needs: string[]
  tags: string[]
  /** Never removed while set. */
  hold?: boolean
  host?: string
  paths: string[]
  /** Of content, and what it takes here; absent, as the number of files, where the vault does not tell. */
  sourceBytes?: number
  storedBytes?: number
  files?: number
  proof: Proof
  /** Why it is not whole, if it is not: unreadable items and the like. The backup exists all the same. */
  warnings: number
  /** Whether its content can be read without a key; absent: not known. */
  encrypted?: boolean
  /** When the backup was committed. */
  ended?: Date
  /** See BackupRequest. */
  labels?: Record<string, string>
  /** How the content is packed: `gzip`, `zstd`, `none`, … */
  compression?: string
  /** SHA-256 of the stored payload, hex; of several parts that of their checksums one after the other. */
  checksum?: string
  /** Keys of the objects that are this backup, the one that commits it first. */
  objects?: string[]
  /** Set when something that restoring needs is missing or damaged, naming it. */
  broken?: string
}

export interface BackupFilter {
  job?: string
  id?: string
  tags?: string[]
  since?: Date
  until?: Date
  host?: string
}
