/** A throw-away PostgreSQL cluster from Debian, as an unprivileged user, on a random port of loopback. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { TEST_CERTIFICATE, TEST_KEY } from '../support/localhost-certificate.ts'
import { freePort } from './processes.ts'

const DEBIAN = '/usr/lib/postgresql/15/bin'
export const PASSWORD = 'pg-secret-4711'

/** Why PostgreSQL cannot be tested here, if it cannot. */
export const noPostgres: string | undefined = existsSync(join(DEBIAN, 'initdb'))
  ? undefined
  : 'PostgreSQL 15 is not installed'

/** Why PostgreSQL 18 cannot be tested here, if it cannot. */
export const noPostgres18: string | undefined =
  process.env['HOLDFAST_TEST_POSTGRES_18'] === undefined
    ? 'PostgreSQL 18 is not there (HOLDFAST_TEST_POSTGRES_18)'
    : undefined

/** Its programs, where the server's own user may run them: the cache may lie in a folder that is closed to others. */
export function programsOfPostgres18(into: string): string {
  // Libraries lie beside the package, three folders above its programs.
  const bin = process.env['HOLDFAST_TEST_POSTGRES_18'] ?? ''
  const root = join(bin, '../../..')
  cpSync(root, join(into, 'postgres-18'), { recursive: true })
  return join(into, 'postgres-18', relative(root, bin))
}

export interface PostgresServer {
  port: number
  /** A PEM file with the authority of its certificate. */
  ca: string
  /** Runs SQL as the superuser, gives what it prints. */
  sql(database: string, text: string): string
  /** Kills it, and starts it again: it recovers as after a power failure. */
  crash(): Promise<void>
  stop(): Promise<void>
}

export async function startPostgres(BIN = DEBIAN): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-postgres-'))
  const [uid, gid] = process.getuid?.() === 0 ? [65_534, 65_534] : [undefined, undefined]
  const as = uid === undefined ? {} : { uid, gid }
  if (uid !== undefined) chownSync(folder, uid, gid ?? uid)
  const password = join(folder, 'password')
  writeFileSync(password, PASSWORD)
  chmodSync(password, 0o644)
  const data = join(folder, 'data')
  const env = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' }
  const init = ['-D', data, '-U', 'admin', '-A', 'scram-sha-256', `--pwfile=${password}`, '-E', 'UTF8', '--no-sync']
  execFileSync(join(BIN, 'initdb'), init, { ...as, env, stdio: 'ignore' })
  const port = await freePort()
  const [key, ca] = [join(folder, 'key.pem'), join(folder, 'ca.pem')]
  writeFileSync(ca, TEST_CERTIFICATE)
  writeFileSync(key, TEST_KEY, { mode: 0o600 })
  if (uid !== undefined) chownSync(key, uid, gid ?? uid)
  const secure = ['ssl=on', `ssl_key_file=${key}`, `ssl_cert_file=${ca}`]
  // The wheel's server knows no TLS.
  const settings = ['listen_addresses=127.0.0.1', 'fsync=off', ...(BIN === DEBIAN ? secure : [])]
  const start = (): ChildProcess =>
    spawn(
      join(BIN, 'postgres'),
      ['-D', data, '-p', String(port), '-k', '', ...settings.flatMap((setting) => ['-c', setting])],
      { ...as, env, stdio: 'ignore' },
    )
  let child = start()
  const sql = (database: string, text: string): string =>
    execFileSync(join(BIN, 'psql'), ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', database], {
      input: text,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...env, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'admin', PGPASSWORD: PASSWORD },
    }).trim()
  const answering = async (): Promise<void> => {
    for (let tries = 0; ; tries += 1) {
      // Its backends may not have seen yet that their parent is gone.
      if (child.exitCode !== null) child = start()
      try {
        sql('postgres', 'select 1')
        return
      } catch (error) {
        if (tries > 100) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }
  await answering()
  return {
    port,
    ca,
    sql,
    async crash() {
      child.kill('SIGKILL')
      await once(child, 'exit')
      child = start()
      await answering()
    },
    async stop() {
      child.kill('SIGINT')
      if (child.exitCode === null) await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
