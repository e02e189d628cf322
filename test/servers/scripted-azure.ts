/**
 * A container of Azure with versions, their immutability policies and legal holds, as their documents tell of them: azurite
 * knows none of it. Keeps everything in memory and looks at no signature.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { AzureStorageSettings } from '../../src/model/settings.ts'
import { AZURITE_ACCOUNT, AZURITE_KEY } from './azurite.ts'
import { plain } from './s3-servers.ts'
import { ranged } from './scripted-gcs.ts'

interface Version {
  name: string
  id: string
  bytes: Buffer
  stored: Date
  current: boolean
  until?: Date
  mode?: string
  hold: boolean
}

export interface ScriptedAzure {
  settings: AzureStorageSettings
  url: string
  env: Record<string, string>
  /** `PUT comp=legalhold true`: requests for policies and holds, in order of their coming. */
  seen: string[]
  /** Whether these credentials may end an unlocked policy. */
  mayEnd: boolean
  /** Whether the container has immutability of versions. */
  keeps: boolean
  stop(): Promise<void>
}

const escaped = (text: string): string => text.replaceAll(/[<>&]/g, (one) => `&#${one.charCodeAt(0)};`)

export async function startScriptedAzure(): Promise<ScriptedAzure> {
  const versions: Version[] = []
  const blocks = new Map<string, Buffer>()
  let last = 0
  const http = createServer((request, response) => void serve(request, response))
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}/${AZURITE_ACCOUNT}`
  const server: ScriptedAzure = {
    settings: {
      type: 'azure',
      container: 'backups',
      account: AZURITE_ACCOUNT,
      accountKey: plain(AZURITE_KEY),
      endpoint,
      uploadBlockSize: 1024 * 1024,
    },
    url: `azure://backups?account=${AZURITE_ACCOUNT}&endpoint=${endpoint}`,
    env: { AZURE_STORAGE_KEY: AZURITE_KEY },
    seen: [],
    mayEnd: true,
    keeps: true,
    async stop() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }

  const kept = ({ until, hold }: Version): boolean => hold || (until !== undefined && until > new Date())

  function store(name: string, bytes: Buffer, headers: IncomingMessage['headers']): Version {
    for (const one of versions) if (one.name === name) one.current = false
    const until = headers['x-ms-immutability-policy-until-date']
    const mode = headers['x-ms-immutability-policy-mode']
    const stored = new Date()
    // Times of versions have seven digits.
    const id = stored.toISOString().replace('Z', `${String((last += 1)).padStart(4, '0')}Z`)
    const made: Version = { name, id, bytes, stored, current: true, hold: false }
    if (typeof until === 'string') made.until = new Date(until)
    if (typeof mode === 'string') made.mode = mode
    versions.push(made)
    return made
  }

  const headersOf = (one: Version): Record<string, string> => ({
    etag: `"${one.id}"`,
    'last-modified': one.stored.toUTCString(),
    'x-ms-version-id': one.id,
    'x-ms-legal-hold': String(one.hold),
    ...(one.until && { 'x-ms-immutability-policy-until-date': one.until.toUTCString() }),
    ...(one.mode !== undefined && { 'x-ms-immutability-policy-mode': one.mode }),
  })

  function listed(prefix: string, all: boolean): string {
    const found = versions
      .filter(({ name, current }) => name.startsWith(prefix) && (all || current))
      .sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1))
    const blobs = found.map(
      ({ name, id, bytes, stored, current, until }) =>
        `<Blob><Name>${escaped(name)}</Name>${all ? `<VersionId>${id}</VersionId>` : ''}${all && current ? '<IsCurrentVersion>true</IsCurrentVersion>' : ''}<Properties><Creation-Time>${stored.toUTCString()}</Creation-Time><Last-Modified>${stored.toUTCString()}</Last-Modified><Etag>${id}</Etag><Content-Length>${bytes.length}</Content-Length><BlobType>BlockBlob</BlobType>${until ? `<ImmutabilityPolicyUntilDate>${until.toUTCString()}</ImmutabilityPolicyUntilDate>` : ''}</Properties></Blob>`,
    )
    return `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="${endpoint}" ContainerName="backups"><Blobs>${blobs.join('')}</Blobs><NextMarker/></EnumerationResults>`
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const url = new URL(request.url ?? '', endpoint)
    const { method = '', headers } = request
    const send = (status: number, more: Record<string, string> = {}, content: Buffer | string = ''): void => {
      response.writeHead(status, { 'x-ms-request-id': 'test', ...more })
      response.end(method === 'HEAD' ? undefined : content)
    }
    const refuse = (status: number, code: string): void =>
      send(
        status,
        { 'x-ms-error-code': code, 'content-type': 'application/xml' },
        `<?xml version="1.0"?><Error><Code>${code}</Code><Message>told so by the test</Message></Error>`,
      )
    const [, , , ...rest] = url.pathname.split('/')
    const name = decodeURIComponent(rest.join('/'))
    const comp = url.searchParams.get('comp') ?? ''
    const wanted = url.searchParams.get('versionid')
    if (name === '') {
      const type = { 'content-type': 'application/xml' }
      if (comp === 'list') {
        const all = (url.searchParams.get('include') ?? '').includes('versions')
        return send(200, type, listed(url.searchParams.get('prefix') ?? '', all))
      }
      return send(200, {
        etag: '"c"',
        'last-modified': new Date(0).toUTCString(),
        'x-ms-immutable-storage-with-versioning-enabled': String(server.keeps),
      })
    }
    if (method === 'PUT' && comp === 'block') {
      blocks.set(url.searchParams.get('blockid') ?? '', body)
      return send(201)
    }
    if (method === 'PUT' && (comp === '' || comp === 'blocklist')) {
      if (headers['if-none-match'] === '*' && versions.some((one) => one.name === name && one.current))
        return refuse(409, 'BlobAlreadyExists')
      const ids = [...body.toString().matchAll(/<Latest>([^<]+)<\/Latest>/g)].map(([, id = '']) => id)
      const bytes = comp === '' ? body : Buffer.concat(ids.map((id) => blocks.get(id) ?? Buffer.alloc(0)))
      return send(201, headersOf(store(name, bytes, headers)))
    }
    const found = versions.find((one) => one.name === name && (wanted === null ? one.current : one.id === wanted))
    if (found === undefined) return refuse(404, 'BlobNotFound')
    if (comp !== '')
      server.seen.push(
        `${method} comp=${comp} ${String(headers['x-ms-legal-hold'] ?? headers['x-ms-immutability-policy-mode'] ?? '')}`.trim(),
      )
    if (comp === 'legalhold') {
      found.hold = headers['x-ms-legal-hold'] === 'true'
      return send(200, { 'x-ms-legal-hold': String(found.hold) })
    }
    if (comp === 'immutabilityPolicies' && method === 'PUT') {
      const until = new Date(String(headers['x-ms-immutability-policy-until-date']))
      if (found.mode === 'Locked' && found.until && until < found.until) return refuse(409, 'InvalidOperation')
      found.until = until
      found.mode = String(headers['x-ms-immutability-policy-mode'])
      return send(200, headersOf(found))
    }
    if (comp === 'immutabilityPolicies') {
      if (found.mode === 'Locked') return refuse(409, 'ImmutabilityPolicyDeleteOnLockedPolicy')
      if (!server.mayEnd) return refuse(403, 'AuthorizationPermissionMismatch')
      delete found.until
      return send(200)
    }
    if (method === 'DELETE') {
      if (wanted === null && server.keeps) found.current = false
      else if (found.current && wanted !== null) return refuse(403, 'OperationNotAllowedOnRootBlob')
      else if (found.hold) return refuse(409, 'BlobImmutableDueToLegalHold')
      else if (kept(found)) return refuse(409, 'BlobImmutableDueToPolicy')
      else versions.splice(versions.indexOf(found), 1)
      return send(202)
    }
    const range = headers['x-ms-range'] ?? headers.range
    const part = ranged(found.bytes, method === 'GET' ? String(range) : undefined)
    return send(part.status, { ...headersOf(found), ...part.headers, 'x-ms-blob-type': 'BlockBlob' }, part.bytes)
  }
  return server
}
