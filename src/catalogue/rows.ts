/** From JSON back to objects with dates. What the catalogue holds was written by a Holdfast; a row that is not is an error. */
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Run } from '../model/run.ts'

type Stored<T> = { [K in keyof T]: T[K] extends Date | undefined ? string : T[K] }

function parse(text: string, what: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text)
  if (typeof value === 'object' && value !== null && 'id' in value) return value
  throw new AppError('catalogue.failed', `the catalogue holds a ${what} that is none`)
}

const date = (text: unknown): Date => new Date(String(text))

export function parseRun(text: string): Run {
  const row = parse(text, 'run') as unknown as Stored<Run>
  return {
    ...(row as unknown as Run),
    createdAt: date(row.createdAt),
    ...(row.startedAt && { startedAt: date(row.startedAt) }),
    ...(row.endedAt && { endedAt: date(row.endedAt) }),
    stages: row.stages.map((stage) => ({
      ...stage,
      startedAt: date(stage.startedAt),
      ...(stage.endedAt && { endedAt: date(stage.endedAt) }),
    })),
  }
}

export function parseBackup(text: string): Backup {
  const row = parse(text, 'backup') as unknown as Backup
  return {
    ...row,
    time: date(row.time),
    ...(row.ended && { ended: date(row.ended) }),
    proof: { level: row.proof.level, at: date(row.proof.at) },
  }
}
