/** Content of backups on its way to a browser: one file as it is, several as one archive; never more in memory than a chunk. */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { posix } from 'node:path'
import { AppError } from '../base/errors.ts'
import { displayPath, isUnder } from '../base/paths.ts'
import type { Backup } from '../model/backup.ts'
import type { TreeItem } from '../model/tree-index.ts'
import type { Vault } from '../model/vault.ts'
import { SECURITY_HEADERS } from './answer.ts'
import type { Api } from './handler.ts'

const PREVIEW_BYTES = 256 * 1024
/** Pictures are shown whole, or not at all. */
const IMAGE_BYTES = 8 * 1024 * 1024

interface From {
  vault: Vault
  backup: Backup
  request: IncomingMessage
  response: ServerResponse
  signal: AbortSignal
}

/** SVG is no picture here: it can hold scripts. */
const IMAGES: Record<string, string> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.gif': 'image/gif',
  '.webp': 'image/webp',
}

/** Text as text, pictures as pictures, the rest as bytes to keep: nothing that a browser would run. */
export async function sendPreview(api: Api, { path, ...from }: From & { path: string }): Promise<void> {
  const { vault, backup, request, response, signal } = from
  const item = await fileOf(api, vault, backup, path)
  const image = IMAGES[posix.extname(item.name).toLowerCase()]
  const most = image === undefined ? PREVIEW_BYTES : IMAGE_BYTES
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of contentOf(vault, backup, path, signal)) {
    chunks.push(Buffer.from(chunk))
    size += chunk.length
    if (size >= most) break
  }
  const bytes = Buffer.concat(chunks).subarray(0, most)
  const binary = bytes.subarray(0, 8192).includes(0)
  const whole = item.size <= most
  const type = image !== undefined && whole ? image : binary ? 'application/octet-stream' : 'text/plain; charset=utf-8'
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    'content-security-policy': "sandbox; default-src 'none'",
    'content-type': type,
    'content-length': bytes.length,
    'cache-control': 'private, no-store',
    'x-holdfast-size': item.size,
    'x-holdfast-truncated': whole ? 'false' : 'true',
  })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

export async function sendContent(
  api: Api,
  { paths, format, ...from }: From & { paths: readonly string[]; format: 'raw' | 'zip' | 'tar' | undefined },
): Promise<void> {
  const { vault, backup, response, request, signal } = from
  const clean = paths.map((path) => path.replace(/^\/+|\/+$/g, '')).filter((path) => path !== '')
  const [only] = clean
  const index = await api.app.trees.get(vault, backup.id)
  const items = clean.map((path) => {
    const item = index.item(path)
    if (item === undefined) throw new AppError('request.not-found', `there is no /${displayPath(path)} in ${backup.id}`)
    return item
  })
  const single = items.length === 1 && items[0]?.kind === 'file'
  if ((format === 'raw' || format === undefined) && single && only !== undefined) {
    const { size, name } = items[0] as TreeItem
    head(from, { 'content-type': 'application/octet-stream', 'content-length': size }, name)
    if (request.method !== 'HEAD') await pour(contentOf(vault, backup, only, signal), response, signal)
    response.end()
    return
  }
  if (format === 'raw')
    throw new AppError('request.invalid', 'query.format: raw is for one file; several come as zip or tar')
  const kind = format ?? 'zip'
  const name = `${items.length === 1 ? (items[0]?.name ?? backup.id) : backup.id}.${kind}`
  head(from, { 'content-type': kind === 'zip' ? 'application/zip' : 'application/x-tar' }, name)
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const selection =
    clean.length === 0
      ? {}
      : clean.length === 1
        ? { under: only as string }
        : { want: ({ path }: { path: string }) => clean.some((one) => isUnder(path, one)) }
  await pour(api.app.export(vault.open(backup.id, { ...selection, signal }), kind), response, signal)
  response.end()
}

function head({ response }: From, headers: Record<string, string | number>, name: string): void {
  const safe = displayPath(name).replaceAll(/[^\x20-\x7e]|["\\%]/g, '_')
  response.writeHead(200, {
    ...SECURITY_HEADERS,
    ...headers,
    'content-disposition': `attachment; filename="${safe}"; filename*=UTF-8''${encodeURIComponent(displayPath(name).toWellFormed()).replaceAll("'", '%27')}`,
    'cache-control': 'private, no-store',
  })
}

async function pour(chunks: AsyncIterable<Uint8Array>, response: ServerResponse, signal: AbortSignal): Promise<void> {
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    // A chunk may be used only until the next one comes.
    if (!response.write(Buffer.from(chunk))) await once(response, 'drain', { signal })
  }
}

async function fileOf(api: Api, vault: Vault, backup: Backup, path: string): Promise<TreeItem> {
  const item = (await api.app.trees.get(vault, backup.id)).item(path.replace(/^\/+|\/+$/g, ''))
  if (item === undefined) throw new AppError('request.not-found', `there is no /${displayPath(path)} in ${backup.id}`)
  if (item.kind !== 'file') throw new AppError('request.invalid', `query.path: /${displayPath(path)} is no file`)
  return item
}

async function* contentOf(vault: Vault, backup: Backup, path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const clean = path.replace(/^\/+|\/+$/g, '')
  for await (const entry of vault.open(backup.id, { under: clean, signal })) {
    if (entry.path !== clean) continue
    if (entry.open !== undefined) yield* entry.open()
    else if (entry.hardlink !== undefined) yield* contentOf(vault, backup, entry.hardlink, signal)
    return
  }
  throw new AppError('backup.damaged', `/${displayPath(path)} is listed in ${backup.id} and cannot be read`)
}
