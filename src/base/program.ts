/**
 * Programs of others, whose output is a backup. What they write counts only once they have ended well: a reader gives
 * its end after stdout is at its end, the program has exited with 0 and nothing else went wrong, and rejects otherwise.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import type { Writable } from 'node:stream'
import { endGroup } from './process-group.ts'
import { AppError, errno, toAppError, type ErrorCode } from './errors.ts'
import type { ByteReader } from './reader.ts'
import { redact } from './redact.ts'
import { formatDuration } from './units.ts'

export interface ProgramOptions {
  program: string
  args: readonly string[]
  /** Added to this process's environment: the place for secrets, never `args`. Undefined removes a name. */
  env?: Record<string, string | undefined>
  /** Names it in messages; the file name of the program by default. */
  name?: string
  signal?: AbortSignal
  /** The program is ended when it neither writes nor takes a byte for so long. */
  idleMs?: number
  /** What a failure is called; `source.incomplete` by default. */
  failure?: ErrorCode
  cwd?: string
}

export interface RunningProgram {
  readonly stdout: ByteReader
  readonly stdin: Writable
  /** Resolves when it has ended well; rejects as the reader does. Reading to the end comes first. */
  readonly ended: Promise<void>
  /** What a failure of it is called. */
  readonly failure: ErrorCode
  /** The last lines that it wrote to stderr, without secrets. */
  complaints(): string
  /** Ends it and what it started, if it still runs. */
  stop(): Promise<void>
}

/** Of what a program writes to stderr, the end is kept: the reason stands there. */
const KEPT_COMPLAINTS = 4096
const GRACE_MS = 3000

export function startProgram(options: ProgramOptions): RunningProgram {
  const { program, args, idleMs, signal, failure = 'source.incomplete' } = options
  const name = options.name ?? program.split('/').at(-1) ?? program
  // A group of its own: what it starts ends with it.
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: environment(options.env),
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  })
  let complaints = ''
  let problem: AppError | undefined
  let lastMove = performance.now()
  let stopped = false
  const moved = (): void => {
    lastMove = performance.now()
  }

  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-KEPT_COMPLAINTS)
  })
  // Without a listener Node throws away, when the program exits, what has not been read by then.
  const waiting = (): void => {}
  child.stdout.on('readable', waiting)
  child.stdin.on('error', () => {}) // It ended without reading to the end; its exit code tells whether that is right.
  const tellProblem = (error: AppError): void => {
    problem ??= error
    endGroup(child, 'SIGKILL')
  }
  const idle =
    idleMs === undefined
      ? undefined
      : setInterval(
          () => {
            if (performance.now() - lastMove < idleMs || child.stdout.readableLength > 0) return
            tellProblem(new AppError(failure, `${name} said nothing for ${formatDuration(idleMs)} and was ended`))
          },
          Math.min(idleMs / 4, 5000),
        ).unref()
  const cancelled = (): void => tellProblem(toAppError(signal?.reason, 'run.cancelled'))
  if (signal?.aborted === true) cancelled()
  else signal?.addEventListener('abort', cancelled, { once: true })

  const closed = new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(cannotRun(name, error)))
    child.once('close', (code, by) => {
      if (problem !== undefined) reject(problem)
      else if (code === 0) resolve()
      else reject(new AppError(failure, failureText(name, code, by, complaints)))
    })
  }).finally(() => {
    clearInterval(idle)
    signal?.removeEventListener('abort', cancelled)
  })
  closed.catch(() => {})
  child.stdout.on('error', (error) => tellProblem(toAppError(error, failure)))

  async function read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (problem !== undefined) throw problem
      const available = child.stdout.readableLength
      if (available > 0) {
        const chunk = child.stdout.read(Math.min(available, into.length)) as Buffer | null
        if (chunk !== null) {
          moved()
          into.set(chunk)
          return chunk.length
        }
      }
      // Where all has been read, this tells the stream so.
      if (!child.stdout.destroyed) child.stdout.read(0)
      if (child.stdout.readableEnded || child.stdout.destroyed) {
        await closed
        if (stopped) throw new AppError('run.cancelled', `${name} was stopped`)
        return 0
      }
      await nextMove(child)
    }
  }

  async function stop(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
    stopped = true
    endGroup(child, 'SIGTERM')
    const timer = setTimeout(() => endGroup(child, 'SIGKILL'), GRACE_MS)
    child.stdout.off('readable', waiting)
    child.stdout.resume()
    await closed.catch(() => {})
    clearTimeout(timer)
  }

  child.stdin.on('drain', moved)
  return {
    stdout: { read, close: stop },
    stdin: child.stdin,
    ended: closed,
    failure,
    complaints: () => redact(complaints.trim()),
    stop,
  }
}

