/** The files of the page. Hashed ones are kept by browsers for ever; index.html is asked for each time and names them. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, relative, sep } from 'node:path'
import { AppError, toAppError } from '../base/errors.ts'

export interface StaticOptions {
  /** Where the built page lies; found by itself if absent. */
  folder?: string
  /** The path below which a proxy shows the page, such as `/backups`: no slash at the end; '' by default. */
  prefix?: string
}

/** Nothing inline, nothing from elsewhere; images of a preview are made in the page. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "connect-src 'self'",
  "font-src 'self'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ')

/** What the paths of the page begin with, as in ui/src/app/routes.ts. */
const PAGES = new Set([
  '',
  'index.html',
  'alerts',
  'backup',
  'backups',
  'jobs',
  'restore',
  'runs',
  'settings',
  'setup',
  'vaults',
])

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

interface StaticFile {
  bytes: Buffer
  etag: string
  type: string
  immutable: boolean
  br?: Buffer
  gz?: Buffer
}

type Files = ReadonlyMap<string, StaticFile>

const loaded = new Map<string, Promise<Files>>()

/**
 * Answers a GET or HEAD with a file of the page, or with the page itself where the path is one of its own. False: the
 * method is another, or there is no such file. Paths are looked up among the files read at the start: none leads outside.
 */
export async function serveStatic(
  request: IncomingMessage,
  response: ServerResponse,
  options: StaticOptions = {},
): Promise<boolean> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false
  const prefix = options.prefix ?? ''
  const path = pathBelow(request.url ?? '/', prefix)
  if (path === undefined) return false
  let files: Files
  try {
    files = await pageFiles(options.folder)
  } catch (error) {
    const { message, hint } = toAppError(error)
    const body = Buffer.from(`The page cannot be shown: ${message}\n${hint}\nThe API and the command line work.\n`)
    send(request, response, 503, body, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' })
    return true
  }
  const file = files.get(path)
  const index = files.get('index.html')
  if (file !== undefined && file !== index) sendFile(request, response, file)
  else if (index === undefined || path.startsWith('assets/')) return false
  else if (PAGES.has(path.split('/')[0] ?? '')) sendPage(request, response, 200, index, prefix)
  // Whoever came by a wrong link sees so in the page; a program gets the plain problem.
  else if (request.headers.accept?.includes('text/html')) sendPage(request, response, 404, index, prefix)
  else return false
  return true
}

/** With or without the prefix, as proxies differ. Without the leading slash; undefined: not to be decoded. */
function pathBelow(url: string, prefix: string): string | undefined {
  try {
    const path = decodeURIComponent(url.replace(/[?#].*$/s, ''))
    const below = prefix !== '' && (path === prefix || path.startsWith(`${prefix}/`)) ? path.slice(prefix.length) : path
    return below.replace(/^\/+/, '')
  } catch {
    return undefined
  }
}

async function pageFiles(folder: string | undefined): Promise<Files> {
  const key = folder ?? ''
  let files = loaded.get(key)
  if (files === undefined) {
    files = folder === undefined ? findFolder().then(async (found) => readFiles(found)) : readFiles(folder)
    loaded.set(key, files)
    files.catch(() => loaded.delete(key))
  }
  return files
}

/** `dist/ui` of a package; in a checkout `ui/dist`, which is made when it is missing or older than its sources. */
async function findFolder(): Promise<string> {
  const packed = join(import.meta.dirname, '../ui')
  if (existsSync(join(packed, 'index.html'))) return packed
  const root = join(import.meta.dirname, '../..')
  const script = join(root, 'scripts/build-ui.ts')
  const built = join(root, 'ui/dist')
  if (existsSync(script) && existsSync(join(root, 'ui/index.html'))) await buildPage(script, built)
  return built
}

async function buildPage(script: string, built: string): Promise<void> {
  const child = spawn(process.execPath, [script, '--if-older'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve)
  })
  // A page that was built earlier is better than none.
  if (code !== 0 && !existsSync(join(built, 'index.html')))
    throw new AppError('internal.bug', `it could not be built: ${said.trim()}`, { hint: 'npm run build:ui shows why.' })
}

async function readFiles(folder: string): Promise<Files> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = found.filter((one) => one.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const contents = new Map<string, Buffer>()
  for (const name of names) contents.set(relative(folder, name).split(sep).join('/'), await readFile(name))
  const files = new Map<string, StaticFile>()
  for (const [name, bytes] of contents) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const [br, gz] = [contents.get(`${name}.br`), contents.get(`${name}.gz`)]
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    const immutable = name.startsWith('assets/')
    files.set(name, { bytes, etag, type, immutable, ...(br && { br }), ...(gz && { gz }) })
  }
  return files
}

function sendFile(request: IncomingMessage, response: ServerResponse, file: StaticFile): void {
  const headers: Record<string, string> = {
    'content-type': file.type,
    'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'public, no-cache',
    etag: file.etag,
    vary: 'accept-encoding',
  }
  if (matches(request.headers['if-none-match'], file.etag)) {
    response.writeHead(304, { ...HEADERS, ...headers }).end()
    return
  }
  const accepted = request.headers['accept-encoding'] ?? ''
  const encoding = file.br && accepts(accepted, 'br') ? 'br' : file.gz && accepts(accepted, 'gzip') ? 'gzip' : undefined
  const body = encoding === 'br' ? file.br : encoding === 'gzip' ? file.gz : file.bytes
  send(request, response, 200, body ?? file.bytes, { ...headers, ...(encoding && { 'content-encoding': encoding }) })
}

function sendPage(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  index: StaticFile,
  prefix: string,
): void {
  const html = index.bytes.toString('utf8').replace('<base href="/"', `<base href="${escaped(prefix)}/"`)
  send(request, response, status, Buffer.from(html), {
    'content-type': index.type,
    'cache-control': 'no-store',
    'content-security-policy': PAGE_POLICY,
  })
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: Record<string, string>,
): void {
  response.writeHead(status, { ...HEADERS, ...headers, 'content-length': body.length })
  response.end(request.method === 'HEAD' ? undefined : body)
}

const matches = (wanted: string | undefined, etag: string): boolean =>
  wanted !== undefined && (wanted === '*' || wanted.split(',').some((one) => one.trim().replace(/^W\//, '') === etag))

/** `gzip;q=0` is a refusal. */
const accepts = (header: string, encoding: string): boolean =>
  header.split(',').some((one) => {
    const [name = '', ...parameters] = one.split(';').map((part) => part.trim())
    return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
