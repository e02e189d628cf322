/** A PostgreSQL cluster of our own, for as long as a proof takes: over a socket in its folder, as a user without rights. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { AppError } from '../../base/errors.ts'
import { findProgram, runProgram } from '../../base/program.ts'
import { refuseClosed, scratchUser } from '../scratch-user.ts'
import { programFolders, sql } from './connect.ts'

export interface ScratchCluster extends AsyncDisposable {
  /** The folder of its socket, as libpq takes it for a host. */
  host: string
  user: string
  /** Of the programs that made it. */
  programs: string
}

/** No role of a backup is called like that. */
const USER = 'holdfast_scratch'
const START_MS = 60_000
/** Nobody else comes in, and nothing has to outlive a crash. */
const SETTINGS = [
  'listen_addresses=',
  'fsync=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'autovacuum=off',
  'maintenance_work_mem=128MB',
  'max_wal_size=4GB',
]

/** The programs of a server of at least this version: `initdb` and `postgres` beside each other. The oldest that will do. */
async function serverPrograms(version: number, exactly = false): Promise<string | undefined> {
  const wanted = Math.floor(version / 10_000)
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  let best: { folder: string; major: number } | undefined
  for (const folder of new Set([...programFolders(), ...path])) {
    if (findProgram(join(folder, 'initdb')) === undefined || findProgram(join(folder, 'postgres')) === undefined)
      continue
    const said = await runProgram({ program: join(folder, 'initdb'), args: ['--version'] })
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(said.toString())?.[1] ?? 0)
    if (exactly && major !== wanted) continue
    if (major >= wanted && (best === undefined || major < best.major)) best = { folder, major }
  }
  return best?.folder
}

/** Undefined where no server of this version or a newer one is installed. */
export async function startScratchCluster(
  folder: string,
  version: number,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ScratchCluster | undefined> {
  const programs = await serverPrograms(version)
  if (programs === undefined) return undefined
  const user = scratchUser()
  refuseClosed(folder, user)
  const base = join(folder, 'pg')
  mkdirSync(base, { mode: 0o700 })
  if (user !== undefined) chownSync(base, user.uid, user.gid)
  const data = join(base, 'data')
  const start = starterOf(programs, base, user)
  const made = start('initdb', ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync'])
  const [code] = (await Promise.race([once(made.child, 'exit'), made.failed])) as [number | null]
  if (code !== 0) throw new AppError('target.unreachable', `a scratch cluster could not be made: ${made.said()}`)
  const running = start('postgres', ['-D', data, '-k', base, ...SETTINGS.flatMap((setting) => ['-c', setting])])
  return opened(running, { host: base, user: USER, programs }, signal)
}

/** Files of a cluster that a backup brought. They are its user's from here on; nothing of its settings counts. */
export async function startCluster(
  base: string,
  data: string,
  version: number,
  { config, hba, signal }: { config: string; hba: string; signal?: AbortSignal },
): Promise<ScratchCluster | undefined> {
  const programs = await serverPrograms(version, true)
  if (programs === undefined) return undefined
  const user = scratchUser()
  refuseClosed(dirname(base), user)
  const start = starterOf(programs, base, user)
  const settings = [
    `config_file=${config}`,
    `hba_file=${hba}`,
    'listen_addresses=',
    'fsync=off',
    'archive_mode=off',
    'ssl=off',
    'autovacuum=off',
    'shared_preload_libraries=',
    'hot_standby=off',
  ].flatMap((setting) => ['-c', setting])
  // Alone it needs no role, becomes consistent, and can make one.
  const single = start('postgres', ['--single', '-D', data, '-j', ...settings, 'template1'], 'pipe')
  single.child.stdin?.end(`create role ${USER} superuser login;\n\n`)
  const [code] = (await Promise.race([once(single.child, 'exit'), single.failed])) as [number | null]
  if (code !== 0) throw new AppError('backup.damaged', `a server does not start on the cluster: ${single.said()}`)
  const running = start('postgres', ['-D', data, '-k', base, ...settings])
  return opened(running, { host: base, user: USER, programs }, signal)
}

interface Started {
  child: ChildProcess
  failed: Promise<never>
  said(): string
}

type Starter = (program: string, args: string[], stdin?: 'ignore' | 'pipe') => Started

function starterOf(programs: string, base: string, user: ReturnType<typeof scratchUser>): Starter {
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', HOME: base, TMPDIR: base }
  return (program, args, stdin = 'ignore') => {
    const child = spawn(join(programs, program), args, { env, cwd: base, stdio: [stdin, 'pipe', 'pipe'], ...user })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4000)))
    child.stdin?.on('error', () => {})
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    failed.catch(() => {})
    return { child, failed, said: () => said.trim().split('\n').slice(-3).join(' | ') }
  }
}

async function opened(
  running: Started,
  { host, user, programs }: { host: string; user: string; programs: string },
  signal: AbortSignal | undefined,
): Promise<ScratchCluster> {
  const dispose = async (): Promise<void> => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return
    const exit = once(running.child, 'exit')
    // Immediate: nothing in it is to be kept, and its own children end with it.
    running.child.kill('SIGQUIT')
    await exit
  }
  try {
    const server = { name: host, env: { PGHOST: host, PGUSER: user, PGSSLMODE: 'disable' } }
    for (const until = performance.now() + START_MS; ;) {
      try {
        await sql('select 1;', {
          psql: join(programs, 'psql'),
          server,
          database: 'template1',
          ...(signal && { signal }),
        })
        return { host, user, programs, [Symbol.asyncDispose]: dispose }
      } catch (error) {
        if (signal?.aborted === true) throw error
        if (running.child.exitCode !== null || performance.now() > until)
          throw new AppError('target.unreachable', `a scratch cluster did not start: ${running.said()}`, {
            cause: error,
          })
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  } catch (error) {
    await dispose()
    throw error
  }
}
