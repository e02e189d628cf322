/** A run that was started on a server, shown until it ends as if it worked here. */
import { AppError, ERRORS, type ErrorCode } from '../../base/errors.ts'
import { formatSize } from '../../base/units.ts'
import type { Call } from '../../http/contract/index.ts'
import type { Remote } from './index.ts'

type Run = Call<'GET /api/v1/runs/{id}'>['answer']

const LOOK_MS = 500

export async function follow({ client, context }: Remote, id: string): Promise<Run> {
  const { out, signal } = context
  let told = ''
  for (;;) {
    const { data: run } = await client.call('GET /api/v1/runs/{id}', { params: { id } })
    const stage = run.stages.at(-1)?.stage ?? run.status
    const { filesDone = 0, bytesDone = 0, current = '' } = run.counters ?? {}
    out.line({ message_type: 'status', run_id: id, stage, files_done: filesDone, bytes_done: bytesDone })
    const text = `${run.job || run.vault}: ${stage}, ${filesDone} files, ${formatSize(bytesDone)} ${current}`.trim()
    if (text !== told && !out.json) out.note(text)
    told = text
    if (run.endedAt !== undefined) return run
    if (signal.aborted) {
      await client.call('POST /api/v1/runs/{id}/cancel', { params: { id } }).catch(() => undefined)
      throw new AppError('run.cancelled', 'asked the server to stop the run')
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

/** Its summary as the last line; then its error is ours. */
export function finish({ context }: Remote, run: Run): void {
  const { out } = context
  const took = (Date.parse(run.endedAt ?? run.createdAt) - Date.parse(run.startedAt ?? run.createdAt)) / 1000
  out.line({
    message_type: 'summary',
    run_id: run.id,
    job: run.job,
    vault: run.vault,
    backup_id: run.backupId,
    status: run.status,
    ...run.summary,
    duration_seconds: took,
    warnings: run.warnings,
  })
  if (run.error !== undefined) {
    const code: ErrorCode = Object.hasOwn(ERRORS, run.error.code) ? (run.error.code as ErrorCode) : 'run.failed'
    throw new AppError(code, run.error.message, { hint: run.error.hint })
  }
  out.print(
    `${out.paint('green', '✓')} ${run.kind} of ${run.job || run.vault}: ${run.status}${run.backupId === undefined ? '' : `, ${run.backupId}`} in ${took.toFixed(1)} s`,
  )
  for (const { message, path } of run.warnings) out.note(`warning: ${path === undefined ? '' : `${path}: `}${message}`)
  if (run.status === 'warning') context.exitCode = 3
}
