/** A job's own commands, run by the shell, one after the other; what they say goes to stderr and into the run's log. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { AppError, toAppError } from '../base/errors.ts'
import { endGroup } from '../base/process-group.ts'
import type { Run } from '../model/run.ts'

/** A hook that ends so says: not today. The run is skipped, without an alarm. */
const SKIP = 75
const LIMIT_MS = 60 * 60_000
/** How long the output of a shell that has ended is still read. */
const LAST_WORDS_MS = 500

export interface HookFacts {
  job: string
  event: 'before' | 'after' | 'failure'
  runId?: string | undefined
  run?: Run | undefined
}

export interface HookOptions {
  signal?: AbortSignal
  /** Told each line that a hook writes. */
  onLine?: (line: string) => void
}

export async function runHooks(
  commands: readonly string[],
  facts: HookFacts,
  options: HookOptions = {},
): Promise<void> {
  for (const command of commands) {
    const { code, by } = await run(command, facts, options)
    if (code === SKIP && facts.event === 'before')
      throw new AppError('run.skipped', `the hook before ${facts.job} asked to skip this run`)
    if (code !== 0) throw new AppError('hook.failed', `the ${facts.event} hook of ${facts.job} ended with ${by}`)
  }
}

async function run(
  command: string,
  facts: HookFacts,
  { signal, onLine }: HookOptions,
): Promise<{ code: number; by: string }> {
  const env = {
    ...process.env,
    HOLDFAST_JOB: facts.job,
    HOLDFAST_EVENT: facts.event,
    HOLDFAST_RUN_ID: facts.run?.id ?? facts.runId ?? '',
    HOLDFAST_STATUS: facts.run?.status ?? '',
    HOLDFAST_BACKUP_ID: facts.run?.backupId ?? '',
    HOLDFAST_ERROR: facts.run?.error?.message ?? '',
  }
  return new Promise((resolve, reject) => {
    // A group of its own: the shell's children have to end with it.
    const child = spawn(command, { shell: true, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    for (const stream of [child.stdout, child.stderr]) {
      stream.pipe(process.stderr, { end: false })
      if (onLine !== undefined) createInterface(stream).on('line', (line) => onLine(`${facts.event} hook: ${line}`))
    }
    let late = false
    const end = (): void => endGroup(child, 'SIGTERM')
    const limit = setTimeout(() => {
      late = true
      end()
    }, LIMIT_MS)
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted === true) end()
    const settle = (): void => {
      clearTimeout(limit)
      signal?.removeEventListener('abort', end)
    }
    child.on('error', (cause) => {
      settle()
      reject(new AppError('hook.failed', `a hook of ${facts.job} could not be run: ${cause.message}`, { cause }))
    })
    // What it left running may hold its output open: that is not waited for.
    child.on('exit', () =>
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, LAST_WORDS_MS),
    )
    child.on('close', (code, sign) => {
      settle()
      if (signal?.aborted === true) reject(toAppError(signal.reason, 'run.cancelled'))
      else if (late) resolve({ code: 1, by: `its time limit of ${LIMIT_MS / 60_000} minutes` })
      else resolve({ code: code ?? 1, by: sign === null ? `exit code ${code}` : `signal ${sign}` })
    })
  })
}
