import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import type { Context } from '../context.ts'

interface TransferFlags {
  format?: string
  output?: string
  encrypt?: boolean
}

export function register(program: Command, context: Context): void {
  const config = program.command('config').description('look at the configuration; secrets are never shown')
  config
    .command('validate')
    .description('check it whole; every fault is named with file, line and key')
    .action(async () => {
      const { files, profile, settings, warnings } = await context.config()
      const counts = { jobs: Object.keys(settings.jobs).length, vaults: Object.keys(settings.vaults).length }
      context.out.result({ ok: true, files, profile: profile ?? null, ...counts, warnings }, () =>
        files.length === 0
          ? 'no configuration file was found; the defaults are fine'
          : `${files.join(', ')}: fine, ${counts.jobs} jobs, ${counts.vaults} vaults`,
      )
    })
  config
    .command('show')
    .description('what is in force')
    .option('--origin', 'with where each value comes from')
    .action(async ({ origin }: { origin?: boolean }) => {
      const loaded = await context.config()
      const { showConfig, shownTree, shownValues } = await import('../../config/show.ts')
      const text = await showConfig(loaded, { origin: origin === true })
      context.out.result(origin === true ? shownValues(loaded) : shownTree(loaded), () => text.trimEnd())
    })
  config
    .command('schema')
    .description('the JSON Schema, for editors')
    .action(async () => {
      const { configJsonSchema } = await import('../../config/json-schema.ts')
      process.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`)
    })
  transferFlags(
    config.command('export').description('the configuration in its normal form, without plain secrets'),
  ).action(async (flags: TransferFlags) => {
    const { exportConfig } = await import('../../config/transfer.ts')
    give(context, flags, await exportConfig(await context.config(), await transferOptions(context, flags)))
  })
  transferFlags(
    config.command('import').description('any accepted form, as the normal form').argument('<file>'),
  ).action(async (file: string, flags: TransferFlags) => {
    const { importConfig } = await import('../../config/transfer.ts')
    give(context, flags, await importConfig(file, context.env, await transferOptions(context, flags)))
  })
}

function transferFlags(command: Command): Command {
  return command
    .option('--format <format>', 'yaml, json or toml (default: yaml; json with --json)')
    .option('--output <file>', 'write to this file, which must not exist')
    .option('--encrypt', 'keep secrets, encrypted with HOLDFAST_SECRET_PASSPHRASE')
}

async function transferOptions(
  { env, options }: Context,
  { format = options.json === true ? 'json' : 'yaml', encrypt }: TransferFlags,
): Promise<{ format: 'yaml' | 'json' | 'toml'; encrypt?: { passphrase: string } | { keyFile: Uint8Array } }> {
  if (format !== 'yaml' && format !== 'json' && format !== 'toml')
    throw new AppError('usage.invalid', `--format ${format} is none of yaml, json, toml`)
  const { boxKey } = await import('../../config/references.ts')
  return { format, ...(encrypt === true && { encrypt: await boxKey({ env, base: process.cwd() }) }) }
}

function give(
  { out, options }: Context,
  { output }: TransferFlags,
  { text, placeholders }: { text: string; placeholders: { key: string; variable: string }[] },
): void {
  if (output === undefined) process.stdout.write(text)
  else if (options.dryRun === true) out.note(`would write ${output}`)
  else writeFileSync(output, text, { flag: 'wx', mode: 0o600 })
  for (const { key, variable } of placeholders) out.note(`${key} was a secret: set ${variable}`)
}
