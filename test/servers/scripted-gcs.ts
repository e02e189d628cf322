/**
 * A bucket of Google Cloud Storage with versioning, object retention and holds, as their documents tell of them: emulators
 * know none of it. Keeps everything in memory and asks for no credentials.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GcsStorageSettings } from '../../src/model/settings.ts'

interface Version {
  name: string
  generation: string
  size: string
  timeCreated: string
  updated: string
  timeDeleted?: string
  temporaryHold?: boolean
  retention?: { mode: string; retainUntilTime: string } | null
  [more: string]: unknown
}

export interface ScriptedGcs {
  settings: GcsStorageSettings
  url: string
  /** `PATCH o?generation=1 {"temporaryHold":true}`, in order of their coming, without names and uploads. */
  seen: string[]
  /** Whether these credentials may end an unlocked retention. */
  mayOverride: boolean
  /** Whether the bucket has versioning and retention of objects. */
  keeps: boolean
  stop(): Promise<void>
}

/** What a request for `bytes=0-9`, or for all, is answered with. */
export function ranged(
  all: Buffer,
  range: string | undefined,
): { status: number; bytes: Buffer; headers: Record<string, string> } {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? []
  if (first === undefined) return { status: 200, bytes: all, headers: { 'content-length': String(all.length) } }
  const [start, end] = [Number(first), Math.min(last ? Number(last) + 1 : all.length, all.length)]
  if (start >= all.length) return { status: 416, bytes: Buffer.alloc(0), headers: {} }
  const headers = { 'content-range': `bytes ${start}-${end - 1}/${all.length}`, 'content-length': String(end - start) }
  return { status: 206, bytes: all.subarray(start, end), headers }
}

export async function startScriptedGcs(): Promise<ScriptedGcs> {
  const versions: { told: Version; bytes: Buffer }[] = []
  const sessions = new Map<string, Record<string, unknown>>()
  let last = 1000
  const http = createServer((request, response) => void serve(request, response))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  const server: ScriptedGcs = {
    settings: { type: 'gcs', bucket: 'backups', endpoint, uploadChunkSize: 1024 * 1024 },
    url: `gs://backups?endpoint=${endpoint}`,
    seen: [],
    mayOverride: true,
    keeps: true,
    async stop() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }

  const live = (name: string) => versions.find(({ told }) => told.name === name && told.timeDeleted === undefined)

  function retire(name: string): boolean {
    const found = live(name)
    if (found === undefined) return false
    if (server.keeps) found.told.timeDeleted = new Date().toISOString()
    else versions.splice(versions.indexOf(found), 1)
    return true
  }

  function store(metadata: Record<string, unknown>, bytes: Buffer): Version {
    const name = String(metadata['name'])
    retire(name)
    const now = new Date().toISOString()
    const generation = String((last += 1))
    const told = { ...metadata, name, generation, size: String(bytes.length), timeCreated: now, updated: now }
    versions.push({ told, bytes })
    return told
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url ?? '', endpoint)
    const { method = '' } = request
    const send = (status: number, json?: unknown, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(json === undefined ? undefined : JSON.stringify(json))
    }
    const refuse = (status: number, reason: string): void =>
      send(status, { error: { code: status, message: 'told so by the test', errors: [{ reason }] } })

    if (url.pathname.startsWith('/upload/')) {
      const session = url.searchParams.get('upload_id')
      if (session !== null) {
        const metadata = sessions.get(session) ?? {}
        const whole = Buffer.concat([metadata['sofar'] as Buffer, body])
        metadata['sofar'] = whole
        const range = request.headers['content-range'] ?? ''
        if (range.endsWith('/*')) return send(308, undefined, { range: `bytes=0-${whole.length - 1}` })
        const { sofar: _, ...rest } = metadata
        return send(200, store(rest, whole))
      }
      const name = url.searchParams.get('name') ?? ''
      if (url.searchParams.get('ifGenerationMatch') === '0' && live(name)) return refuse(412, 'conditionNotMet')
      if (url.searchParams.get('uploadType') === 'resumable') {
        const id = String((last += 1))
        sessions.set(id, { ...(JSON.parse(body.toString()) as object), sofar: Buffer.alloc(0) })
        return send(200, undefined, { location: `${endpoint}/upload/x?upload_id=${id}` })
      }
      const edge = /boundary=(\S+)/.exec(request.headers['content-type'] ?? '')?.[1] ?? ''
      const text = body.toString('latin1')
      const start = text.indexOf('\r\n\r\n') + 4
      const metadata = Buffer.from(text.slice(start, text.indexOf(`\r\n--${edge}`, start)), 'latin1').toString()
      const content = text.indexOf('\r\n\r\n', start) + 4
      return send(
        200,
        store(JSON.parse(metadata) as Record<string, unknown>, body.subarray(content, body.length - edge.length - 8)),
      )
    }

    const [, , , , bucket = '', , raw] = url.pathname.split('/')
    const query = [...url.searchParams].filter(([key]) => /generation|override|versions/.test(key))
    server.seen.push(
      `${method} ${raw === undefined ? 'b' : 'o'}?${new URLSearchParams(query).toString()} ${body.toString()}`.trim(),
    )
    if (bucket !== 'backups') return refuse(404, 'notFound')
    if (raw === undefined) {
      if (!url.pathname.endsWith('/o')) {
        const kept = { versioning: { enabled: true }, objectRetention: { mode: 'Enabled' } }
        return send(200, server.keeps ? kept : {})
      }
      const all = url.searchParams.get('versions') === 'true'
      const prefix = url.searchParams.get('prefix') ?? ''
      const items = versions
        .map(({ told }) => told)
        .filter(({ name, timeDeleted }) => name.startsWith(prefix) && (all || timeDeleted === undefined))
        .sort((a, b) => (a.name === b.name ? Number(a.generation) - Number(b.generation) : a.name < b.name ? -1 : 1))
      return send(200, { items })
    }
    const name = decodeURIComponent(raw)
    const generation = url.searchParams.get('generation')
    const found =
      generation === null
        ? live(name)
        : versions.find(({ told }) => told.name === name && told.generation === generation)
    if (found === undefined) return refuse(404, 'notFound')
    const { told } = found
    const kept = told.retention && Date.parse(told.retention.retainUntilTime) > Date.now()
    if (method === 'GET') {
      if (url.searchParams.get('alt') !== 'media') return send(200, told)
      const { status, bytes, headers } = ranged(found.bytes, request.headers.range)
      response.writeHead(status, { 'x-goog-generation': told.generation, ...headers })
      return void response.end(bytes)
    }
    if (method === 'DELETE') {
      if (generation === null && server.keeps) retire(name)
      else if (told.temporaryHold === true) return refuse(403, 'objectUnderActiveHold')
      else if (kept) return refuse(403, 'retentionPolicyNotMet')
      else versions.splice(versions.indexOf(found), 1)
      return send(204)
    }
    const change = JSON.parse(body.toString()) as Partial<Version>
    if (change.retention !== undefined && told.retention && kept) {
      const shorter = change.retention === null || change.retention.retainUntilTime < told.retention.retainUntilTime
      if (shorter && told.retention.mode === 'Locked') return refuse(403, 'forbidden')
      const past = url.searchParams.get('overrideUnlockedRetention') === 'true' && server.mayOverride
      if (shorter && !past) return refuse(403, 'forbidden')
    }
    Object.assign(told, change)
    return send(200, told)
  }
  return server
}
