import type { Command } from 'commander'
import { formatSize } from '../../base/units.ts'
import type { CheckResult } from '../../model/vault.ts'
import { shareRead, type CheckFlags } from '../check-flags.ts'
import type { Context } from '../context.ts'
import { openVaults, withVault, type VaultOptions } from '../vault-options.ts'

interface Flags extends VaultOptions, CheckFlags {}

export function register(program: Command, context: Context): void {
  withVault(program.command('check').description('look for damage in a vault, and for the backups that it touches'))
    .option('--read-data', 'read and hash every stored byte')
    .option('--read-data-subset <percent>', 'read this share of the objects, chosen at random: 10%')
    .action(async (options: Flags) => check(context, options))
}

async function check(context: Context, options: Flags): Promise<void> {
  const { out, signal } = context
  const readData = shareRead(options)
  const app = await context.app()
  const { check: checkVault } = await import('../../operations/check.ts')
  const results: (CheckResult & { vault: string })[] = []
  const hints = new Map<string, string>()
  for (const vault of await openVaults(context, { ...options, uncached: true })) {
    const { result, error } = await checkVault(app.deps, vault, { readData, signal })
    // What is damaged is told with all the rest.
    if (error !== undefined && (result === undefined || result.ok)) throw error
    if (error !== undefined) hints.set(vault.name, error.hint)
    if (result !== undefined) results.push({ vault: vault.name, ...result })
  }
  out.settle()
  out.result(results.length === 1 ? results[0] : results, () =>
    results.map((result) => text(context, result, hints.get(result.vault))).join('\n'),
  )
  if (results.some(({ ok }) => !ok)) context.exitCode = 4
}

function text(
  { out }: Context,
  { vault, ok, checked, damage, notes }: CheckResult & { vault: string },
  hint: string | undefined,
): string {
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
  if (hint !== undefined) lines.push(`  ${hint}`)
  return [...lines, ...notes.map((note) => `  note: ${note}`)].join('\n')
}
