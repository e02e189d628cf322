import type { Command } from 'commander'
import { formatDuration, formatSize } from '../../base/units.ts'
import type { Timeline } from '../../operations/timeline.ts'
import type { Context } from '../context.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  const command = program
    .command('timeline')
    .description('moments that can be restored, gaps between them, and what took data away')
    .argument('<job>', 'the job')
  withVault(command).action(async (job: string, options: VaultOptions) => timelineCommand(context, job, options))
}

async function timelineCommand(context: Context, job: string, options: VaultOptions): Promise<void> {
  const { out } = context
  const { timelineOf } = await import('../../operations/timeline.ts')
  const app = await context.app()
  const known = options.job === undefined && job in app.settings.jobs ? { job } : {}
  const found: Timeline[] = []
  for (const vault of await openVaults(context, { ...options, ...known }))
    found.push(await timelineOf(vault, job, app.clock.now(), { signal: context.signal }))
  out.result(found.map(asJson), () => found.map(textOf).join('\n'))
}

const asJson = ({ vault, job, engine, windows, gaps, events, proofs, lagSeconds, bytes, segments }: Timeline) => ({
  vault,
  job,
  engine,
  windows: windows.map(({ from, to, fromPosition, toPosition, backups }) => ({
    from,
    to,
    from_position: fromPosition,
    to_position: toPosition,
    backups,
  })),
  gaps,
  events: events.map(({ id, kind, what, rows, time, restorable }) => ({ id, kind, what, rows, time, restorable })),
  proofs: proofs.map(({ level, at, ok, point, backup, reached, transactions, time }) => ({
    level,
    at,
    ok,
    point,
    backup_id: backup,
    reached,
    transactions,
    last_commit: time,
  })),
  lag_seconds: lagSeconds,
  bytes,
  segments,
})

function textOf(timeline: Timeline): string {
  const { vault, job, windows, gaps, events, proofs, lagSeconds, bytes, segments } = timeline
  const title = `${job} in ${vault}`
  if (windows.length === 0) return `${title}\n  no moment can be restored; single backups can: see \`holdfast list\``
  const lines = [
    ...windows.map(({ from, to, backups }) => ({
      at: from,
      text:
        to.getTime() === from.getTime()
          ? `${from.toISOString()}  the backup ${backups.join(', ')}; the log after it was not looked at yet`
          : `${from.toISOString()} … ${to.toISOString()}  every moment (${formatDuration(to.getTime() - from.getTime())}, ${backups.length} backups)`,
    })),
    ...gaps.map(({ from, to }) => ({
      at: from,
      text: `${from.toISOString()} … ${to.toISOString()}  gap (${formatDuration(to.getTime() - from.getTime())})`,
    })),
    ...events.map(({ id, kind, what, rows, time, restorable }) => ({
      at: time,
      text: `${time.toISOString()}  ${kind.toUpperCase()} ${what}${rows === undefined ? '' : `, ${rows} rows`}${restorable ? `; the moment before: --before ${id}` : ''}`,
    })),
  ].sort((a, b) => a.at.getTime() - b.at.getTime())
  const log = `the log is ${formatSize(bytes)} in ${segments} pieces, ${formatDuration((lagSeconds ?? 0) * 1000)} behind now`
  const [proof] = proofs
  const proved =
    proof === undefined
      ? 'no moment was proved to restore: see `holdfast verify --at latest`'
      : `${proof.point} was proved to ${proof.level}${proof.ok ? '' : ', and not further,'} at ${proof.at.toISOString()}`
  return [title, ...lines.map(({ text }) => `  ${text}`), `  ${log}`, `  ${proved}`].join('\n')
}
