import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Backup } from '../../model/backup.ts'
import type { Context } from '../context.ts'
import { whole } from '../numbers.ts'
import { table } from '../output.ts'
import { openVaults, withFilter, type VaultOptions } from '../vault-options.ts'

interface ListOptions extends VaultOptions {
  since?: string
  until?: string
  limit?: number
}

export function register(program: Command, context: Context): void {
  withFilter(program.command('list').aliases(['snapshots', 'list-backups']).description('list backups, newest last'))
    .option('--since <time>', 'not older than this time (ISO 8601) or age (7d)')
    .option('--until <time>', 'not newer than this time or age')
    .option('--limit <n>', 'only the newest N', whole('--limit'))
    .action(async (options: ListOptions) => list(context, options))
}

async function list(context: Context, options: ListOptions): Promise<void> {
  const found: Backup[] = []
  const onUnreadable = ({ message }: AppError): void =>
    context.out.note(`warning: ${message}; \`holdfast check\` tells more`)
  for (const vault of await openVaults(context, options))
    found.push(...(await vault.backups({ signal: context.signal, onUnreadable })))
  const now = new Date()
  const since = options.since === undefined ? undefined : timeOf(options.since, now)
  const until = options.until === undefined ? undefined : timeOf(options.until, now)
  const wanted = found
    .filter(({ job, tags, host, time }) => {
      if (options.job !== undefined && job !== options.job) return false
      if (options.host !== undefined && host !== options.host) return false
      if (options.tag !== undefined && !options.tag.every((tag) => tags.includes(tag))) return false
      return (since === undefined || time >= since) && (until === undefined || time <= until)
    })
    .sort((a, b) => a.time.getTime() - b.time.getTime())
  const shown = options.limit === undefined ? wanted : wanted.slice(-options.limit)
  context.out.result(shown.map(backupJson), () => backupTable(shown, context))
}

/** The shape of the contract, for scripts. */
export function backupJson(backup: Backup): Record<string, unknown> {
  const { proof, broken, hold, ...rest } = backup
  return {
    ...rest,
    parent: backup.parent ?? null,
    proof: { level: proof.level, at: proof.at },
    ...(hold === true && { hold }),
    ...(broken !== undefined && { broken }),
  }
}

export function backupTable(backups: readonly Backup[], { out }: Context): string {
  if (backups.length === 0) return 'no backups'
  const several = new Set(backups.map(({ vault }) => vault)).size > 1
  const rows = backups.map((backup) => [
    backup.id,
    backup.job,
    ...(several ? [backup.vault] : []),
    backup.time.toISOString().slice(0, 19).replace('T', ' '),
    String(backup.files ?? 'unknown'),
    formatSize(backup.sourceBytes),
    formatSize(backup.storedBytes),
    backup.broken === undefined ? backup.proof.level : out.paint('red', 'broken'),
    [...backup.tags, ...(backup.hold === true ? ['(hold)'] : [])].join(','),
  ])
  const head = ['ID', 'JOB', ...(several ? ['VAULT'] : []), 'TIME (UTC)', 'FILES', 'SIZE', 'STORED', 'PROOF', 'TAGS']
  return table(head, rows, several ? [4, 5, 6] : [3, 4, 5])
}

/** An ISO time, or an age before now. */
export function timeOf(text: string, now: Date): Date {
  const age = /^(\d+)([smhdwy])$/.exec(text)
  if (age !== null) {
    const unit = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_557_600 }[age[2] as 's']
    return new Date(now.getTime() - Number(age[1]) * unit * 1000)
  }
  const time = new Date(text)
  if (Number.isNaN(time.getTime()))
    throw new AppError('usage.invalid', `cannot read ${text} as a time`, {
      hint: 'Write 2026-03-15, 2026-03-15T14:30:00Z or an age such as 7d.',
    })
  return time
}
