import { dirname } from 'node:path'
import type { Settings, StorageSettings } from '../model/settings.ts'
import { defaultDataDir, defaultSettings } from './defaults.ts'
import type { Env } from './environment.ts'
import { hasEnvironmentJob } from './environment-job.ts'
import { findConfig } from './find.ts'
import type { Tree } from './key-path.ts'
import type { Origin } from './layers.ts'

export interface LoadOptions {
  /** Of `--config`. */
  explicitPath?: string
  cwd: string
  env: Env
  /** Of `--profile`; else HOLDFAST_PROFILE. */
  profile?: string
  /** Settings given on the command line, by dotted key: `{ 'log.level': 'debug' }`. */
  flags?: Record<string, unknown>
  /** Turns the one-text form of a storage into settings. Paths in it are absolute already. */
  parseStorageUrl: (text: string) => StorageSettings
}

export interface LoadedConfig {
  settings: Settings
  /** The files that were read: the configuration, and the `.env` beside it. */
  files: string[]
  profile: string | undefined
  /** Where each value came from, by dotted key; what is absent is a default. */
  origins: ReadonlyMap<string, Origin>
  /** All layers merged, before references were followed: holds secrets as they were written. Never show it. */
  raw: Tree
  /** The normal form with defaults; secrets are `Secret` objects. Empty without any configuration. */
  normal: Tree
  /** The environment with `.env` beneath it. Apply it to process.env where a library looks there by itself. */
  env: Env
  /** What is allowed and not advisable. */
  warnings: string[]
}

/**
 * Finds, reads, merges and checks the configuration. Rejects with one `config.invalid` that names all faults.
 * Without a file and without overrides nothing is parsed and no parser is loaded.
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { cwd, env } = options
  const file = await findConfig(cwd, env, options.explicitPath)
  const overridden = Object.keys(env).some((name) => name.startsWith('HOLDFAST_') && name.includes('__'))
  const flagged = Object.values(options.flags ?? {}).some((value) => value !== undefined)
  const profile = options.profile ?? (env['HOLDFAST_PROFILE'] || undefined)
  const alone = file === undefined && hasEnvironmentJob(env)
  if (file === undefined && !alone && !overridden && !flagged && profile === undefined) {
    const settings = defaultSettings(env)
    return { settings, files: [], profile, origins: new Map(), raw: {}, normal: {}, env, warnings: [] }
  }
  const { assemble } = await import('./assemble.ts')
  const base = file === undefined ? cwd : dirname(file)
  return assemble({ ...options, file, profile, base, dataDir: file === undefined ? defaultDataDir(env) : undefined })
}
