/** A throw-away MariaDB from Debian, as an unprivileged user, on a random port of loopback, with TLS and a binary log. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TEST_CERTIFICATE, TEST_KEY } from '../support/localhost-certificate.ts'
import { freePort } from './processes.ts'

export const PASSWORD = 'maria-secret-4711'

/** Why MariaDB cannot be tested here, if it cannot. */
export const noMariadb: string | undefined =
  existsSync('/usr/sbin/mariadbd') && existsSync('/usr/bin/mariadb') ? undefined : 'MariaDB is not installed'

export interface MariadbServer {
  port: number
  /** A PEM file with the authority of its certificate. */
  ca: string
  /** Runs SQL as root by the vendor's own client, gives what it prints. */
  sql(database: string, text: string | Uint8Array): string
  stop(): Promise<void>
}

export async function startMariadb(): Promise<MariadbServer> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-mariadb-'))
  const [uid, gid] = process.getuid?.() === 0 ? [65_534, 65_534] : [undefined, undefined]
  const as = uid === undefined ? {} : { uid, gid }
  if (uid !== undefined) chownSync(folder, uid, gid ?? uid)
  chmodSync(folder, 0o755)
  const [key, ca] = [join(folder, 'key.pem'), join(folder, 'ca.pem')]
  writeFileSync(key, TEST_KEY)
  writeFileSync(ca, TEST_CERTIFICATE)
  const data = join(folder, 'data')
  const socket = join(folder, 's')
  const env = { PATH: process.env['PATH'], TMPDIR: folder, HOME: folder }
  const install = ['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db']
  execFileSync('mariadb-install-db', install, { ...as, env, cwd: folder, stdio: 'ignore' })
  const port = await freePort()
  const child = spawn(
    '/usr/sbin/mariadbd',
    [
      '--no-defaults',
      `--datadir=${data}`,
      `--socket=${socket}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--log-bin=bin',
      '--server-id=7',
      '--innodb-flush-log-at-trx-commit=0',
      `--ssl-key=${key}`,
      `--ssl-cert=${ca}`,
      '--plugin-load-add=auth_ed25519',
    ],
    { ...as, env, cwd: folder, stdio: 'ignore' },
  )
  const sql = (database: string, text: string | Uint8Array): string =>
    execFileSync(
      'mariadb',
      ['--no-defaults', `--socket=${socket}`, '--user=root', '--default-character-set=utf8mb4', '-N', '-B', database],
      { input: text, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 1e9 },
    ).trim()
  for (let tries = 0; ; tries += 1) {
    try {
      sql('mysql', 'select 1')
      break
    } catch (error) {
      if (tries > 100) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  sql(
    'mysql',
    `create user admin@'%' identified by '${PASSWORD}'; grant all on *.* to admin@'%' with grant option;
     create user keyed@'%' identified via ed25519 using password('${PASSWORD}'); grant all on *.* to keyed@'%';`,
  )
  return {
    port,
    ca,
    sql,
    async stop() {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
