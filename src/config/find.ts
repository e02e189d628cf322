import { access, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { AppError, errno } from '../base/errors.ts'
import { homeFolder } from '../base/user.ts'
import type { Env } from './environment.ts'

const NAMES = ['holdfast.yaml', 'holdfast.yml', 'holdfast.json', 'holdfast.toml']

/** The configuration file: as asked for, else the first that is found in the usual places. */
export async function findConfig(cwd: string, env: Env, explicitPath?: string): Promise<string | undefined> {
  const asked = explicitPath ?? (env['HOLDFAST_CONFIG'] || undefined)
  if (asked !== undefined) {
    const path = resolve(cwd, asked)
    if (await exists(path)) return path
    throw new AppError('config.not-found', `there is no configuration file ${path}`)
  }
  for (const folder of configFolders(cwd, env)) {
    for (const name of NAMES) if (await exists(join(folder, name))) return join(folder, name)
  }
  return undefined
}

export function configFolders(cwd: string, env: Env): string[] {
  const home = homeFolder(env)
  return [cwd, join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'holdfast'), '/etc/holdfast']
}

export async function readConfigFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new AppError('config.not-found', `cannot read the configuration file ${path}: ${errno(error) ?? 'failed'}`, {
      cause: error,
    })
  }
}

export interface DotEnv {
  file: string
  values: Record<string, string>
  lineOf(name: string): number | undefined
}

/** The `.env` beside a configuration file. */
export async function readDotEnv(configFile: string): Promise<DotEnv | undefined> {
  const file = join(dirname(configFile), '.env')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'ENOTDIR'].includes(errno(error) ?? '')) return undefined
    throw new AppError('config.invalid', `cannot read ${file}: ${errno(error) ?? 'failed'}`, { cause: error })
  }
  const values = Object.fromEntries(
    Object.entries(parseEnv(text)).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const lines = text.split('\n')
  const lineOf = (name: string) => {
    const index = lines.findLastIndex(
      (line) =>
        line
          .trim()
          .replace(/^export\s+/, '')
          .split('=')[0]
          ?.trim() === name,
    )
    return index < 0 ? undefined : index + 1
  }
  return { file, values, lineOf }
}

/** Whether others on this machine may read the file. */
export async function isReadableByOthers(path: string): Promise<boolean> {
  return ((await stat(path)).mode & 0o004) !== 0
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    // One that is there and may not be read is found, and fails with the reason when it is read.
    return errno(error) === 'EACCES'
  }
}
