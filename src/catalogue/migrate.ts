/** Numbered SQL files, each run once, in one transaction with the number that it leaves behind. */
import { readdirSync, readFileSync } from 'node:fs'
import { AppError } from '../base/errors.ts'
import { transaction, type Database } from '../base/sqlite.ts'

const FOLDER = new URL('./migrations/', import.meta.url)

export function migrate(database: Database, path: string): void {
  const files = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
  const version = (): number => (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version
  const have = version()
  if (have > files.length) {
    throw new AppError(
      'catalogue.failed',
      `catalogue ${path} was written by a newer Holdfast (${have}, this one knows ${files.length})`,
      {
        hint: 'Update Holdfast, or move the catalogue away and rebuild it with `holdfast connect`.',
      },
    )
  }
  if (have === files.length) return
  transaction(database, () => {
    // Another process may have been faster.
    for (let next = version(); next < files.length; next += 1) {
      database.exec(readFileSync(new URL(files[next] as string, FOLDER), 'utf8'))
      database.exec(`PRAGMA user_version = ${next + 1}`)
    }
  })
}
