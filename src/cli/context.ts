/** What every command gets: its options, its output, the settings and the app, each made when first wanted. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createApp, type App } from '../app.ts'
import { AppError, toAppError } from '../base/errors.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Secret } from '../model/settings.ts'
import { lazySecret, literalSecret } from '../model/secret.ts'
import { createOutput, type Output } from './output.ts'

export interface GlobalOptions {
  config?: string
  profile?: string
  json?: boolean
  verbose?: boolean
  quiet?: boolean
  dryRun?: boolean
  server?: string
  token?: string
}

export interface PasswordOptions {
  passwordFile?: string
  passwordCommand?: string
  /** Leave the environment out: it holds the password of the vault. */
  noEnvironment?: true
}

export interface Context {
  readonly options: GlobalOptions
  readonly out: Output
  readonly signal: AbortSignal
  readonly env: NodeJS.ProcessEnv
  config(): Promise<LoadedConfig>
  app(): Promise<App>
  /** The password that the command line or the environment gives, if any. */
  password(options: PasswordOptions): Secret | undefined
  /** Asks on the terminal, where there is one. */
  askPassword(question: string, options?: { twice?: boolean }): Secret | undefined
  /** What the process will end with, unless an error says else; the highest wins. */
  exitCode: number
  close(): Promise<void>
}

export function createContext(options: GlobalOptions, signal: AbortSignal): Context {
  const { env } = process
  const { json = false, quiet = false, verbose = false } = options
  const out = createOutput({ json, quiet, verbose, stdout: process.stdout, stderr: process.stderr, env })
  let config: Promise<LoadedConfig> | undefined
  let app: Promise<App> | undefined

  async function load(): Promise<LoadedConfig> {
    const [{ loadConfig }, { parseStorageUrl }] = await Promise.all([import('../config/load.ts'), import('../app.ts')])
    const { config: explicitPath, profile } = options
    const loaded = await loadConfig({
      cwd: process.cwd(),
      env,
      parseStorageUrl,
      ...(explicitPath !== undefined && { explicitPath }),
      ...(profile !== undefined && { profile }),
    })
    for (const warning of loaded.warnings) out.note(`warning: ${warning}`)
    // Libraries that look at the environment by themselves see what `.env` says too.
    for (const [name, value] of Object.entries(loaded.env)) process.env[name] ??= value
    return loaded
  }

  const context: Context = {
    options,
    out,
    signal,
    env,
    exitCode: 0,
    config: async () => (config ??= load()),
    app: async () =>
      (app ??= (async () => {
        const { settings } = await context.config()
        const made = createApp(settings, {
          onEvent: (run, event) => out.onEvent(run, event),
          onProblem: (message) => out.note(`warning: ${message}`),
        })
        // What the page made is there for the command line too; a catalogue that cannot be read is no reason to stop.
        const { catalogue, dataDir } = settings.server
        if (catalogue === 'sqlite' && existsSync(join(dataDir, 'catalogue.db')))
          await made.refresh().catch((error: unknown) => out.note(`warning: ${toAppError(error).message}`))
        return made
      })()),
    password({ passwordFile, passwordCommand, noEnvironment }) {
      if (passwordFile !== undefined) return fromFile(passwordFile)
      if (passwordCommand !== undefined) return fromCommand(passwordCommand)
      if (noEnvironment === true) return undefined
      const { HOLDFAST_PASSWORD: text, HOLDFAST_PASSWORD_FILE: file, HOLDFAST_PASSWORD_COMMAND: command } = env
      if (text) return literalSecret(text, 'HOLDFAST_PASSWORD')
      if (file) return fromFile(file)
      return command ? fromCommand(command) : undefined
    },
    askPassword(question, { twice = false } = {}) {
      if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
      return lazySecret('the terminal', async () => {
        const { promptHidden } = await import('./prompt.ts')
        const password = await promptHidden(`${question}: `)
        if (twice && (await promptHidden('Once more: ')) !== password) {
          throw new AppError('usage.invalid', 'the two passwords differ')
        }
        return password
      })
    },
    async close() {
      out.settle()
      if (app !== undefined) await (await app.catch(() => undefined))?.close()
    },
  }
  return context
}

function fromFile(path: string): Secret {
  return lazySecret(`file ${path}`, async () => {
    const { readFile } = await import('node:fs/promises')
    try {
      return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    } catch (error) {
      throw new AppError('config.secret', `cannot read the password file ${path}`, { cause: error })
    }
  })
}

function fromCommand(line: string): Secret {
  return lazySecret(`command ${line.split(' ')[0] ?? ''}`, async () => {
    const { follow } = await import('../config/references.ts')
    return follow(`\${cmd:${line}}`, { env: process.env, base: process.cwd() })
  })
}
