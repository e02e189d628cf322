/** What a week or a month was, for those who want to hear of it when nothing is wrong too. */
import type { ProofLevel } from './backup.ts'
import type { Incident } from './incident.ts'

export type DigestPeriod = 'weekly' | 'monthly'

export interface Digest {
  period: DigestPeriod
  from: Date
  to: Date
  host: string
  /** Of Holdfast. */
  version: string
  jobs: DigestJob[]
  vaults: { vault: string; bytes?: number; growth?: number; daysToFull?: number }[]
  /** Open now. */
  alerts: Incident[]
  /** Restores that were made, by whom is in the audit log. */
  restores: number
}

export interface DigestJob {
  job: string
  state: 'ok' | 'warning' | 'bad' | 'unknown'
  why?: string
  good: number
  failed: number
  read: number
  stored: number
  lastGood?: Date
  proof?: { level: ProofLevel; at: Date }
}
