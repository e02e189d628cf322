import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'
import { writeOut } from '../write-out.ts'
import { findBackup, withFilter, type VaultOptions } from '../vault-options.ts'

interface DumpOptions extends VaultOptions {
  format?: string
  output?: string
}

export function register(program: Command, context: Context): void {
  withFilter(program.command('dump').description('write a file of a backup, or a folder as tar or zip, to stdout'))
    .argument('<backup>', 'id, latest, or ID:/sub/path')
    .argument('[path]', 'the file or folder (default: everything)')
    .option('--format <format>', 'of folders: tar or zip', 'tar')
    .option('--output <file>', 'write to this file, not to stdout')
    .action(async (reference: string, path: string | undefined, options: DumpOptions) =>
      dump(context, path === undefined ? reference : `${reference}:${path}`, options),
    )
}

async function dump(context: Context, reference: string, options: DumpOptions): Promise<void> {
  const { signal } = context
  const { format } = options
  if (format !== 'tar' && format !== 'zip')
    throw new AppError('usage.invalid', `--format ${format} is neither tar nor zip`)
  const { vault, backup, under } = await findBackup(context, reference, options)
  if (options.output === undefined && process.stdout.isTTY && under === undefined) {
    throw new AppError('usage.invalid', 'an archive is not for a terminal', {
      hint: 'Redirect stdout, or say --output FILE.',
    })
  }
  const entries = vault.open(backup.id, { signal, ...(under !== undefined && { under }) })
  const only = under === undefined ? undefined : await kindOf(vault, backup.id, under)
  const stream = only === 'file' ? contentOf(entries, under as string) : (await context.app()).export(entries, format)
  await writeOut(stream, options.output, signal)
}

type OpenVault = Awaited<ReturnType<typeof findBackup>>['vault']

async function kindOf(vault: OpenVault, id: string, path: string): Promise<string> {
  for await (const entry of vault.entries(id, { under: path })) if (entry.path === path) return entry.kind
  throw new AppError('backup.not-found', `there is no /${path} in ${id}`, {
    hint: `See what is in it with \`holdfast ls ${id}\`.`,
  })
}

async function* contentOf(entries: ReturnType<OpenVault['open']>, path: string): AsyncGenerator<Uint8Array> {
  for await (const entry of entries) {
    if (entry.path !== path || entry.open === undefined) continue
    yield* entry.open()
    return
  }
}
