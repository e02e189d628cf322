import type { Command } from 'commander'
import { displayPath } from '../../base/paths.ts'
import { formatSize } from '../../base/units.ts'
import type { Context } from '../context.ts'
import { findBackup, withFilter, type VaultOptions } from '../vault-options.ts'
import { AppError } from '../../base/errors.ts'

export function register(program: Command, context: Context): void {
  withFilter(
    program
      .command('diff')
      .description('what changed between two backups: + new, - gone, M content, U metadata, T type'),
  )
    .argument('<from>', 'the earlier backup')
    .argument('[to]', 'the later one', 'latest')
    .option('--metadata', 'also tell what changed in metadata only')
    .action(async (from: string, to: string, options: VaultOptions & { metadata?: boolean }) => {
      const { out, signal } = context
      const [a, b] = [await findBackup(context, from, options), await findBackup(context, to, options)]
      if (a.vault !== b.vault) throw new AppError('usage.invalid', 'the two backups lie in different vaults')
      const { diff } = await import('../../operations/diff.ts')
      const counts = { added: 0, removed: 0, changed: 0, metadata: 0, bytesAdded: 0, bytesRemoved: 0 }
      for await (const { path, modifier, before, after } of diff(a.vault, a.backup.id, b.backup.id, {
        signal,
        ...(b.under !== undefined && { under: b.under }),
      })) {
        if (modifier === '+') counts.added += 1
        else if (modifier === '-') counts.removed += 1
        else if (modifier === 'U') counts.metadata += 1
        else counts.changed += 1
        if (modifier !== 'U') {
          counts.bytesAdded += after?.size ?? 0
          counts.bytesRemoved += before?.size ?? 0
        }
        if (modifier === 'U' && options.metadata !== true) continue
        out.line({ message_type: 'change', path: `/${path}`, modifier })
        out.print(`${modifier}    /${displayPath(path)}`)
      }
      out.line({ message_type: 'statistics', source_snapshot: a.backup.id, target_snapshot: b.backup.id, ...counts })
      out.print(
        `${counts.added} new, ${counts.removed} gone, ${counts.changed} changed, ${counts.metadata} with other metadata; ${formatSize(counts.bytesAdded)} added, ${formatSize(counts.bytesRemoved)} removed`,
      )
    })
}
