import type { Command } from 'commander'
import { displayPath } from '../../base/paths.ts'
import type { Entry } from '../../model/entry.ts'
import type { Context } from '../context.ts'
import { modeText } from '../entry-text.ts'
import { entryJson } from '../entry-text.ts'
import { findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  withFilter(program.command('ls').description('list the files of a backup'))
    .argument('[backup]', 'id, latest, or ID:/sub/path', 'latest')
    .option('-l, --long', 'with mode, owner, size and time')
    .option('--no-recursive', 'only what is directly in the folder')
    .action(async (reference: string, options: VaultOptions & { long?: boolean; recursive: boolean }) => {
      const { vault, backup, under } = await findBackup(context, reference, options)
      const { out, signal } = context
      out.line({ message_type: 'snapshot', id: backup.id, job: backup.job, time: backup.time, paths: backup.paths })
      const depth = under === undefined ? 1 : under.split('/').length + 1
      for await (const entry of vault.entries(backup.id, { signal, ...(under !== undefined && { under }) })) {
        if (!options.recursive && entry.path.split('/').length > depth) continue
        if (out.json) out.line({ message_type: 'node', ...entryJson(entry) })
        else process.stdout.write(`${options.long === true ? longLine(entry) : `/${displayPath(entry.path)}`}\n`)
      }
    })
}

function longLine(entry: Entry): string {
  const owner = `${entry.user ?? entry.uid ?? '-'}/${entry.group ?? entry.gid ?? '-'}`
  const time = new Date(entry.mtime.s * 1000).toISOString().slice(0, 19).replace('T', ' ')
  const target = entry.linkTarget === undefined ? '' : ` -> ${displayPath(entry.linkTarget)}`
  const link = entry.hardlink === undefined ? '' : ` link to /${displayPath(entry.hardlink)}`
  return `${modeText(entry)} ${owner.padEnd(16)} ${String(entry.size).padStart(12)} ${time} /${displayPath(entry.path)}${target}${link}`
}
