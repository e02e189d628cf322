import { isAbsolute } from 'node:path'
import type { Run } from '../../model/run.ts'
import type { Served } from '../contract/index.ts'

type Short = Served<'GET /api/v1/runs'>['answer']['items'][number]
type Whole = Served<'GET /api/v1/runs/{id}'>['answer']

export function runShort(run: Run): Short {
  const { id, kind, job, vault, status, trigger, createdAt, startedAt, endedAt, backupId, counters, error, summary } =
    run
  return {
    id,
    kind,
    job,
    status,
    trigger,
    createdAt,
    warningCount: run.warningCount,
    ...(vault !== undefined && { vault }),
    ...(startedAt && { startedAt }),
    ...(endedAt && { endedAt }),
    ...(backupId !== undefined && { backupId }),
    ...(counters && { counters }),
    ...(error && { error }),
    ...(summary && { summary }),
  }
}

export function runWhole(run: Run): Whole {
  return {
    ...runShort(run),
    warnings: run.warnings,
    notes: run.notes ?? [],
    noteCount: run.noteCount ?? 0,
    stages: run.stages,
    hasLog: run.log !== undefined && isAbsolute(run.log),
  }
}
