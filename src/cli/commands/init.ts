import { existsSync, writeFileSync } from 'node:fs'
import { stdin, stderr } from 'node:process'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { compressionOf } from './backup.ts'
import type { Context } from '../context.ts'
import { collect, opening, withPassword } from '../vault-options.ts'

interface InitOptions {
  format: string
  source?: string[]
  compression?: string
  recipient?: string[]
  path?: string
  output: string
  copyChunkerParams?: string
  fromPasswordFile?: string
  passwordFile?: string
  passwordCommand?: string
}

export function register(program: Command, context: Context): void {
  const command = program
    .command('init')
    .description('make a vault, and a first configuration for it')
    .argument('[vault]', 'a configured vault, a path or a URL; asked for on a terminal')
    .option('--source <path>', 'write a configuration with a job for this (repeatable)', collect)
    .option('--output <file>', 'the configuration to write, with --source', 'holdfast.yaml')
    .option('--format <format>', 'archive, or repository (deduplicated, as restic has it)', 'archive')
    .option(
      '--copy-chunker-params <vault>',
      'of a repository: cut content as this one does, so that copies between the two share what is equal',
    )
    .option('--from-password-file <file>', 'the password of that one, if it is another')
    .option('--compression <type[:level]>', 'none, gzip, deflate, brotli, zstd or zip')
    .option('--recipient <age1...>', 'encrypt for this age recipient (repeatable)', collect)
    .option('--path <template>', 'object names, such as {job}/{date}_{time}_{type}')
  withPassword(command).action(async (vault: string | undefined, options: InitOptions) => init(context, vault, options))
}

async function init(context: Context, given: string | undefined, options: InitOptions): Promise<void> {
  const { format } = options
  if (format !== 'archive' && format !== 'repository')
    throw new AppError('usage.invalid', `--format ${format} is neither archive nor repository`)
  const answers = given === undefined ? await ask() : { vault: given, sources: options.source }
  const { vault: place, sources } = answers
  const app = await context.app()
  if (sources !== undefined && existsSync(options.output))
    throw new AppError('usage.invalid', `${options.output} exists already`, {
      hint: 'Name another file with --output.',
    })
  if (context.options.dryRun === true) {
    context.out.result({ vault: place, applied: false }, () => `would make a vault at ${place}`)
    return
  }
  await refuseExisting(context, place)
  const chunker = await chunkerOf(context, options)
  const vault = await app.vault(place, {
    create: true,
    format,
    ...(chunker !== undefined && { chunker }),
    ...opening(context, options),
    ...(options.compression !== undefined && { compression: compressionOf(options.compression) }),
    ...(options.recipient && { encryption: { type: 'age' as const, recipients: options.recipient } }),
    ...(options.path !== undefined && { path: options.path }),
  })
  const encrypted =
    format === 'repository' || context.password(options) !== undefined || options.recipient !== undefined
  if (sources !== undefined)
    writeFileSync(options.output, configuration(vault.storage.name, sources, encrypted, options), {
      flag: 'wx',
      mode: 0o600,
    })
  const next = sources === undefined ? `holdfast backup FOLDER --to ${place}` : 'holdfast backup'
  context.out.result(
    {
      vault: vault.name,
      storage: vault.storage.name,
      encrypted,
      ...(sources && { config: options.output }),
      applied: true,
    },
    () =>
      [
        `made a vault at ${vault.storage.name}${encrypted ? ', encrypted: without the password it cannot be restored, so keep a copy of it elsewhere' : ', not encrypted'}`,
        ...(sources === undefined ? [] : [`wrote ${options.output}`]),
        `next: ${next}`,
      ].join('\n'),
  )
}

async function chunkerOf(context: Context, options: InitOptions): Promise<bigint | undefined> {
  const { copyChunkerParams: name, format, fromPasswordFile } = options
  if (name === undefined) return undefined
  if (format !== 'repository')
    throw new AppError('usage.invalid', '--copy-chunker-params is for repositories', {
      hint: 'Add --format repository.',
    })
  const app = await context.app()
  const password = fromPasswordFile === undefined ? options : { passwordFile: fromPasswordFile }
  const { chunker } = await app.vault(name, opening(context, password))
  if (chunker === undefined) throw new AppError('usage.invalid', `${name} is no repository`)
  return chunker
}

async function refuseExisting(context: Context, place: string): Promise<void> {
  const app = await context.app()
  const { isAppError } = await import('../../base/errors.ts')
  const { createApp } = await import('../../app.ts')
  await using looking = createApp(app.settings)
  try {
    await looking.vault(place)
  } catch (error) {
    if (isAppError(error, 'vault.not-found')) return
    throw error
  }
  throw new AppError('vault.exists', `there is a vault at ${place} already`)
}

/** The guided form, on a terminal. */
async function ask(): Promise<{ vault: string; sources?: string[] }> {
  if (!stdin.isTTY)
    throw new AppError('usage.invalid', 'say where the vault is to be', { hint: 'Write `holdfast init PATH-or-URL`.' })
  const lines = createInterface({ input: stdin, output: stderr })
  try {
    const vault = (await lines.question('Where do backups go? A folder, or s3://bucket/prefix: ')).trim()
    if (vault === '') throw new AppError('usage.invalid', 'no place was given')
    const source = (await lines.question('What is to be backed up? A folder (empty: decide later): ')).trim()
    return { vault, ...(source !== '' && { sources: [source] }) }
  } finally {
    lines.close()
  }
}

function configuration(
  storage: string,
  sources: readonly string[],
  encrypted: boolean,
  { recipient, format }: InitOptions,
): string {
  const secret =
    recipient !== undefined
      ? `    encryption: { type: age, recipients: ${JSON.stringify(recipient)} }\n`
      : encrypted
        ? '    password: ${env:HOLDFAST_PASSWORD}\n'
        : ''
  return `version: 1
vaults:
  main:
    storage: ${JSON.stringify(storage)}
    format: ${format}
${secret}jobs:
  files:
    source:
      type: files
      paths: ${JSON.stringify(sources)}
    vaults: [main]
    type: auto
    fullEvery: 30d
    retention: { last: 3, daily: 7, weekly: 4, monthly: 12 }
    verify: { afterBackup: V1 }
`
}
