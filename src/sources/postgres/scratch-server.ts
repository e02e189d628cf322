/** A PostgreSQL cluster of our own, for as long as a proof takes: over a socket in its folder, as a user without rights. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
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
async function serverPrograms(version: number): Promise<string | undefined> {
  const wanted = Math.floor(version / 10_000)
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  let best: { folder: string; major: number } | undefined
  for (const folder of new Set([...programFolders(), ...path])) {
    if (findProgram(join(folder, 'initdb')) === undefined || findProgram(join(folder, 'postgres')) === undefined)
      continue
    const said = await runProgram({ program: join(folder, 'initdb'), args: ['--version'] })
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(said.toString())?.[1] ?? 0)
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
  const env = { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', HOME: base, TMPDIR: base }
  const start = (program: string, args: string[]) => {
    const child = spawn(join(programs, program), args, { env, cwd: base, stdio: ['ignore', 'pipe', 'pipe'], ...user })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-4000)))
    const failed = new Promise<never>((_, reject) => child.once('error', reject))
    failed.catch(() => {})
    return { child, failed, said: () => said.trim().split('\n').slice(-3).join(' | ') }
  }
  const made = start('initdb', ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-sync'])
  const [code] = (await Promise.race([once(made.child, 'exit'), made.failed])) as [number | null]
  if (code !== 0) throw new AppError('target.unreachable', `a scratch cluster could not be made: ${made.said()}`)
  const running = start('postgres', ['-D', data, '-k', base, ...SETTINGS.flatMap((setting) => ['-c', setting])])
  const dispose = async (): Promise<void> => {
    if (running.child.exitCode !== null || running.child.signalCode !== null) return
    const exit = once(running.child, 'exit')
    // Immediate: nothing in it is to be kept, and its own children end with it.
    running.child.kill('SIGQUIT')
    await exit
  }
  try {
    const server = { name: base, env: { PGHOST: base, PGUSER: USER, PGSSLMODE: 'disable' } }
    for (const until = performance.now() + START_MS; ;) {
      try {
        await sql('select 1;', {
          psql: join(programs, 'psql'),
          server,
          database: 'postgres',
          ...(signal && { signal }),
        })
        return { host: base, user: USER, programs, [Symbol.asyncDispose]: dispose }
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
