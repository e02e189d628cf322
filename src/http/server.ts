/** The HTTP server: health, metrics, the API, the page. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { App } from '../app.ts'
import { AppError, errno, toAppError } from '../base/errors.ts'
import { VERSION } from '../base/version.ts'
import type { LoadedConfig } from '../config/load.ts'
import { lookAhead } from '../service/times.ts'
import { askedOf } from './access/addresses.ts'
import { hashOf, newSecret } from '../operations/accounts.ts'
import { allow, callerOf } from './access/caller.ts'
import { createApi } from './api.ts'
import { JSON_TYPE, problemOf, sendJson, sendProblem, sendText } from './answer.ts'
import { KEPT_EVENTS } from './events.ts'
import { metricsText } from './metrics.ts'
import { docsPage, openapi } from './openapi.ts'
import { serveStatic } from './static.ts'

export interface RunningServer {
  url: string
  /** Where the first account is made; while there is none. */
  setupUrl?: string
  close(): Promise<void>
}

export interface ServerOptions {
  listen?: string
  /** For what the page shows of the configuration file. */
  loaded?: LoadedConfig
  /** Health and metrics only, as beside a scheduler or a worker. */
  healthOnly?: boolean
}

/** A path of a query may have 4,096 characters, each written with up to twelve. */
const MAX_HEAD = 128 * 1024
const DRAIN_MS = 5000
const TIDY_MS = 10 * 60_000
const ATTEMPTS_MS = 24 * 60 * 60_000
const ANSWERS_MS = 24 * 60 * 60_000

export async function startServer(app: App, options: ServerOptions = {}): Promise<RunningServer> {
  const { host, port } = address(options.listen ?? app.settings.server.listen)
  // Opened now, so that a broken catalogue stops the start.
  app.history().reapRuns()
  await app.refresh()
  const stopping = new AbortController()
  const setup = options.healthOnly ? undefined : setupOf(app)
  const handle = handler(app, options, setup?.hash, stopping.signal)
  const server = createServer({ maxHeaderSize: MAX_HEAD }, (request, response) => void handle(request, response))
  server.on('clientError', refuseGarbage)
  server.requestTimeout = 30_000
  server.headersTimeout = 10_000
  server.keepAliveTimeout = 10_000
  await listen(server, host, port)
  if (options.healthOnly !== true)
    lookAhead(app, stopping.signal).catch((error: unknown) =>
      app.log.warn(`the next times of schedules are not known: ${toAppError(error).message}`),
    )
  const tidying = options.healthOnly ? undefined : setInterval(() => tidy(app), TIDY_MS).unref()
  const { port: actual } = server.address() as AddressInfo
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${actual}`
  return {
    url,
    ...(setup && { setupUrl: `${app.settings.server.url?.replace(/\/$/, '') ?? url}/setup#${setup.token}` }),
    async close() {
      clearInterval(tidying)
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      // Streams of events end here; what is being answered has its time.
      stopping.abort(new AppError('run.interrupted', 'the server stops'))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
      await closed
      clearTimeout(timer)
    },
  }
}

/** A token for the first account, kept as its hash, and only in memory: each start makes another. */
function setupOf(app: App): { token: string; hash: string } | undefined {
  if (app.history().server.access.users().length > 0) return undefined
  const token = newSecret()
  return { token, hash: hashOf(token) }
}

type Answering = (request: IncomingMessage, response: ServerResponse) => Promise<void>

