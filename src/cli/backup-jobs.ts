/** The jobs that `backup` runs: configured ones, or one made of the paths of the command line. */
import { basename, resolve } from 'node:path'
import type { App } from '../app.ts'
import { AppError } from '../base/errors.ts'
import type { BackupType } from '../model/backup.ts'
import type { Job } from '../model/job.ts'

export interface BackupOptions {
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
  verify?: string
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
] as const

export function configuredJobs(app: App, words: string[], options: BackupOptions): Job[] {
  const jobs = namedJobs(app, options.job === undefined ? words : [...words, options.job])
  const ignored = AD_HOC.find((name) => options[name] !== undefined)
  if (ignored !== undefined)
    throw new AppError(
      'usage.invalid',
      `--${ignored.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} does not change a configured job`,
      { hint: 'Set it in the configuration, or name files and a vault: `holdfast backup FOLDER --to VAULT`.' },
    )
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

export function adHocJob(paths: string[], options: BackupOptions, target: string): Job {
  if (paths.length === 0)
    throw new AppError('usage.invalid', 'no file or folder was named', {
      hint: 'Write `holdfast backup FOLDER --to VAULT`.',
    })
  const absolute = paths.map((path) => resolve(path))
  const { exclude, include, excludeIfPresent, excludeLargerThan, oneFileSystem } = options
  return {
    name: options.job ?? (basename(absolute[0] as string) || 'root'),
    enabled: true,
    source: {
      type: 'files',
      paths: absolute,
      ...(exclude && { exclude }),
      ...(include && { include }),
      ...(excludeIfPresent && { excludeIfPresent }),
      ...(excludeLargerThan !== undefined && { excludeLargerThan }),
      ...(oneFileSystem !== undefined && { oneFileSystem }),
    },
    vaults: [target],
    type: options.type ?? (options.out === undefined ? 'auto' : 'full'),
    verify: { afterBackup: (options.verify ?? 'V0') as Job['verify']['afterBackup'], assert: [] },
    notify: [],
    hooks: { before: [], after: [], onFailure: [] },
    tags: options.tag ?? [],
  }
}
