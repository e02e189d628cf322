/** rclone's remote control: a program that we start on loopback, watch, and stop. Its password is in no argument. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { findProgram } from '../../base/program.ts'
import { endGroup } from '../../base/process-group.ts'
import { AppError } from '../../base/errors.ts'
import { redact, registerSecret } from '../../base/redact.ts'
import type { RcloneStorageSettings } from '../../model/settings.ts'

export interface Running {
  url: string
  authorization: string
  readonly ended: boolean
  /** The last lines that it wrote. */
  said(): string
  stop(): Promise<void>
}

const START_MS = 20_000
const GRACE_MS = 3000
const KEPT = 4096

export async function startRclone(settings: Omit<RcloneStorageSettings, 'type'>): Promise<Running> {
  const program = findProgram(settings.program ?? 'rclone')
  if (program === undefined)
    throw new AppError('storage.unsupported', `the program ${settings.program ?? 'rclone'} is not installed`, {
      hint: 'Install rclone (https://rclone.org/install), or name it by program of the rclone storage.',
    })
  const [user, password] = ['holdfast', randomBytes(24).toString('base64url')]
  registerSecret(password)
  const args = [
    'rcd',
    '--rc-addr',
    '127.0.0.1:0',
    '--rc-serve',
    '--log-level',
    'NOTICE',
    '--streaming-upload-cutoff',
    '0',
  ]
  if (settings.config !== undefined) args.push('--config', settings.config)
  // Without us it has nothing to do: where the system can, it ends it when we are gone without a word.
  const guard = findProgram('setpriv')
  const command = guard === undefined ? [program, ...args] : [guard, '--pdeathsig', 'TERM', '--', program, ...args]
  const child = spawn(command[0] ?? program, command.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
    env: { ...process.env, RCLONE_RC_USER: user, RCLONE_RC_PASS: password, RCLONE_ASK_PASSWORD: 'false' },
  })
  child.unref()
  let said = ''
  let ended = false
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(failed('did not start in time', said)), START_MS)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-KEPT)
      const found = /Serving remote control on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('error', (error) => reject(failed(`could not be started: ${error.message}`, '')))
    child.once('exit', (code) => {
      ended = true
      reject(failed(`ended with exit code ${code}`, said))
    })
    child.once('exit', () => clearTimeout(timer))
    child.stderr.once('data', () => undefined)
    timer.unref()
  }).catch(async (error: unknown) => {
    await end(child)
    throw error
  })
  // Must not keep this process alive.
  Reflect.get(child.stderr, 'unref')?.call(child.stderr)
  return {
    url,
    authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
    get ended() {
      return ended
    },
    said: () => redact(said.trim()).split('\n').slice(-3).join(' | '),
    stop: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  endGroup(child, 'SIGTERM')
  const timer = setTimeout(() => endGroup(child, 'SIGKILL'), GRACE_MS)
  await exit
  clearTimeout(timer)
}

const failed = (how: string, said: string): AppError =>
  new AppError(
    'storage.unreachable',
    `rclone ${how}${said === '' ? '' : `: ${redact(said.trim()).split('\n').at(-1)}`}`,
    {
      hint: 'Try the remote by hand: `rclone lsd REMOTE:`.',
    },
  )
