/** A job's own commands, run by the shell, one after the other; what they say goes to stderr. */
import { spawn } from 'node:child_process'
import { AppError } from '../base/errors.ts'
import type { Run } from '../model/run.ts'

/** A hook that ends so says: not today. The run is skipped, without an alarm. */
const SKIP = 75
const LIMIT_MS = 60 * 60_000

export interface HookFacts {
  job: string
  event: 'before' | 'after' | 'failure'
  run?: Run | undefined
}

export async function runHooks(
  commands: readonly string[],
  facts: HookFacts,
  { signal }: { signal?: AbortSignal } = {},
): Promise<void> {
  for (const command of commands) {
    const { code, by } = await run(command, facts, signal)
    if (code === SKIP && facts.event === 'before')
      throw new AppError('run.skipped', `the hook before ${facts.job} asked to skip this run`)
    if (code !== 0) throw new AppError('hook.failed', `the ${facts.event} hook of ${facts.job} ended with ${by}`)
  }
}

async function run(
  command: string,
  facts: HookFacts,
  signal: AbortSignal | undefined,
): Promise<{ code: number; by: string }> {
  const env = {
    ...process.env,
    HOLDFAST_JOB: facts.job,
    HOLDFAST_EVENT: facts.event,
    HOLDFAST_RUN_ID: facts.run?.id ?? '',
    HOLDFAST_STATUS: facts.run?.status ?? '',
    HOLDFAST_BACKUP_ID: facts.run?.backupId ?? '',
    HOLDFAST_ERROR: facts.run?.error?.message ?? '',
  }
  return new Promise((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      env,
      stdio: ['ignore', 2, 2],
      timeout: LIMIT_MS,
      ...(signal && { signal }),
    })
    child.on('error', (cause) =>
      reject(new AppError('hook.failed', `a hook of ${facts.job} could not be run`, { cause })),
    )
    child.on('close', (code, sign) =>
      resolve({ code: code ?? 1, by: sign === null ? `exit code ${code}` : `signal ${sign}` }),
    )
  })
}
