/** What a vault took at a moment. */
export interface Usage {
  at: Date
  bytes: number
  objects: number
  /** What was free beside it, where the storage can tell. */
  free?: number
}
