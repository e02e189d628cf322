import type { Command } from 'commander'
import { displayPath } from '../../base/paths.ts'
import { formatSize } from '../../base/units.ts'
import type { Backup } from '../../model/backup.ts'
import type { Entry } from '../../model/entry.ts'
import type { Vault } from '../../model/vault.ts'
import type { Context } from '../context.ts'
import { modeText } from '../entry-text.ts'
import { entryJson } from '../entry-text.ts'
import { table } from '../output.ts'
import { findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface LsOptions extends VaultOptions {
  long?: boolean
  recursive: boolean
  tables?: boolean
}

export function register(program: Command, context: Context): void {
  withFilter(program.command('ls').description('list the files of a backup'))
    .argument('[backup]', 'id, latest, or ID:/sub/path', 'latest')
    .option('-l, --long', 'with mode, owner, size and time')
    .option('--no-recursive', 'only what is directly in the folder')
    .option('--tables', 'of a database: its tables, with rows and sizes')
    .action(async (reference: string, options: LsOptions) => {
      const { vault, backup, under } = await findBackup(context, reference, options)
      const { out, signal } = context
      out.line({ message_type: 'snapshot', id: backup.id, job: backup.job, time: backup.time, paths: backup.paths })
      if (options.tables === true) return listTables(context, vault, backup)
      const depth = under === undefined ? 1 : under.split('/').length + 1
      for await (const entry of vault.entries(backup.id, { signal, ...(under !== undefined && { under }) })) {
        if (!options.recursive && entry.path.split('/').length > depth) continue
        if (out.json) out.line({ message_type: 'node', ...entryJson(entry) })
        else process.stdout.write(`${options.long === true ? longLine(entry) : `/${displayPath(entry.path)}`}\n`)
      }
    })
}

async function listTables(context: Context, vault: Vault, backup: Backup): Promise<void> {
  const { out, signal } = context
  const app = await context.app()
  const found = await app.dumpedTables(vault, backup, { signal })
  for (const one of found) out.line({ message_type: 'table', ...one })
  if (out.json) return
  if (found.length === 0) out.note('its tables are not known before a server works on it')
  const rows = found.map(({ database, name, rows: count, bytes }) => [
    database,
    name,
    count === undefined ? '' : String(count),
    bytes === undefined ? '' : formatSize(bytes),
  ])
  if (found.length > 0) process.stdout.write(`${table(['DATABASE', 'TABLE', 'ROWS', 'SIZE'], rows, [2, 3])}\n`)
}

function longLine(entry: Entry): string {
  const owner = `${entry.user ?? entry.uid ?? '-'}/${entry.group ?? entry.gid ?? '-'}`
  const time = new Date(entry.mtime.s * 1000).toISOString().slice(0, 19).replace('T', ' ')
  const target = entry.linkTarget === undefined ? '' : ` -> ${displayPath(entry.linkTarget)}`
  const link = entry.hardlink === undefined ? '' : ` link to /${displayPath(entry.hardlink)}`
  return `${modeText(entry)} ${owner.padEnd(16)} ${String(entry.size).padStart(12)} ${time} /${displayPath(entry.path)}${target}${link}`
}
