/** Options that narrow or open vaults, and how a backup is named on the command line. */
import { Option, type Command } from 'commander'
import type { App, VaultOpening } from '../app.ts'
import { AppError } from '../base/errors.ts'
import type { Backup } from '../model/backup.ts'
import type { Vault } from '../model/vault.ts'
import type { Context, PasswordOptions } from './context.ts'

export interface VaultOptions extends PasswordOptions {
  vault?: string
  job?: string
  tag?: string[]
  host?: string
  /** Set by commands that look whether what is stored is right: copies on this machine prove nothing. */
  uncached?: boolean
}

export const collect = (value: string, before: string[] = []): string[] => [...before, value]

export function withPassword(command: Command): Command {
  return command
    .option(
      '--password-file <file>',
      'read the password from this file (also HOLDFAST_PASSWORD, HOLDFAST_PASSWORD_FILE)',
    )
    .option('--password-command <command>', 'run this program for the password')
}

export function withVault(command: Command): Command {
  command.addOption(new Option('--vault <name>', 'a configured vault, a path or a URL').env('HOLDFAST_VAULT'))
  return withPassword(command.option('--job <name>', 'only backups of this job'))
}

export function withFilter(command: Command): Command {
  return withVault(command)
    .option('--tag <tag>', 'only backups with this tag (repeat: with all of them)', collect)
    .option('--host <name>', 'only backups of this host')
}

/** Overrides that the command line's password makes. */
export function opening(context: Context, options: PasswordOptions): VaultOpening {
  const password = context.password(options)
  if (password !== undefined) return { password }
  const askPassword = context.askPassword('Password of the vault')
  return askPassword === undefined ? {} : { askPassword }
}

/** The vault that was named, else all that are configured. */
export async function openVaults(context: Context, options: VaultOptions): Promise<Vault[]> {
  const app = await context.app()
  const names = vaultNames(app, options)
  const how = { ...opening(context, options), ...(options.uncached === true && { uncached: true }) }
  return Promise.all(names.map(async (name) => app.vault(name, how)))
}

export async function openVault(context: Context, options: VaultOptions): Promise<Vault> {
  const app = await context.app()
  const names = vaultNames(app, options)
  if (names.length > 1) {
    throw new AppError('usage.invalid', 'there are several vaults', {
      hint: `Name one with --vault: ${names.join(', ')}.`,
    })
  }
  return app.vault(names[0] as string, opening(context, options))
}

function vaultNames(app: App, { vault, job }: VaultOptions): string[] {
  if (vault !== undefined) return [vault]
  const ofJob = job === undefined ? undefined : app.settings.jobs[job]?.vaults
  const names = ofJob ?? Object.keys(app.settings.vaults)
  if (names.length > 0) return names
  throw new AppError('usage.invalid', 'no vault is configured', { hint: 'Name one with --vault PATH or URL.' })
}

export interface Found {
  vault: Vault
  backup: Backup
  /** Of `BACKUP:/sub/path`: the entry path. */
  under?: string
}

/** `ID`, its beginning, `latest`, or one of these with `:/sub/path`. Over several vaults: the newest that matches. */
export async function findBackup(context: Context, reference: string, options: VaultOptions): Promise<Found> {
  const colon = reference.indexOf(':')
  const [id, path] = colon < 0 ? [reference, undefined] : [reference.slice(0, colon), reference.slice(colon + 1)]
  const under = path?.replaceAll(/\/+/g, '/').replace(/^\//, '').replace(/\/$/, '')
  const matches: Found[] = []
  let failure: unknown
  for (const vault of await openVaults(context, options)) {
    try {
      for (const backup of await vault.backups({ signal: context.signal })) {
        if (fits(backup, id, options)) matches.push({ vault, backup, ...(under && { under }) })
      }
    } catch (error) {
      // Another vault may have it.
      failure ??= error
    }
  }
  const exact = matches.filter(({ backup }) => backup.id === id)
  const found = exact.length > 0 ? exact : matches
  if (id === 'latest' || exact.length > 0) {
    const newest = found.sort((a, b) => a.backup.time.getTime() - b.backup.time.getTime()).at(-1)
    if (newest !== undefined) return newest
  } else if (new Set(found.map(({ backup }) => backup.id)).size === 1) return found[0] as Found
  if (failure !== undefined) throw failure
  throw new AppError(
    'backup.not-found',
    found.length > 1 ? `${found.length} backups match ${id}` : `there is no backup ${id}`,
  )
}

function fits(backup: Backup, id: string, { job, tag, host }: VaultOptions): boolean {
  if (job !== undefined && backup.job !== job) return false
  if (host !== undefined && backup.host !== host) return false
  if (tag !== undefined && !tag.every((wanted) => backup.tags.includes(wanted))) return false
  return id === 'latest' || backup.id === id || backup.id.startsWith(id) || backup.id.endsWith(`-${id}`)
}
