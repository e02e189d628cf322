import { realpathSync } from 'node:fs'
import { AppError } from '../../base/errors.ts'
import { displayPath } from '../../base/paths.ts'

/** A source at or below the folder of its own vault would grow with each backup of it: rejects. */
export function refuseInsideVault(paths: readonly string[], vaultFolders: readonly string[]): void {
  for (const folder of vaultFolders.flatMap((path) => real(path) ?? [])) {
    const inside = paths.find((path) => {
      const place = real(path)
      return place === folder || place?.startsWith(folder === '/' ? '/' : `${folder}/`) === true
    })
    if (inside === undefined) continue
    throw new AppError('usage.invalid', `${displayPath(inside)} is inside the vault ${displayPath(folder)} itself`, {
      hint: 'Choose a folder for the vault that does not hold what is backed up.',
    })
  }
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