/** Runs a program to its end and gives what it wrote, of which there must not be much. */
export async function runProgram(
  options: ProgramOptions & { input?: string | Uint8Array; limit?: number },
): Promise<Buffer> {
  const running = startProgram(options)
  try {
    running.stdin.end(options.input)
    const parts: Buffer[] = []
    let total = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(256 * 1024)
      const count = await running.stdout.read(chunk)
      if (count === 0) break
      total += count
      if (total > (options.limit ?? 64 * 1024 * 1024))
        throw new AppError(options.failure ?? 'source.incomplete', `${options.program} wrote more than expected of it`)
      parts.push(count * 2 > chunk.length ? chunk.subarray(0, count) : Buffer.from(chunk.subarray(0, count)))
    }
    return Buffer.concat(parts)
  } finally {
    await running.stop()
  }
}

/** Writes to a program as fast as it takes it. Gives up when it ended. */
export async function feed(running: RunningProgram, bytes: Uint8Array | string): Promise<void> {
  if (running.stdin.destroyed || running.stdin.writableEnded) {
    await running.ended
    throw new AppError(running.failure, 'the program ended before it had taken everything')
  }
  if (running.stdin.write(bytes)) return
  const settled = new AbortController()
  try {
    await Promise.race(['drain', 'close'].map(async (event) => once(running.stdin, event, { signal: settled.signal })))
  } finally {
    // The listener of what did not come must not stay.
    settled.abort()
  }
}

/** The full path of a program: as it stands if it is one, else found in PATH or in `folders`. */
export function findProgram(name: string, folders: readonly string[] = []): string | undefined {
  if (isAbsolute(name) || name.includes('/')) return isExecutable(name) ? name : undefined
  const places = [...folders, ...(process.env['PATH'] ?? '').split(delimiter).filter((part) => part !== '')]
  return places.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** Programs speak English and UTC to us, and none of our own settings reach them. */
function environment(extra: Record<string, string | undefined> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C.UTF-8', LC_MESSAGES: 'C', TZ: 'UTC' }
  for (const name of Object.keys(env)) if (name.startsWith('HOLDFAST_')) delete env[name]
  for (const [name, value] of Object.entries(extra)) {
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  return env
}

async function nextMove(child: ChildProcess): Promise<void> {
  const { stdout } = child
  if (stdout === null || stdout.readableEnded || stdout.destroyed) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of ['readable', 'end', 'close', 'error']) stdout.off(event, done)
      resolve()
    }
    for (const event of ['readable', 'end', 'close', 'error']) stdout.once(event, done)
  })
}

function cannotRun(name: string, error: Error): AppError {
  const code = errno(error)
  const why = code === 'ENOENT' ? 'is not installed' : `could not be run: ${code ?? error.message}`
  return new AppError('source.no-program', `the program ${name} ${why}`, { cause: error })
}

function failureText(name: string, code: number | null, by: NodeJS.Signals | null, complaints: string): string {
  const how = by === null ? `ended with exit code ${code}` : `was ended by ${by}`
  const said = redact(complaints.trim()).split('\n').slice(-3).join(' | ')
  return said === '' ? `${name} ${how}` : `${name} ${how}: ${said}`
}
