import type { Command } from 'commander'
import type { App, VaultOpening } from '../../app.ts'
import { isAppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Vault } from '../../model/vault.ts'
import { LANE_LABEL } from '../../operations/segments.ts'
import type { Context } from '../context.ts'
import { compressionOf } from './backup.ts'
import { findBackup, openVaults, opening, withFilter, type VaultOptions } from '../vault-options.ts'

interface CopyOptions extends VaultOptions {
  to: string
  all?: boolean
  toPasswordFile?: string
  compression?: string
}

export function register(program: Command, context: Context): void {
  withFilter(program.command('copy').description('copy backups to another vault, whole and each by itself'))
    .argument('[backup...]', 'ids, or latest')
    .requiredOption('--to <vault>', 'where to; made on first use')
    .option('--all', 'every backup that the other vault does not have')
    .option('--to-password-file <file>', 'the password of the other vault, if it is another one')
    .option('--compression <type[:level]>', 'of the copies')
    .action(async (references: string[], options: CopyOptions) => copyCommand(context, references, options))
}

async function copyCommand(context: Context, references: string[], options: CopyOptions): Promise<void> {
  const app = await context.app()
  const { out, signal } = context
  const password = context.password({
    ...(options.toPasswordFile !== undefined ? { passwordFile: options.toPasswordFile } : options),
  })
  const dryRun = context.options.dryRun === true
  const target = await openTarget(app, options.to, dryRun, {
    ...(options.to in app.settings.vaults ? {} : opening(context, options)),
    ...(password && !(options.to in app.settings.vaults) && { password }),
    ...(options.compression !== undefined && { compression: compressionOf(options.compression) }),
  })
  const chosen =
    references.length > 0 && options.all !== true
      ? await Promise.all(references.map(async (reference) => findBackup(context, reference, options)))
      : []
  if (options.all === true || references.length === 0) {
    for (const vault of await openVaults(context, options)) {
      if (vault === target || vault.name === options.to) continue
      for (const backup of await vault.backups({ signal }))
        if (options.job === undefined || backup.job === options.job) chosen.push({ vault, backup })
    }
  }
  const logs = new Map<Vault, Set<string>>()
  for (const { vault, backup } of chosen)
    if (backup.labels?.[LANE_LABEL] !== undefined) logs.set(vault, (logs.get(vault) ?? new Set()).add(backup.job))
  if (options.all === true || references.length === 0)
    for (const vault of await openVaults(context, options)) {
      if (vault === target || vault.name === options.to) continue
      // A log that holds copies needs no backup.
      for (const job of await vault.lanes.jobs({ signal }))
        if (options.job === undefined || options.job === job) logs.set(vault, (logs.get(vault) ?? new Set()).add(job))
    }
  const { copy } = await import('../../operations/copy.ts')
  for (const { vault, backup } of chosen) {
    if (dryRun || target === undefined) {
      const to = target?.name ?? options.to
      out.line({ message_type: 'copy', backup_id: backup.id, to, dry_run: true })
      out.print(`would copy ${backup.id} to ${to}`)
      continue
    }
    const { run, result, error } = await copy(app.deps, vault, backup, target, { signal, withoutLog: true })
    out.settle()
    out.line({
      message_type: 'summary',
      run_id: run.id,
      backup_id: backup.id,
      copy_id: result?.copy?.id ?? null,
      status: run.status,
      skipped: result?.skipped ?? false,
    })
    if (error !== undefined) throw error
    if (result?.skipped === true) out.print(`${backup.id} is in ${target.name} already`)
    else if (result?.copy)
      out.print(
        `${out.paint('green', '✓')} ${backup.id} → ${target.name}  ${result.copy.id}, ${formatSize(result.copy.storedBytes)}`,
      )
  }
  for (const [vault, jobs] of logs) for (const job of jobs) await copyLog(context, vault, job, target)
}

async function copyLog(
  { out, signal, options }: Context,
  vault: Vault,
  job: string,
  target: Vault | undefined,
): Promise<void> {
  if (options.dryRun === true || target === undefined) {
    out.print(`would copy the log of ${job} that goes with it`)
    return
  }
  const { copyLane } = await import('../../operations/lane-copy.ts')
  const { segments, bytes } = await copyLane(vault, job, target, { signal })
  out.line({ message_type: 'log', job, segments, bytes })
  if (segments > 0)
    out.print(`${out.paint('green', '✓')} the log of ${job} → ${target.name}  ${segments} pieces, ${formatSize(bytes)}`)
}

/** Made on first use, but not by a dry run. */
async function openTarget(app: App, name: string, dryRun: boolean, how: VaultOpening): Promise<Vault | undefined> {
  try {
    return await app.vault(name, { ...how, create: !dryRun })
  } catch (error) {
    if (dryRun && isAppError(error, 'vault.not-found')) return undefined
    throw error
  }
}
