/** What the user sees: results on stdout, progress and messages on stderr. */
import { AppError } from '../base/errors.ts'
import { displayPath } from '../base/paths.ts'
import { redact } from '../base/redact.ts'
import type { ProgressEvent } from '../model/progress.ts'
import type { Run } from '../model/run.ts'
import { progressView, type ProgressView } from './progress.ts'

export interface OutputOptions {
  json: boolean
  quiet: boolean
  verbose: boolean
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
  env: NodeJS.ProcessEnv
}

export interface Output {
  readonly json: boolean
  /** One document with --json, else the text. */
  result(value: unknown, text: () => string): void
  /** One NDJSON line of a long command; nothing without --json. */
  line(value: Record<string, unknown>): void
  /** Text of the result, without --json. */
  print(text: string): void
  /** A message on stderr. */
  note(text: string): void
  onEvent(run: Run, event: ProgressEvent): void
  /** Clears the progress line. */
  settle(): void
  error(error: AppError): void
  /** Colours, where stdout shows them. */
  paint(style: Style, text: string): string
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue'
const CODES: Record<Style, [number, number]> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
}

export function hasColour(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): boolean {
  return stream.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

export function createOutput({ json, quiet, verbose, stdout, stderr, env }: OutputOptions): Output {
  const colour = hasColour(stdout, env)
  let view: ProgressView | undefined
  const write = (text: string): void => void stdout.write(`${text}\n`)
  const note = (text: string): void => {
    view?.clear()
    stderr.write(`${redact(text)}\n`)
  }

  return {
    json,
    result(value, text) {
      view?.clear()
      write(json ? JSON.stringify(value, undefined, stdout.isTTY ? 2 : undefined) : text())
    },
    line(value) {
      if (json) write(JSON.stringify(value))
    },
    print(text) {
      view?.clear()
      if (!json) write(text)
    },
    note: (text) => {
      if (!quiet) note(text)
    },
    onEvent(run, event) {
      if (event.type === 'warning') {
        if (json)
          stderr.write(
            `${JSON.stringify({ message_type: 'error', run_id: run.id, error: { message: redact(event.message) }, during: event.code, item: event.path })}\n`,
          )
        else if (!quiet && (event.code !== 'note' || verbose))
          note(
            `${event.code === 'note' ? 'note' : 'warning'}: ${event.path === undefined ? '' : `${displayPath(event.path)}: `}${event.message}`,
          )
      } else if (event.type === 'log') {
        if (event.level === 'warn' || event.level === 'error' || verbose) note(`${event.level}: ${event.message}`)
      } else if (json && event.type === 'progress' && !quiet) {
        view ??= progressView({ mode: 'json', stream: stdout, env })
        view.show(run, event)
      } else if (!json && !quiet) {
        view ??= progressView({ mode: 'text', stream: stderr, env })
        view.show(run, event)
      }
    },
    settle: () => view?.clear(),
    error(error) {
      view?.clear()
      const message = redact(error.message)
      if (json) {
        const faults = error.details['faults']
        stderr.write(
          `${JSON.stringify({ message_type: 'exit_error', code: error.exit, error: error.code, message, hint: error.hint, ...(faults !== undefined && { faults }) })}\n`,
        )
        return
      }
      const red = hasColour(stderr, env)
        ? (text: string): string => `\u001B[31m${text}\u001B[39m`
        : (text: string): string => text
      stderr.write(`${red('error')} ${error.code}: ${message}\n  ${error.hint}\n`)
      for (let cause = error.cause; verbose && cause instanceof Error; cause = cause.cause)
        stderr.write(`  because: ${redact(cause.message)}\n`)
    },
    paint(style, text) {
      const [on, off] = CODES[style]
      return colour ? `\u001B[${on}m${text}\u001B[${off}m` : text
    },
  }
}

/** Columns of text; the ones named are right-aligned. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => plain(row[column] ?? '').length)),
  )
  const lineOf = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const space = ' '.repeat((widths[column] ?? 0) - plain(cell).length)
        return right.includes(column) ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [lineOf(head), ...rows.map(lineOf)].join('\n')
}

const plain = (text: string): string => text.replaceAll(/\u001B\[\d+m/g, '')
