import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { CheckResult } from '../../model/vault.ts'
import type { Context } from '../context.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

interface CheckFlags extends VaultOptions {
  readData?: boolean
  readDataSubset?: string
}

export function register(program: Command, context: Context): void {
  withVault(program.command('check').description('look for damage in a vault, and for the backups that it touches'))
    .option('--read-data', 'read and hash every stored byte')
    .option('--read-data-subset <percent>', 'read this share of the objects, chosen at random: 10%')
    .action(async (options: CheckFlags) => check(context, options))
}

async function check(context: Context, options: CheckFlags): Promise<void> {
  const { out, signal } = context
  const share = options.readDataSubset === undefined ? undefined : shareOf(options.readDataSubset)
  const app = await context.app()
  const { recorded } = await import('../../operations/recorder.ts')
  const { checkLanes } = await import('../../operations/check-lanes.ts')
  const results: (CheckResult & { vault: string })[] = []
  for (const vault of await openVaults(context, { ...options, uncached: true })) {
    const { result, error } = await recorded(
      app.deps,
      { kind: 'check', job: '', vault: vault.name, signal },
      async (handle) => {
        handle.stage('check')
        const backups = await vault.check({
          signal: handle.signal,
          readData: options.readData === true || share !== undefined,
          ...(share !== undefined && { readDataShare: share }),
          onProgress: handle.onProgress,
        })
        const found = await checkLanes(vault, backups, { readData: options.readData === true, signal: handle.signal })
        handle.run.summary = { ok: found.ok, ...found.checked, damage: found.damage }
        return found
      },
    )
    if (error !== undefined) throw error
    if (result !== undefined) results.push({ vault: vault.name, ...result })
  }
  out.settle()
  out.result(results.length === 1 ? results[0] : results, () =>
    results.map((result) => text(context, result)).join('\n'),
  )
  if (results.some(({ ok }) => !ok)) context.exitCode = 4
}

function shareOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)%$/.exec(text)
  const share = Number(match?.[1]) / 100
  if (match === null || share <= 0 || share > 1)
    throw new AppError('usage.invalid', `--read-data-subset ${text} is no percentage such as 10%`)
  return share
}

function text({ out }: Context, { vault, ok, checked, damage, notes }: CheckResult & { vault: string }): string {
  const read = checked.bytes > 0 ? `, ${formatSize(checked.bytes)} read` : ''
  const lines = [
    `${ok ? out.paint('green', '✓') : out.paint('red', '✕')} ${vault}: ${checked.backups} backups, ${checked.objects} objects${read}${ok ? ', no damage found' : ''}`,
  ]
  for (const { key, problem, backups, paths, pathCount } of damage) {
    lines.push(
      `  ${out.paint('red', key)} ${problem}`,
      `    touches ${backups.length} backups: ${backups.slice(0, 5).join(', ')}${backups.length > 5 ? ', …' : ''}`,
    )
    if (pathCount > 0)
      lines.push(`    ${pathCount} files: ${paths.slice(0, 5).join(', ')}${pathCount > 5 ? ', …' : ''}`)
  }
  if (!ok)
    lines.push(
      '  A new full backup is whole again: `holdfast backup --type full`. What else still restores: `holdfast restore --partial`.',
    )
  return [...lines, ...notes.map((note) => `  note: ${note}`)].join('\n')
}
