import { join } from 'node:path'
import { homeFolder } from '../base/user.ts'
import { SERVER_DEFAULTS, type Settings } from '../model/settings.ts'
import type { Env } from './environment.ts'

/** Where data lies when no configuration file says so. */
export function defaultDataDir(env: Env): string {
  const home = homeFolder(env)
  if (env['XDG_DATA_HOME']) return join(env['XDG_DATA_HOME'], 'holdfast')
  // A user without a home, as in a container.
  return home === '/' ? '/var/lib/holdfast' : join(home, '.local', 'share', 'holdfast')
}

/**
 * The settings of no configuration at all. Stated apart from the schema, so that a command that needs no
 * configuration does not load it; a test holds the two together.
 */
export function defaultSettings(env: Env): Settings {
  const dataDir = defaultDataDir(env)
  return {
    vaults: {},
    jobs: {},
    notify: {},
    server: { ...SERVER_DEFAULTS, dataDir },
    update: { notice: true },
    log: { level: 'info', file: defaultLogFile(dataDir), maxSize: '20m', maxFiles: 14, maxAge: '30d' },
  }
}

export const defaultLogFile = (dataDir: string): string => join(dataDir, 'logs', 'holdfast.log')
