/** All commands, in the order of the help. Each lives in a file of its name, which is loaded when it is asked for. */
import type { Command } from 'commander'
import type { Context } from './context.ts'

export interface CommandModule {
  register(program: Command, context: Context): void
}

export interface CommandEntry {
  name: string
  aliases?: string[]
  load(): Promise<CommandModule>
}

export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', load: () => import('./commands/init.ts') },
  { name: 'connect', load: () => import('./commands/connect.ts') },
  { name: 'backup', load: () => import('./commands/backup.ts') },
  { name: 'lane', load: () => import('./commands/lane.ts') },
  { name: 'timeline', load: () => import('./commands/timeline.ts') },
  { name: 'list', aliases: ['snapshots', 'list-backups'], load: () => import('./commands/list.ts') },
  { name: 'restore', load: () => import('./commands/restore.ts') },
  { name: 'thaw', load: () => import('./commands/thaw.ts') },
  { name: 'verify', load: () => import('./commands/verify.ts') },
  { name: 'prune', aliases: ['prune-backups', 'forget'], load: () => import('./commands/prune.ts') },
  { name: 'check', load: () => import('./commands/check.ts') },
  { name: 'repair', load: () => import('./commands/repair.ts') },
  { name: 'ls', load: () => import('./commands/ls.ts') },
  { name: 'find', load: () => import('./commands/find.ts') },
  { name: 'diff', load: () => import('./commands/diff.ts') },
  { name: 'dump', load: () => import('./commands/dump.ts') },
  { name: 'copy', load: () => import('./commands/copy.ts') },
  { name: 'stats', load: () => import('./commands/stats.ts') },
  { name: 's3db', load: () => import('./commands/s3db.ts') },
  { name: 'tag', load: () => import('./commands/tag.ts') },
  { name: 'key', load: () => import('./commands/key.ts') },
  { name: 'unlock', load: () => import('./commands/unlock.ts') },
  { name: 'job', load: () => import('./commands/job.ts') },
  { name: 'run', load: () => import('./commands/run.ts') },
  { name: 'report', load: () => import('./commands/report.ts') },
  { name: 'config', load: () => import('./commands/config.ts') },
  { name: 'secret', load: () => import('./commands/secret.ts') },
  { name: 'notify', load: () => import('./commands/notify.ts') },
  { name: 'doctor', load: () => import('./commands/doctor.ts') },
  { name: 'alert', load: () => import('./commands/alert.ts') },
  { name: 'schedule', load: () => import('./commands/schedule.ts') },
  { name: 'server', aliases: ['scheduler', 'worker'], load: () => import('./commands/server.ts') },
  { name: 'user', load: () => import('./commands/user.ts') },
  { name: 'token', load: () => import('./commands/token.ts') },
  { name: 'audit', load: () => import('./commands/audit.ts') },
  { name: 'update', load: () => import('./commands/update.ts') },
  { name: 'completion', load: () => import('./commands/completion.ts') },
]

export const commandNamed = (name: string): CommandEntry | undefined =>
  COMMANDS.find((entry) => entry.name === name || entry.aliases?.includes(name) === true)
