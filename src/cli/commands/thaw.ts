import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { parseDuration } from '../../base/units.ts'
import type { Thaw } from '../../model/storage.ts'
import type { ThawReport } from '../../operations/thaw.ts'
import type { Context } from '../context.ts'
import { findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface ThawCommandOptions extends VaultOptions {
  days: number
  speed: string
  wait?: string
  every: string
}

const SPEEDS: readonly string[] = ['expedited', 'standard', 'bulk'] satisfies Thaw['speed'][]
const isSpeed = (text: string): text is Thaw['speed'] => SPEEDS.includes(text)

export function register(program: Command, context: Context): void {
  withFilter(
    program.command('thaw').description('ask a cold storage class (Glacier, Archive) for what a restore reads'),
  )
    .argument('[backup]', 'id or latest', 'latest')
    .option('--days <n>', 'how long it is to stay readable', Number, 7)
    .option('--speed <speed>', 'expedited, standard or bulk: the sooner, the dearer', 'standard')
    .option('--wait <duration>', 'wait until all can be read, for so long at most, such as 2d')
    .option('--every <duration>', 'with --wait: how often to look', '5m')
    .action(async (reference: string, options: ThawCommandOptions) => thaw(context, reference, options))
}

async function thaw(context: Context, reference: string, options: ThawCommandOptions): Promise<void> {
  const { days, speed, wait, every } = options
  if (!isSpeed(speed)) throw new AppError('usage.invalid', `--speed ${speed} is none of ${SPEEDS.join(', ')}`)
  if (!Number.isInteger(days) || days < 1) throw new AppError('usage.invalid', '--days takes a whole number above 0')
  const waiting = wait === undefined ? undefined : { everyMs: parseDuration(every), mostMs: parseDuration(wait) }
  const app = await context.app()
  const { vault, backup } = await findBackup(context, reference, options)
  const { out, signal } = context
  if (context.options.dryRun === true) {
    let objects = 0
    for await (const _ of vault.payloads(backup.id, { signal })) objects += 1
    return out.result({ backup_id: backup.id, objects }, () => `${backup.id} needs ${objects} objects`)
  }
  const { thawBackup } = await import('../../operations/thaw.ts')
  const report = await thawBackup(app.deps, vault, backup.id, {
    days,
    speed,
    ...(waiting && { wait: waiting }),
    signal,
    onReport: (now) => out.note(text(now)),
  })
  const ready = report.readable === report.objects
  out.result({ backup_id: backup.id, ...report, ready }, () =>
    ready
      ? `all ${report.objects} objects of ${backup.id} can be read: restore it`
      : `${text(report)}\nrun this again later, or with --wait; then restore`,
  )
}

const text = ({ objects, readable, asked, coming }: ThawReport): string =>
  `${readable} of ${objects} objects can be read, ${asked} were asked for now, ${coming} are coming`
