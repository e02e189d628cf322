/** What the rules of a files source would leave out. */
export interface ExcludedByRule {
  rule: string
  files: number
  bytes: number
  /** The first few paths. */
  examples: string[]
}

export interface ExcludeTest {
  /** That would be backed up. */
  files: number
  bytes: number
  excludedFiles: number
  excludedBytes: number
  rules: ExcludedByRule[]
  /** False: time ran out before all was seen. */
  complete: boolean
}
