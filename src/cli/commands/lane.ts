import type { Command } from 'commander'
import type { App } from '../../app.ts'
import { AppError } from '../../base/errors.ts'
import { parseDuration } from '../../base/units.ts'
import type { Job } from '../../model/job.ts'
import type { LaneSource } from '../../model/lane.ts'
import type { Context } from '../context.ts'
import { opening, withPassword } from '../vault-options.ts'

interface LaneCommandOptions {
  seal: string
  drop?: boolean
  base?: boolean
  passwordFile?: string
  passwordCommand?: string
}

export function register(program: Command, context: Context): void {
  withPassword(
    program
      .command('lane')
      .description('follow the log of a database, so that every moment can be restored')
      .argument('<job>', 'a configured job')
      .option('--seal <duration>', 'what was committed is stored after so long at most', '5s')
      .option('--no-base', 'make no backup where the log begins anew')
      .option('--drop', 'remove what the lane keeps on the server (a replication slot), and end'),
  ).action(async (name: string, options: LaneCommandOptions) => laneCommand(context, name, options))
}

async function laneCommand(context: Context, name: string, options: LaneCommandOptions): Promise<void> {
  const { out, signal } = context
  const app = await context.app()
  const job = app.job(name)
  const source = await laneSourceOf(app, job)
  if (options.drop === true) return drop(context, source)
  const openVault = opening(context, options)
  const openers = app.openers(openVault)
  const vaults = await Promise.all(job.vaults.map(async (vault) => openers.vault(vault, job)))
  const { runLane } = await import('../../operations/run-lane.ts')
  let told = ''
  await runLane(
    app.deps,
    { job, source, vaults, sealMs: parseDuration(options.seal), base: options.base !== false, openers },
    {
      signal,
      onWarning: ({ code, message }) => out.note(code === 'note' ? message : `warning: ${message}`),
      onState: (state) => {
        out.line({ message_type: 'status', job: name, ...state })
        const text = state.state === 'waiting' ? `waiting: ${state.problem}` : 'following the log'
        if (text !== told) out.note((told = text))
      },
    },
  )
  out.note('stopped')
}

export async function laneSourceOf(app: App, job: Job): Promise<LaneSource> {
  const source = await app.laneSource(job)
  if (source !== undefined) return source
  throw new AppError('usage.invalid', `the source of ${job.name} has no log that can be followed`, {
    hint: 'Of PostgreSQL it takes `method: physical`; of MariaDB `binlog: true`; of MongoDB `oplog: true`; SQLite needs nothing.',
  })
}

async function drop({ out, signal, options }: Context, source: LaneSource): Promise<void> {
  const dryRun = options.dryRun === true
  const removed = (await source.release?.({ signal, dryRun })) ?? []
  out.result({ removed, dry_run: dryRun }, () =>
    removed.length === 0
      ? 'there is nothing of ours on the server'
      : `${dryRun ? 'would remove' : 'removed'} ${removed.join(', ')}`,
  )
}
