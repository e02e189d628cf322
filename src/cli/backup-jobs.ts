/** The jobs that `backup` runs: configured ones, or one made of the paths of the command line. */
import { basename, resolve } from 'node:path'
import type { App } from '../app.ts'
import { AppError } from '../base/errors.ts'
import type { BackupType } from '../model/backup.ts'
import type { Job } from '../model/job.ts'
import type { Context } from './context.ts'
import { DATABASE_ONLY, sourceOf, type DatabaseOptions } from './database-options.ts'
import { s3dbSourceOf } from './s3db-options.ts'

export interface BackupOptions extends DatabaseOptions {
  to?: string
  out?: string
  vault?: string
  format?: 'repository' | 'archive'
  type?: BackupType | 'auto'
  job?: string
  tag?: string[]
  exclude?: string[]
  include?: string[]
  excludeIfPresent?: string[]
  excludeLargerThan?: string
  oneFileSystem?: boolean
  compression?: string
  encrypt?: boolean
  recipient?: string[]
  path?: string
  limitUpload?: number
  readBack?: boolean
  verify?: string
  stdinFromCommand?: boolean
  stdinFilename?: string
  passwordFile?: string
  passwordCommand?: string
}

/** What only a backup of paths takes: a job has it in the configuration, and the flag would be ignored. */
const AD_HOC = [
  'exclude',
  'include',
  'excludeIfPresent',
  'excludeLargerThan',
  'oneFileSystem',
  'compression',
  'path',
  'encrypt',
  'recipient',
  'format',
  'database',
  'excludeDatabase',
  'table',
  'excludeTable',
  'host',
  'stdinFromCommand',
  'stdinFilename',
  ...DATABASE_ONLY,
] as const

export function configuredJobs(app: App, words: string[], options: BackupOptions): Job[] {
  const jobs = namedJobs(app, options.job === undefined ? words : [...words, options.job])
  const ignored = AD_HOC.find((name) => options[name] !== undefined)
  if (ignored !== undefined)
    throw new AppError('usage.invalid', `${flagOf(ignored)} does not change a configured job`, {
      hint: 'Set it in the configuration, or name files and a vault: `holdfast backup FOLDER --to VAULT`.',
    })
  const afterBackup = options.verify as Job['verify']['afterBackup'] | undefined
  return afterBackup === undefined ? jobs : jobs.map((job) => ({ ...job, verify: { ...job.verify, afterBackup } }))
}

function namedJobs(app: App, names: string[]): Job[] {
  const jobs =
    names.length > 0
      ? names.map((name) => app.job(name))
      : Object.values(app.settings.jobs).filter(({ enabled }) => enabled)
  if (jobs.length > 0) return jobs
  throw new AppError('usage.invalid', 'no job is configured', {
    hint: 'Back up a folder with `holdfast backup FOLDER --to VAULT`, or configure jobs in holdfast.yaml.',
  })
}

export function adHocJob(context: Context, words: string[], options: BackupOptions, target: string): Job {
  return {
    ...adHocSource(context, words, options),
    enabled: true,
    vaults: [target],
    type: options.type ?? (options.out === undefined ? 'auto' : 'full'),
    verify: { afterBackup: (options.verify ?? 'V0') as Job['verify']['afterBackup'], assert: [] },
    notify: [],
    hooks: { before: [], after: [], onFailure: [] },
    tags: options.tag ?? [],
    labels: [],
  }
}

const FILES_ONLY = ['exclude', 'include', 'excludeIfPresent', 'excludeLargerThan', 'oneFileSystem'] as const
const flagOf = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

function adHocSource(context: Context, words: string[], options: BackupOptions): Pick<Job, 'name' | 'source'> {
  const refuse = (names: readonly (keyof BackupOptions)[], what: string): void => {
    const ignored = names.find((name) => options[name] !== undefined)
    if (ignored !== undefined) throw new AppError('usage.invalid', `${flagOf(ignored)} means nothing for ${what}`)
  }
  const choice = ['host', 'database', 'excludeDatabase', 'table', 'excludeTable'] as const
  if (options.stdinFromCommand === true) {
    refuse([...FILES_ONLY, ...DATABASE_ONLY, ...choice], 'the output of a program')
    const [program] = words
    if (program === undefined)
      throw new AppError('usage.invalid', 'no program was named', {
        hint: 'Write `holdfast backup --stdin-from-command --to VAULT -- PROGRAM ARGUMENTS`.',
      })
    const { stdinFilename: name } = options
    return {
      name: options.job ?? basename(program),
      source: { type: 'command', command: words, ...(name !== undefined && { name }) },
    }
  }
  if (options.stdinFilename !== undefined)
    throw new AppError('usage.invalid', '--stdin-filename goes with --stdin-from-command')
  if (options.db !== undefined) {
    refuse(FILES_ONLY, 'a database')
    const source = options.db === 's3db' ? s3dbSourceOf(context, options, words) : sourceOf(context, options, words)
    const first = 'databases' in source ? source.databases?.[0] : undefined
    const file = source.type === 'sqlite' ? source.files?.[0] : undefined
    return { name: options.job ?? (file === undefined ? (first ?? source.type) : basename(file)), source }
  }
  refuse([...DATABASE_ONLY, ...choice], 'files; say --db TYPE')
  return filesSource(words, options)
}

function filesSource(paths: string[], options: BackupOptions): Pick<Job, 'name' | 'source'> {
  if (paths.length === 0)
    throw new AppError('usage.invalid', 'no file or folder was named', {
      hint: 'Write `holdfast backup FOLDER --to VAULT`.',
    })
  const absolute = paths.map((path) => resolve(path))
  const { exclude, include, excludeIfPresent, excludeLargerThan, oneFileSystem } = options
  return {
    name: options.job ?? (basename(absolute[0] as string) || 'root'),
    source: {
      type: 'files',
      paths: absolute,
      ...(exclude && { exclude }),
      ...(include && { include }),
      ...(excludeIfPresent && { excludeIfPresent }),
      ...(excludeLargerThan !== undefined && { excludeLargerThan }),
      ...(oneFileSystem !== undefined && { oneFileSystem }),
    },
  }
}
