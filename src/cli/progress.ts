/** Progress: a live line on a terminal, a line every ten seconds elsewhere, NDJSON with --json. */
import { displayPath } from '../base/paths.ts'
import { formatDuration, formatSize } from '../base/units.ts'
import type { Counters, ProgressEvent, Stage } from '../model/progress.ts'
import type { Run } from '../model/run.ts'

export interface ProgressView {
  show(run: Run, event: Extract<ProgressEvent, { type: 'stage' | 'progress' }> | ProgressEvent): void
  clear(): void
}

export interface ProgressViewOptions {
  mode: 'json' | 'text'
  stream: NodeJS.WriteStream
  env: NodeJS.ProcessEnv
}

const LIVE_MS = 100
const PLAIN_MS = 10_000
const JSON_MS = 1000

export function progressView({ mode, stream, env }: ProgressViewOptions): ProgressView {
  const live = mode === 'text' && stream.isTTY && env['TERM'] !== 'dumb' && !env['CI']
  const every = mode === 'json' ? JSON_MS : live ? LIVE_MS : PLAIN_MS
  let shown = performance.now()
  let drawn = false
  let stage: Stage | undefined
  let since = performance.now()

  function clear(): void {
    if (drawn) stream.write('\r\u001B[K')
    drawn = false
  }

  return {
    clear,
    show(run, event) {
      const now = performance.now()
      if (event.type === 'stage') {
        stage = event.stage
        since = now
        return
      }
      if (event.type !== 'progress' || now - shown < every) return
      shown = now
      const seconds = Math.max((now - since) / 1000, 0.001)
      if (mode === 'json') stream.write(`${JSON.stringify(statusLine(run, event.counters, seconds))}\n`)
      else if (live) {
        stream.write(`\r\u001B[K${textLine(stage ?? event.stage, event.counters, seconds, stream.columns)}`)
        drawn = true
      } else
        stream.write(
          `${run.job}: ${textLine(stage ?? event.stage, { ...event.counters, current: undefined }, seconds, 200)}\n`,
        )
    },
  }
}

function statusLine(run: Run, counters: Counters, seconds: number): Record<string, unknown> {
  const { filesDone, filesTotal, bytesDone, bytesTotal, current } = counters
  return {
    message_type: 'status',
    run_id: run.id,
    seconds_elapsed: Math.round(seconds),
    ...(bytesTotal !== undefined && bytesTotal > 0 && { percent_done: Math.min(bytesDone / bytesTotal, 1) }),
    ...(filesTotal !== undefined && { total_files: filesTotal }),
    files_done: filesDone,
    ...(bytesTotal !== undefined && { total_bytes: bytesTotal }),
    bytes_done: bytesDone,
    ...(current !== undefined && { current_files: [current] }),
  }
}

function textLine(stage: Stage, counters: Partial<Counters>, seconds: number, width = 80): string {
  const { filesDone = 0, filesTotal, bytesDone = 0, bytesTotal, current } = counters
  const rate = bytesDone / seconds
  const known = bytesTotal !== undefined && bytesTotal > 0
  const parts = [
    `${stage}  ${filesDone}${filesTotal === undefined ? '' : `/${filesTotal}`} files`,
    `${formatSize(bytesDone)}${known ? ` of ${formatSize(bytesTotal)}` : ''}`,
    `${formatSize(Math.round(rate))}/s`,
    known && rate > 0 && bytesDone > 0
      ? `${formatDuration(((bytesTotal - bytesDone) / rate) * 1000)} left`
      : formatDuration(seconds * 1000),
  ]
  const text = parts.join('  ')
  if (current === undefined || current === '') return text
  const room = width - text.length - 3
  const shown = displayPath(current)
  return room < 12 ? text : `${text}  ${shown.length > room ? `…${shown.slice(1 - room)}` : shown}`
}
