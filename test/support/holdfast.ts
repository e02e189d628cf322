/** The real command line in a process of its own, with a home of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

const root = join(dirname(import.meta.filename), '../..')

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Holdfast {
  /** A scratch folder that goes away with the test. */
  readonly dir: string
  run(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** The same, and what it printed as JSON. */
  json<T = unknown>(args: readonly string[], options?: RunOptions): Promise<T>
  start(args: readonly string[], options?: RunOptions): { child: ChildProcess; ended: Promise<Ended> }
}

export interface RunOptions {
  env?: Record<string, string>
  cwd?: string
  input?: string | Uint8Array
}

export function scratch(t: TestContext, name = 'test'): string {
  const dir = mkdtempSync(join(tmpdir(), `holdfast-${name}-`))
  // A program that a failed test left behind may still write there; what ends it comes after this.
  t.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 }))
  return dir
}

export function holdfast(dir: string): Holdfast {
  function start(
    args: readonly string[],
    { env = {}, cwd = dir, input }: RunOptions = {},
  ): ReturnType<Holdfast['start']> {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', join(root, 'src/cli/main.ts'), ...args],
      {
        cwd,
        env: {
          PATH: process.env['PATH'],
          HOME: dir,
          TMPDIR: process.env['TMPDIR'],
          NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/compile'),
          ...env,
        },
      },
    )
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    const ended = new Promise<Ended>((resolve) =>
      child.on('close', (code, signal) =>
        resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
      ),
    )
    return { child, ended }
  }
  const run: Holdfast['run'] = async (args, options) => start(args, options).ended
  return {
    dir,
    run,
    start,
    async json<T>(args: readonly string[], options?: RunOptions): Promise<T> {
      const { code, stdout, stderr } = await run([...args, '--json'], options)
      if (code !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${code}: ${stderr}`)
      return JSON.parse(stdout) as T
    },
  }
}

/** Each line of NDJSON. */
export const lines = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** The last line of a long command: its summary. */
export const summary = (text: string): Record<string, unknown> =>
  lines(text).findLast((line) => line['message_type'] === 'summary') ?? {}

/** Resolves when a backup that runs has stored so many bytes in a folder. */
export async function untilStored(folder: string, bytes: number): Promise<void> {
  const stored = (): number => {
    try {
      return readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
    } catch {
      // Not there yet, or a temporary file that went away.
      return 0
    }
  }
  for (let tries = 0; stored() < bytes; tries += 1) {
    if (tries > 600) throw new Error(`nothing was stored in ${folder}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
