/**
 * A job from variables alone, for a container without a configuration file: one source, one place, a schedule. The usual
 * names of each service; each also as `NAME_FILE`, a file that holds the value.
 */
import { readFileSync } from 'node:fs'
import { errno } from '../base/errors.ts'
import type { Env } from './environment.ts'
import type { Fault } from './faults.ts'
import { pathKey, type KeyPath, type Tree } from './key-path.ts'
import type { Layer } from './layers.ts'

const SOURCES = [
  'POSTGRES_HOST',
  'POSTGRES_URL',
  'MYSQL_HOST',
  'MYSQL_URL',
  'MONGODB_URL',
  'SQLITE_FILE',
  'BACKUP_PATHS',
]
const PLACES = ['S3_BUCKET', 'BACKUP_TARGET']
export const MODES = ['all', 'server', 'scheduler', 'worker', 'once'] as const

const VAULT = 'environment'

const given = (env: Env, name: string): boolean => Boolean(env[name]) || Boolean(env[`${name}_FILE`])

/** Whether these variables are meant for us: a mode is, and so are a source and a place together. */
export function hasEnvironmentJob(env: Env): boolean {
  if (env['HOLDFAST_MODE']) return true
  return SOURCES.some((name) => given(env, name)) && PLACES.some((name) => given(env, name))
}

