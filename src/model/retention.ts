/** Which backups to keep. A backup is kept if any rule keeps it; with no rule at all everything is kept. */
export interface Retention {
  last?: number
  hourly?: number
  daily?: number
  weekly?: number
  monthly?: number
  yearly?: number
  /** Keep all of the last N days. */
  days?: number
  /** Keep all within this duration before the newest, such as `14d`. */
  within?: string
  /** Of a continuous log: every moment of this time, such as `7d`; from the oldest kept backup on where absent. */
  points?: string
  /** Keep all that carry one of these tags. */
  tags?: string[]
  /** Never fewer than this many restorable ones. */
  minimum?: number
}

/** What the policy needs to know of a backup; times decide, in the job's zone. */
export interface RetentionItem {
  id: string
  time: Date
  tags: string[]
  needs: string[]
  hold?: boolean
  broken?: string
}

export interface RetentionDecision {
  id: string
  keep: boolean
  /** `daily 2024-03-15`, `needed by incr-…`, `newest restorable`, `not needed by any rule`, … */
  reasons: string[]
}
