export type Overwrite = 'never' | 'if-newer' | 'if-changed' | 'always'

export interface FilesTargetSettings {
  /** The folder that all is written below; `/` to restore in place. Made when it is missing. */
  root: string
  /** Entries above this entry path are left out, and what is below it comes directly below the root. */
  strip?: string
  /**
   * Restoring in place: the paths of the backup (`Backup.paths`). Folders above them that are symlinks on this machine
   * are followed, as they were when the backup was made. No other symlink ever is.
   */
  inPlace?: readonly string[]
  /** What to do with what exists. Left out: reject with `restore.exists` on the first such item. */
  overwrite?: Overwrite
  /**
   * Entry paths that are restored whole: what is below them here but not in the backup is removed, once everything has
   * been restored without one failure.
   */
  delete?: readonly string[]
  /** Owners, setuid and setgid bits, devices, `security.` and `trusted.` attributes; by default when we are root. */
  ownership?: boolean
  /** Tell the effects, touch nothing. */
  dryRun?: boolean
  /** Make holes for zeros in all files, not only in those that had holes. */
  sparse?: boolean
  /**
   * Bytes that the restore will take, sparse files left out: more than there is room for is refused at the start, unless
   * files that exist may be replaced.
   */
  expectedBytes?: number
  /** Asked when `expectedBytes`, which counts the holes of sparse files too, would not fit. */
  exactBytes?: () => Promise<number>
}