/** The job as a layer of configuration, whose values know their variables, and what is wrong or missing. */
export function environmentJob(env: Env, base: string): { layer: Layer; faults: Fault[] } {
  const faults: Fault[] = []
  const names = new Map<string, string>()
  const tree: Tree = {}
  const fault = (key: string, message: string): void => void faults.push({ key, message })

  function put(path: KeyPath, name: string, value: unknown): void {
    let into = tree
    for (const part of path.slice(0, -1)) into = (into[part] ??= {}) as Tree
    into[path.at(-1) ?? ''] = value
    names.set(pathKey(path), name)
  }
  /** The text of a variable or of its file; undefined when neither is given. */
  function text(name: string): string | undefined {
    const file = env[`${name}_FILE`]
    if (env[name] && file) fault(`${name}_FILE`, `excludes ${name}: one of the two`)
    if (!file) return env[name] || undefined
    try {
      return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      fault(`${name}_FILE`, `the file ${file} cannot be read: ${errno(error) ?? 'failed'}`)
      return undefined
    }
  }
  /** Texts are referred to, not copied: what they hold is not looked into for references. */
  function plain(path: KeyPath, name: string): void {
    const value = text(name)
    if (value !== undefined) put(path, name, env[name] ? `\${env:${name}}` : value)
  }
  /** Read when it is needed, and never shown. */
  function secret(path: KeyPath, name: string): void {
    const file = env[`${name}_FILE`]
    if (env[name]) put(path, name, `\${env:${name}}`)
    else if (file && text(name) !== undefined)
      put([...path.slice(0, -1), `${String(path.at(-1))}File`], `${name}_FILE`, file)
  }
  function number(path: KeyPath, name: string, least: number): void {
    const value = text(name)
    if (value === undefined) return
    if (/^\d+$/.test(value) && Number(value) >= least) put(path, name, Number(value))
    else fault(name, `${JSON.stringify(value)} is no whole number from ${least} on`)
  }

  const job = jobName(env, text)
  const at = (...path: string[]): string[] => ['jobs', job, ...path]
  const found = SOURCES.map((name) => name.replace(/_(HOST|URL|FILE|PATHS)$/, '')).filter(
    (kind, n, all) =>
      all.indexOf(kind) === n && SOURCES.some((name) => name.startsWith(`${kind}_`) && given(env, name)),
  )
  if (found.length === 0) fault(SOURCES.join(', '), 'none of these says what to back up')
  if (found.length > 1)
    fault(found.join(', '), 'only one of these can be the source: make a configuration file for more')
  for (const [kind, type] of [
    ['POSTGRES', 'postgres'],
    ['MYSQL', 'mysql'],
  ] as const) {
    if (found[0] !== kind) continue
    put(at('source', 'type'), `${kind}_HOST`, type)
    plain(at('source', 'host'), `${kind}_HOST`)
    number(at('source', 'port'), `${kind}_PORT`, 1)
    plain(at('source', 'user'), `${kind}_USER`)
    secret(at('source', 'password'), `${kind}_PASSWORD`)
    secret(at('source', 'url'), `${kind}_URL`)
    const database = given(env, `${kind}_DB`) ? `${kind}_DB` : `${kind}_DATABASE`
    plain(at('source', 'database'), database)
    plain(at('source', 'tls'), `${kind}_TLS`)
    if (!given(env, `${kind}_URL`) && !given(env, `${kind}_USER`)) fault(`${kind}_USER`, 'is missing: who logs in')
  }
  if (found[0] === 'MONGODB') {
    put(at('source', 'type'), 'MONGODB_URL', 'mongodb')
    secret(at('source', 'url'), 'MONGODB_URL')
    plain(at('source', 'database'), 'MONGODB_DB')
  }
  if (found[0] === 'SQLITE') {
    put(at('source', 'type'), 'SQLITE_FILE', 'sqlite')
    // `_FILE` is a part of the name here.
    put(at('source', 'file'), 'SQLITE_FILE', '${env:SQLITE_FILE}')
  }
  if (found[0] === 'BACKUP') {
    put(at('source', 'type'), 'BACKUP_PATHS', 'files')
    put(at('source', 'paths'), 'BACKUP_PATHS', listOf(text('BACKUP_PATHS')))
    const exclude = listOf(text('BACKUP_EXCLUDE'))
    if (exclude.length > 0) put(at('source', 'exclude'), 'BACKUP_EXCLUDE', exclude)
  }

  const vault = (...path: string[]): string[] => ['vaults', VAULT, ...path]
  if (given(env, 'S3_BUCKET')) {
    if (given(env, 'BACKUP_TARGET')) fault('BACKUP_TARGET', 'excludes S3_BUCKET: one of the two')
    put(vault('storage', 'type'), 'S3_BUCKET', 's3')
    plain(vault('storage', 'bucket'), 'S3_BUCKET')
    plain(vault('storage', 'prefix'), 'S3_PREFIX')
    plain(vault('storage', 'region'), 'AWS_REGION')
    plain(vault('storage', 'endpoint'), 'AWS_S3_ENDPOINT')
    plain(vault('storage', 'storageClass'), 'S3_STORAGE_CLASS')
    secret(vault('storage', 'accessKeyId'), 'AWS_ACCESS_KEY_ID')
    secret(vault('storage', 'secretAccessKey'), 'AWS_SECRET_ACCESS_KEY')
    secret(vault('storage', 'sessionToken'), 'AWS_SESSION_TOKEN')
    for (const [one, other] of [
      ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
      ['AWS_SECRET_ACCESS_KEY', 'AWS_ACCESS_KEY_ID'],
    ] as const)
      if (given(env, one) && !given(env, other)) fault('S3_BUCKET', `${one} is given without ${other}`)
  } else if (given(env, 'BACKUP_TARGET')) plain(vault('storage'), 'BACKUP_TARGET')
  else fault(PLACES.join(', '), 'one of these has to say where backups go')

  const format = text('BACKUP_FORMAT') ?? 'archive'
  put(vault('format'), 'BACKUP_FORMAT', format)
  if (format === 'archive') put(vault('path'), 'BACKUP_PATH', text('BACKUP_PATH') ?? '{job}_{date}_{time}')
  plain(vault('compression'), 'BACKUP_COMPRESSION')
  if (given(env, 'BACKUP_ENCRYPTION_KEY')) {
    put(vault('encryption', 'type'), 'BACKUP_ENCRYPTION_KEY', 'aes-256-gcm')
    secret(vault('encryption', 'key'), 'BACKUP_ENCRYPTION_KEY')
  }
  secret(vault('password'), 'HOLDFAST_PASSWORD')

  put(at('vaults'), PLACES[0] as string, [VAULT])
  put(at('type'), 'BACKUP_TYPE', text('BACKUP_TYPE') ?? (found[0] === 'BACKUP' ? 'auto' : 'full'))
  if (given(env, 'BACKUP_SCHEDULE')) {
    plain(at('schedule', 'cron'), 'BACKUP_SCHEDULE')
    plain(at('schedule', 'timezone'), 'BACKUP_TIMEZONE')
  } else if (env['HOLDFAST_MODE'] && env['HOLDFAST_MODE'] !== 'once')
    fault('BACKUP_SCHEDULE', 'is missing: when backups are made, such as "0 3 * * *"; or set HOLDFAST_MODE to once')
  number(at('retention', 'days'), 'BACKUP_RETENTION_DAYS', 1)
  plain(at('verify', 'afterBackup'), 'BACKUP_VERIFY')
  plain(['log', 'level'], 'LOG_LEVEL')
  const mode = env['HOLDFAST_MODE']
  if (mode && !(MODES as readonly string[]).includes(mode))
    fault('HOLDFAST_MODE', `${JSON.stringify(mode)} is none of ${MODES.join(', ')}`)

  const layer: Layer = {
    tree,
    base,
    originOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const name = names.get(pathKey(path.slice(0, length)))
        if (name !== undefined) return { kind: 'env', name }
      }
      return { kind: 'env' }
    },
  }
  return { layer, faults }
}

/** After the database, so that the objects in the bucket say what they are. */
function jobName(env: Env, text: (name: string) => string | undefined): string {
  const named =
    text('BACKUP_NAME') ?? text('POSTGRES_DB') ?? text('MYSQL_DB') ?? text('MYSQL_DATABASE') ?? text('MONGODB_DB')
  const file = env['SQLITE_FILE']?.split('/').at(-1)
  const kind = given(env, 'POSTGRES_HOST') || given(env, 'POSTGRES_URL') ? 'postgres' : 'backup'
  return (named ?? file ?? kind).replaceAll(/[^\w.-]+/g, '-') || 'backup'
}

const listOf = (value: string | undefined): string[] =>
  (value ?? '')
    .split(/[,:\n]/)
    .map((item) => item.trim())
    .filter((item) => item !== '')
