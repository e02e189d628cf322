import type { Backup } from '../../src/model/backup.ts'
import type { RecentRuns, RunReport } from '../../src/model/report.ts'
import type { Run, RunStatus } from '../../src/model/run.ts'

/** A night with every kind of outcome, for the tests of reports and messages. */
export function sampleReport(): RunReport {
  const runs = [
    sampleRun('shop-db', 'offsite', 'success', 0),
    sampleRun('shop-db', 'handover', 'success', 1),
    {
      ...sampleRun('uploads', 'offsite', 'failed', 2),
      summary: undefined,
      backupId: undefined,
      log: '/var/lib/holdfast/runs/run-2.ndjson',
      error: {
        code: 'storage.denied',
        message: 'cannot store data/3f/3f9a… in s3://backups/prod: AccessDenied, <b>403</b>',
        hint: 'Check that these credentials may do this on that bucket or folder.',
      },
    },
    {
      ...sampleRun('home', 'nas', 'warning', 3),
      warningCount: 62,
      warnings: Array.from({ length: 60 }, (_, index) => ({
        code: 'unreadable',
        path: `home/ann/mail/${index}.eml`,
        message: 'permission denied',
      })),
    },
    { ...sampleRun('metrics', 'offsite', 'skipped', 4), summary: undefined, backupId: undefined },
  ] satisfies Run[]
  return {
    host: 'db-1.example.org',
    version: '0.1.0',
    startedAt: new Date('2024-03-15T03:00:00Z'),
    endedAt: new Date('2024-03-15T03:13:27Z'),
    runs,
    backups: runs.filter((run) => run.backupId !== undefined).map(sampleBackup),
    pruned: [
      {
        vault: 'offsite',
        applied: true,
        bytesFreed: 734_003_200,
        remove: [pruned('shop-db', 9, 'not needed by any rule'), pruned('shop-db', 8, 'not needed by any rule')],
        keep: [pruned('shop-db', 7, 'weekly 2024-03-10'), pruned('shop-db', 1, 'last 1', 'daily 2024-03-15')],
      },
    ],
    recent: [...new Set(runs.map((run) => run.job))].map((job) => recentOf(job, runs)),
  }
}

export function sampleRun(job: string, vault: string, status: RunStatus, index: number): Run {
  const startedAt = new Date(Date.UTC(2024, 2, 15, 3, index * 2))
  return {
    id: `run-${index}`,
    kind: 'backup',
    job,
    vault,
    status,
    trigger: 'schedule',
    createdAt: startedAt,
    startedAt,
    endedAt: new Date(startedAt.getTime() + 41_200 + index * 20_000),
    backupId: `${'3f9a1c77'.repeat(7)}${String(index).padStart(8, '0')}`,
    summary: {
      type: 'incremental',
      files_new: 120 + index,
      files_changed: 31,
      files_unmodified: 41_000,
      total_files_processed: 41_151 + index,
      total_bytes_processed: 25_100_000_000 + index * 1e9,
      data_added: 1_288_490_188,
      data_added_packed: 406_847_488,
    },
    warnings: [],
    warningCount: 0,
    stages: [],
  }
}

const sampleBackup = (run: Run): Backup => ({
  id: run.backupId ?? '',
  job: run.job,
  vault: run.vault ?? '',
  source: 'files',
  type: 'incremental',
  time: run.startedAt ?? run.createdAt,
  needs: [],
  tags: [],
  paths: [`srv/${run.job}`],
  sourceBytes: 25_100_000_000,
  storedBytes: 406_847_488,
  files: 41_151,
  proof: { level: 'V1', at: run.endedAt ?? run.createdAt },
  warnings: run.warningCount,
})

const pruned = (job: string, daysAgo: number, ...reasons: string[]) => ({
  id: `full-2024-03-${String(15 - daysAgo).padStart(2, '0')}T03-00-00-a1b2c${daysAgo}`,
  job,
  time: new Date(Date.UTC(2024, 2, 15 - daysAgo, 3)),
  storedBytes: 367_001_600,
  reasons,
})

function recentOf(job: string, runs: Run[]): RecentRuns {
  const own = runs.filter((run) => run.job === job)
  const earlier = Array.from({ length: 27 }, (_, index) => ({
    id: `${job}-${index}`,
    kind: 'backup' as const,
    status: (index % 11 === 7
      ? 'warning'
      : index % 13 === 4
        ? 'failed'
        : index === 20
          ? 'skipped'
          : 'success') as RunStatus,
    at: new Date(Date.UTC(2024, 1, 17 + index, 3)),
    durationMs: 40_000 + index * 500,
  }))
  const now = own.map(({ id, kind, status, createdAt }) => ({ id, kind, status, at: createdAt, durationMs: 41_200 }))
  return { job, runs: [...earlier, ...now] }
}
