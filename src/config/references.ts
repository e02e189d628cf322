import { execFile } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AppError, errno } from '../base/errors.ts'
import type { Env } from './environment.ts'
import { decryptSecret, ENCRYPTED, type BoxKey } from './secret-box.ts'
import { homeFolder } from '../base/user.ts'

/** A value may hold `${env:NAME}`, `${file:/path}`, `${cmd:program args}` and `enc:…`; `$${` stands for `${`. */
export interface Reference {
  kind: 'env' | 'file' | 'cmd' | 'enc'
  /** The name, path or command; of `enc` the whole token. */
  target: string
}

export interface ReferenceContext {
  env: Env
  /** Relative files start here, commands run here. */
  base: string
}

/** Shell forms such as `${NAME:-x}` are not ours and stay as they are. */
const KNOWN = /\$\$\{|\$\{(env|file|cmd|enc):((?:"[^"]*"|'[^']*'|[^}"'])*)\}/g
const UNKNOWN = /(?<!\$)\$\{([a-z]+):(?![-=+?])[^}]*\}/g
const LARGEST = 1024 * 1024
const COMMAND_TIMEOUT_MS = 30_000

export type Part = string | Reference

export function partsOf(text: string): Part[] {
  const parts: Part[] = []
  let end = 0
  for (const match of text.matchAll(KNOWN)) {
    parts.push(...encryptedParts(text.slice(end, match.index)))
    end = match.index + match[0].length
    if (match[1] === undefined) parts.push('${')
    else if (match[1] === 'enc') parts.push({ kind: 'enc', target: encToken(match[2] ?? '') })
    else parts.push({ kind: match[1] as Reference['kind'], target: (match[2] ?? '').trim() })
  }
  return [...parts, ...encryptedParts(text.slice(end))].filter((part) => part !== '')
}

const encToken = (text: string): string => (text.startsWith('enc:') ? text : `enc:${text}`)

function encryptedParts(text: string): Part[] {
  const tokens = [...text.matchAll(ENCRYPTED)]
  let end = 0
  const parts = tokens.flatMap((match): Part[] => {
    const before = text.slice(end, match.index)
    end = match.index + match[0].length
    return [before, { kind: 'enc', target: match[0] }]
  })
  return [...parts, text.slice(end)]
}

export const hasReference = (text: string): boolean => partsOf(text).some((part) => typeof part !== 'string')

/** References of a kind that does not exist, such as `${evn:NAME}`. */
export const unknownKinds = (text: string): string[] =>
  [...text.matchAll(UNKNOWN)]
    .map((match) => match[1] ?? '')
    .filter((kind) => !['env', 'file', 'cmd', 'enc'].includes(kind))

/** What the text says once its references are followed. Rejects with `config.secret`, never quoting what it read. */
export async function follow(text: string, context: ReferenceContext): Promise<string> {
  const read: string[] = []
  for (const part of partsOf(text)) read.push(typeof part === 'string' ? part : await readReference(part, context))
  return read.join('')
}

/** Safe to show: what is written, with the literal parts left out where there are references beside them. */
export function showReferences(text: string): string {
  return partsOf(text)
    .map((part) => (typeof part === 'string' ? '…' : part.kind === 'enc' ? 'enc:…' : `\${${part.kind}:${part.target}}`))
    .join('')
}

async function readReference(reference: Reference, context: ReferenceContext): Promise<string> {
  if (reference.kind === 'env') return readVariable(reference.target, context.env)
  if (reference.kind === 'file') return readSecretFile(reference.target, context)
  if (reference.kind === 'cmd') return runCommand(splitCommand(reference.target), context)
  return decryptSecret(reference.target, await boxKey(context))
}

function readVariable(name: string, env: Env): string {
  const value = env[name]
  if (value !== undefined) return value
  throw new AppError('config.secret', `the environment variable ${name} is not set`, {
    hint: `Set ${name}, or write it into the .env file beside the configuration.`,
  })
}

/** The text of a file without the one newline at its end. */
export async function readSecretFile(file: string, context: ReferenceContext): Promise<string> {
  const path = absolutePath(file, context)
  try {
    await using handle = await open(path, 'r')
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(LARGEST + 1) })
    if (bytesRead > LARGEST) throw new AppError('config.secret', `the file ${path} is too large for a value`)
    return withoutNewline(buffer.toString('utf8', 0, bytesRead))
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('config.secret', `cannot read the file ${path}: ${errno(error) ?? 'failed'}`, { cause: error })
  }
}

const withoutNewline = (text: string): string => text.replace(/\r?\n$/, '')

export function absolutePath(path: string, context: ReferenceContext): string {
  const home = homeFolder(context.env)
  if (path === '~') return home
  return path.startsWith('~/') ? join(home, path.slice(2)) : resolve(context.base, path)
}

/** The words of a command line; quotes keep words together, there is no shell. */
export function splitCommand(line: string): string[] {
  const words = line.match(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+/g) ?? []
  return words.map((word) =>
    word.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_, double?: string, single?: string, escaped?: string) =>
      double === undefined ? (single ?? escaped ?? '') : double.replaceAll(/\\(["\\$`])/g, '$1'),
    ),
  )
}

/** What a program writes to its standard output. Its standard error may hold secrets too and is not shown. */
export async function runCommand(argv: readonly string[], context: ReferenceContext): Promise<string> {
  const [program, ...args] = argv
  if (program === undefined) throw new AppError('config.secret', 'a command reference names no program')
  return new Promise((done, fail) => {
    const options = { cwd: context.base, env: context.env, timeout: COMMAND_TIMEOUT_MS, maxBuffer: LARGEST }
    const child = execFile(program, args, { ...options, encoding: 'utf8', killSignal: 'SIGKILL' }, (error, stdout) => {
      if (error === null) return done(withoutNewline(stdout))
      const why =
        error.killed === true
          ? 'ran too long or said too much'
          : typeof error.code === 'number'
            ? `ended with ${error.code}`
            : `could not be run: ${error.code ?? 'failed'}`
      fail(
        new AppError('config.secret', `the command ${program} ${why}`, {
          hint: 'Run the command by hand to see what it says.',
        }),
      )
    })
    child.stdin?.end()
  })
}

/** What opens `enc:` values, from the environment. */
export async function boxKey(context: ReferenceContext): Promise<BoxKey> {
  const { env } = context
  const passphrase = env['HOLDFAST_SECRET_PASSPHRASE']
  if (passphrase) return { passphrase }
  const passphraseFile = env['HOLDFAST_SECRET_PASSPHRASE_FILE']
  if (passphraseFile) return { passphrase: await readSecretFile(passphraseFile, context) }
  const keyFile = env['HOLDFAST_SECRET_KEY_FILE']
  if (keyFile) return { keyFile: await readKeyFile(absolutePath(keyFile, context)) }
  throw new AppError('config.secret', 'an enc: value needs a passphrase', {
    hint: 'Set HOLDFAST_SECRET_PASSPHRASE, HOLDFAST_SECRET_PASSPHRASE_FILE or HOLDFAST_SECRET_KEY_FILE.',
  })
}

export async function readKeyFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new AppError('config.secret', `cannot read the key file ${path}: ${errno(error) ?? 'failed'}`, {
      cause: error,
    })
  }
}
