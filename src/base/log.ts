import { openSync, closeSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type * as Pino from 'pino'
import { systemClock, type Clock } from './clock.ts'
import { makeFolders } from './folders.ts'
import { isSecretKey, redact, redactValue, REDACTED } from './redact.ts'
import { rotatingFile } from './rotating-file.ts'
import { parseDuration, parseSize } from './units.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export type Fields = Record<string, unknown>

/**
 * Takes a message and fields. Everything passes through `redact` before it is written, errors and their causes too.
 * Writing a log never throws: a log that cannot be written is told of once, and the work goes on.
 */
export interface Logger {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** A logger that adds these fields to each line. */
  child(fields: Fields): Logger
}

export interface Log extends Logger {
  /** The log of one run, in the folder given at creation; its lines are in no other log. */
  openRun(runId: string): RunLog
  close(): void
}

export interface RunLog extends Logger {
  readonly path: string
  close(): void
}

/** The same as LogSettings of the model. */
export interface LogOptions {
  level: LogLevel
  file?: string
  maxSize?: string
  maxFiles?: number
  maxAge?: string
}

export interface CreateLogOptions {
  runLogDir?: string
  /** Gets each line too, such as process.stderr of a server in a container. */
  also?: { write(line: string): unknown }
  clock?: Clock
  /** Told once when the log cannot be written. */
  onProblem?: (message: string) => void
}

/** Nothing is opened and no library is loaded before the first line. */
export function createLog(options: LogOptions, extra: CreateLogOptions = {}): Log {
  const { clock = systemClock, also, runLogDir, onProblem = warnOnStderr } = extra
  const file =
    options.file === undefined
      ? undefined
      : rotatingFile(options.file, {
          maxBytes: parseSize(options.maxSize ?? '20m'),
          maxFiles: options.maxFiles ?? 14,
          maxAgeMs: parseDuration(options.maxAge ?? '30d'),
          clock,
        })
  const write = once((line: string) => file?.write(line), `cannot write the log ${options.file}`, onProblem)
  const logger = structured(options.level, clock, (line) => {
    write(line)
    also?.write(line)
  })
  return {
    ...logger,
    openRun(runId) {
      if (runLogDir === undefined) throw new TypeError('this log has no folder for the logs of runs')
      return openRunLog(join(runLogDir, `${runId}.ndjson`), { level: options.level, clock, onProblem })
    },
    close: () => file?.close(),
  }
}

export interface RunLogOptions {
  level?: LogLevel
  /** Further lines are counted and left out; warnings and errors get a tenth more. */
  maxBytes?: number
  clock?: Clock
  onProblem?: (message: string) => void
}

/** One NDJSON file for one run, which only this user can read, and which cannot fill the disk. */
export function openRunLog(path: string, options: RunLogOptions = {}): RunLog {
  const { level = 'info', clock = systemClock, maxBytes = 10 * 1024 * 1024, onProblem = warnOnStderr } = options
  let fd: number | undefined
  let written = 0
  let dropped = 0
  const write = once(
    (line: string) => {
      if (fd === undefined) {
        makeFolders(dirname(path), 0o700)
        fd = openSync(path, 'a', 0o600)
      }
      written += writeSync(fd, line)
    },
    `cannot write the log ${path}`,
    onProblem,
  )
  const logger = structured(level, clock, (line, important) => {
    if (written + line.length <= maxBytes * (important ? 1.1 : 1)) write(line)
    else dropped += 1
  })
  return {
    ...logger,
    path,
    close() {
      if (dropped > 0)
        write(
          `${JSON.stringify({ level: 'warn', time: clock.now().toISOString(), dropped, msg: 'the log was full; lines were left out' })}\n`,
        )
      if (fd !== undefined) closeSync(fd)
      fd = undefined
    },
  }
}

/** For places that need a logger and have none. */
export const silentLog: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
}

type Sink = (line: string, important: boolean) => void

function structured(level: LogLevel, clock: Clock, sink: Sink): Logger {
  let pino: Pino.Logger | undefined
  let important = false
  const root = (): Pino.Logger => {
    pino ??= loadPino()(
      {
        level,
        base: { pid: process.pid },
        timestamp: () => `,"time":"${clock.now().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
      },
      { write: (line: string) => sink(line, important) },
    )
    return pino
  }
  const make = (bound: Fields): Logger => {
    const line = (at: LogLevel) => (message: string, fields?: Fields) => {
      important = at === 'warn' || at === 'error'
      root()[at](safeFields({ ...bound, ...fields }), redact(message))
    }
    return {
      debug: line('debug'),
      info: line('info'),
      warn: line('warn'),
      error: line('error'),
      child: (fields) => make({ ...bound, ...fields }),
    }
  }
  return make({})
}

/** Loaded when the first line is written: most commands write none. Synchronously, so that no line waits in memory. */
function loadPino(): typeof Pino.pino {
  return (createRequire(import.meta.url)('pino') as typeof Pino).pino
}

const OWN = new Set(['level', 'time', 'pid', 'msg'])

/** Cleaned, and without keys that the line itself has. */
function safeFields(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [
      OWN.has(key) ? `${key}_` : redact(key),
      isSecretKey(key) && typeof value === 'string' ? REDACTED : redactValue(value),
    ]),
  )
}

/** Runs the work; the first failure is told, and later ones are not. */
function once<Args extends unknown[]>(
  work: (...args: Args) => void,
  message: string,
  onProblem: (message: string) => void,
): (...args: Args) => void {
  let told = false
  return (...args) => {
    try {
      work(...args)
    } catch (error) {
      if (!told) onProblem(`${message}: ${error instanceof Error ? redact(error.message) : 'failed'}`)
      told = true
    }
  }
}

const warnOnStderr = (message: string): void => void process.stderr.write(`${message}\n`)
