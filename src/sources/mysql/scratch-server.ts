/** A MariaDB server of our own, for as long as a proof takes: in a folder, over a socket in it, as a user without rights. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { findProgram } from '../../base/program.ts'
import { refuseClosed, scratchUser } from '../scratch-user.ts'
import { connect, type Server } from './server.ts'

export interface ScratchServer extends AsyncDisposable {
  socket: string
}

const FOLDERS = ['/usr/sbin', '/usr/bin', '/usr/libexec', '/usr/local/sbin', '/usr/local/bin', '/usr/local/mysql/bin']
const START_MS = 60_000

/** Undefined where no server is installed. */
export async function startScratchServer(
  folder: string,
  options: { signal?: AbortSignal } = {},
): Promise<ScratchServer | undefined> {
  const server = findProgram('mariadbd', FOLDERS) ?? findProgram('mysqld', FOLDERS)
  const install = findProgram('mariadb-install-db', FOLDERS) ?? findProgram('mysql_install_db', FOLDERS)
  if (server === undefined || install === undefined) return undefined
  const user = scratchUser()
  const base = join(folder, 'mariadb')
  mkdirSync(base, { mode: 0o700 })
  if (user !== undefined) chownSync(base, user.uid, user.gid)
  refuseClosed(folder, user)
  const data = join(base, 'data')
  const socket = join(base, 's')
  // TMPDIR of this process may not be the other user's.
  const env = {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
    LC_ALL: 'C',
    TMPDIR: base,
    HOME: base,
  }
  const start = (program: string, args: string[]) => {
    const child = spawn(program, args, { env, cwd: base, stdio: ['ignore', 'pipe', 'pipe'], ...user })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4000)))
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    failed.catch(() => {})
    return { child, failed, said: () => said.trim().split('\n').slice(-3).join(' | ') }
  }
  const made = start(install, [
    '--no-defaults',
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
    '--innodb-log-file-size=16M',
  ])
  const [code] = (await Promise.race([once(made.child, 'exit'), made.failed])) as [number | null]
  if (code !== 0) throw new AppError('target.unreachable', `a scratch server could not be made: ${made.said()}`)
  const running = start(server, [
    '--no-defaults',
    `--datadir=${data}`,
    `--socket=${socket}`,
    '--skip-networking',
    '--event-scheduler=OFF',
    '--innodb-flush-log-at-trx-commit=0',
    '--innodb-log-file-size=256M',
    '--innodb-buffer-pool-size=128M',
    '--max-allowed-packet=1G',
    '--skip-log-bin',
    `--pid-file=${join(base, 'pid')}`,
    `--tmpdir=${base}`,
  ])
  const dispose = async (): Promise<void> => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return
    const exit = once(running.child, 'exit')
    running.child.kill('SIGKILL')
    await exit
  }
  try {
    await Promise.race([untilReady(socket, running.child, running.said, options.signal), running.failed])
    return { socket, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function untilReady(
  socket: string,
  child: ReturnType<typeof spawn>,
  said: () => string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const server: Server = {
    name: `mysql:${socket}`,
    login: { host: socket, port: 0, user: 'root', password: '', tls: 'disable', idleMs: START_MS },
  }
  const until = performance.now() + START_MS
  for (;;) {
    try {
      await using connection = await connect(server, signal)
      await connection.query('SELECT 1')
      return
    } catch (error) {
      if (signal?.aborted === true) throw error
      if (child.exitCode !== null || performance.now() > until)
        throw new AppError('target.unreachable', `a scratch server did not start: ${said()}`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
