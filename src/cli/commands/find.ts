import type { Command } from 'commander'
import { displayPath } from '../../base/paths.ts'
import { formatSize } from '../../base/units.ts'
import { entryJson } from '../entry-text.ts'
import type { Context } from '../context.ts'
import { itemMatcher } from '../globs.ts'
import { openVaults, withFilter, type VaultOptions } from '../vault-options.ts'

export function register(program: Command, context: Context): void {
  withFilter(program.command('find').description('find files by name or pattern in all backups, oldest first'))
    .argument('<pattern...>', 'a path, a name or a glob')
    .option('--backup <id>', 'only in this backup')
    .option('--newest', 'only the newest backup that has each path')
    .action(async (patterns: string[], options: VaultOptions & { backup?: string; newest?: boolean }) =>
      find(context, patterns, options),
    )
}

async function find(
  context: Context,
  patterns: string[],
  options: VaultOptions & { backup?: string; newest?: boolean },
): Promise<void> {
  const { out, signal } = context
  const matchers = patterns.map((pattern) => itemMatcher(pattern))
  const seen = new Set<string>()
  let found = 0
  for (const vault of await openVaults(context, options)) {
    const backups = (await vault.backups({ signal })).filter(
      ({ id, job, host, tags }) =>
        (options.backup === undefined || id.startsWith(options.backup)) &&
        (options.job === undefined || job === options.job) &&
        (options.host === undefined || host === options.host) &&
        (options.tag === undefined || options.tag.every((tag) => tags.includes(tag))),
    )
    for (const backup of options.newest === true ? backups.toReversed() : backups) {
      let head = false
      for await (const entry of vault.entries(backup.id, {
        signal,
        want: ({ path }) => matchers.some((matches) => matches(path)),
      })) {
        if (options.newest === true && seen.has(entry.path)) continue
        if (options.newest === true) seen.add(entry.path)
        found += 1
        out.line({
          message_type: 'match',
          backup_id: backup.id,
          vault: vault.name,
          time: backup.time,
          ...entryJson(entry),
        })
        if (!head) out.print(`${out.paint('bold', backup.id)}  ${backup.time.toISOString()}  ${vault.name}`)
        head = true
        out.print(
          `  ${formatSize(entry.size).padStart(10)}  ${new Date(entry.mtime.s * 1000).toISOString().slice(0, 19)}  /${displayPath(entry.path)}`,
        )
      }
    }
  }
  if (found === 0) out.note('nothing was found')
}