function handler(app: App, options: ServerOptions, setupHash: string | undefined, signal: AbortSignal): Answering {
  const { settings } = app
  const prefix = settings.server.url === undefined ? '' : new URL(settings.server.url).pathname.replace(/\/$/, '')
  const api = options.healthOnly
    ? undefined
    : createApi({
        app,
        startedAt: app.clock.now(),
        raw: options.loaded?.raw ?? {},
        shownSettings: async () => shownSettings(options.loaded),
        setupToken: () => (app.history().server.access.users().length > 0 ? undefined : setupHash),
        signal,
      })

  return async (request, response) => {
    try {
      // A proxy may show us below a path.
      if (prefix !== '' && request.url?.startsWith(`${prefix}/`)) request.url = request.url.slice(prefix.length)
      const path = (request.url ?? '/').replace(/[?#].*$/s, '')
      const looking = request.method === 'GET' || request.method === 'HEAD'
      if (!looking && !path.startsWith('/api/v1/') && !path.startsWith('/api/backups/'))
        throw new AppError('request.method', 'only GET is answered here', { details: { allow: 'GET, HEAD' } })
      if (path === '/healthz') sendJson(request, response, 200, JSON.stringify({ status: 'ok', version: VERSION }))
      else if (path === '/readyz') ready(app, request, response)
      else if (path === '/metrics') metrics(app, request, response)
      else if (api === undefined) throw nothingAt(path)
      else if (path === '/api/openapi.json') sendJson(request, response, 200, openapi())
      else if (path === '/api/docs' || path.startsWith('/api/docs/')) docsPage(request, response, path)
      else if (path.startsWith('/api/')) await api(request, response)
      else if (!(await serveStatic(request, response, { prefix }))) throw nothingAt(path)
    } catch (error) {
      sendProblem(request, response, error)
    }
  }
}

const nothingAt = (path: string): AppError => new AppError('request.not-found', `there is nothing at ${path}`)

function ready(app: App, request: IncomingMessage, response: ServerResponse): void {
  try {
    app.history().runs({ limit: 1 })
    sendJson(request, response, 200, JSON.stringify({ status: 'ready', catalogue: 'ok' }))
  } catch (error) {
    const catalogue = error instanceof Error ? error.message : 'failed'
    sendJson(request, response, 503, JSON.stringify({ status: 'unready', catalogue }))
  }
}

function metrics(app: App, request: IncomingMessage, response: ServerResponse): void {
  const { server } = app.settings
  if (server.metrics === 'token') {
    const how = { clock: app.clock, limits: server.session }
    allow('read', callerOf(request, askedOf(request, server), app.history().server.access, how))
  }
  try {
    const type = 'text/plain; version=0.0.4; charset=utf-8'
    sendText(request, response, 200, metricsText(app), { 'content-type': type })
  } catch (error) {
    throw toAppError(error, 'catalogue.failed')
  }
}

async function shownSettings(loaded: LoadedConfig | undefined) {
  if (loaded === undefined) return { items: [], files: [] }
  const { shownValues } = await import('../config/show.ts')
  return { items: shownValues(loaded), files: loaded.files }
}

function tidy(app: App): void {
  try {
    const now = app.clock.now().getTime()
    const { access, answers, events } = app.history().server
    access.tidy(new Date(now), new Date(now - ATTEMPTS_MS))
    answers.tidy(new Date(now - ANSWERS_MS))
    events.tidy(KEPT_EVENTS)
  } catch (error) {
    app.log.warn(`api: what is old could not be tidied away: ${toAppError(error).message}`)
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const hint =
        errno(cause) === 'EADDRINUSE'
          ? 'Another program listens there: stop it, or choose another address with --listen or server.listen.'
          : 'Choose another address with --listen or server.listen.'
      reject(new AppError('config.invalid', `cannot listen on ${host}:${port}: ${cause.message}`, { cause, hint }))
    })
    server.listen(port, host, resolve)
  })
}

/** What is no HTTP, or has a head that is too large: told in the same words as everything else. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const large = error.code === 'HPE_HEADER_OVERFLOW'
  const problem = large
    ? new AppError('request.too-large', 'the address and the headers are too long')
    : new AppError('request.invalid', 'this is no request of HTTP')
  const body = JSON.stringify(problemOf(problem))
  const status = large ? '431 Request Header Fields Too Large' : '400 Bad Request'
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

/** `127.0.0.1:3000`, `[::1]:3000`, `:3000` (loopback) */
function address(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535)
    throw new AppError('config.invalid', `${text} is no address to listen on`, { hint: 'Write it as 127.0.0.1:3000.' })
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port }
}
