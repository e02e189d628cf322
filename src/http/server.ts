/** Health, readiness and metrics, until the API comes. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { App } from '../app.ts'
import { AppError, errno, toAppError } from '../base/errors.ts'
import { VERSION } from '../base/version.ts'
import { metricsText } from './metrics.ts'

export interface RunningServer {
  url: string
  close(): Promise<void>
}

const DRAIN_MS = 5000

export async function startServer(app: App, options: { listen?: string } = {}): Promise<RunningServer> {
  const { host, port } = address(options.listen ?? app.settings.server.listen)
  // Opened now, so that a broken catalogue stops the start.
  app.history().reapRuns()

  const server = createServer((request, response) => {
    const {
      status,
      body,
      type = 'application/json; charset=utf-8',
    } = request.method === 'GET' || request.method === 'HEAD'
      ? answer(app, request.url ?? '/')
      : { status: 405, body: problem('usage.invalid', 'only GET is answered here', '') }
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    response.end(request.method === 'HEAD' ? undefined : text)
  })
  server.requestTimeout = 10_000
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
  const { port: actual } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
      await closed
      clearTimeout(timer)
    },
  }
}

/** `127.0.0.1:3000`, `[::1]:3000`, `:3000` (loopback) */
function address(listen: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(listen)
  const port = Number(match?.[3])
  if (match === null || port > 65_535)
    throw new AppError('config.invalid', `${listen} is no address to listen on`, {
      hint: 'Write it as 127.0.0.1:3000.',
    })
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port }
}

function answer(app: App, url: string): { status: number; body: unknown; type?: string } {
  const { pathname } = new URL(url, 'http://localhost')
  if (pathname === '/healthz') return { status: 200, body: { status: 'ok', version: VERSION } }
  if (pathname === '/readyz') {
    try {
      app.history().runs({ limit: 1 })
      return { status: 200, body: { status: 'ready', catalogue: 'ok' } }
    } catch (error) {
      return { status: 503, body: { status: 'unready', catalogue: error instanceof Error ? error.message : 'failed' } }
    }
  }
  if (pathname === '/metrics') {
    try {
      return { status: 200, body: metricsText(app), type: 'text/plain; version=0.0.4; charset=utf-8' }
    } catch (error) {
      const { code, message, hint } = toAppError(error, 'catalogue.failed')
      return { status: 503, body: problem(code, message, hint) }
    }
  }
  return {
    status: 404,
    body: problem(
      'storage.not-found',
      `there is nothing at ${pathname}`,
      'This version answers /healthz, /readyz and /metrics; the API and the page come later.',
    ),
  }
}

const problem = (
  code: string,
  message: string,
  hint: string,
): { error: { code: string; message: string; hint: string } } => ({ error: { code, message, hint } })
