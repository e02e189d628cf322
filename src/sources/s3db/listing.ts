/** Every object of a client, page by page, around what the clients of s3db do with pages and prefixes. */
import { lstatSync, opendirSync, type Dir } from 'node:fs'
import { join } from 'node:path'
import { errno } from '../../base/errors.ts'
import { throwIfAborted } from '../../base/streams.ts'
import { sourceError } from './fetch.ts'
import { kindOf, type ObjectClient } from './object-client.ts'

export interface Listed {
  key: string
  size: number
  modified: number
}

const PAGE = { network: 1000, sqlite: 5000, memory: Number.MAX_SAFE_INTEGER, file: 1000 } as const
/** Mutexes of s3db itself: gone in a moment, and in the way where they are restored to. */
const LOCKS = 'plugin=s3db-core/locks/'

/** `prefix` is empty, or ends in `/` or `=`. In pages, in the client's own order. */
export async function* listKeys(
  client: ObjectClient,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<Listed[], void> {
  const pages = folderOf(client) === undefined ? pagesOf(client, prefix, signal) : walkFolder(client, prefix, signal)
  for await (const page of pages) {
    throwIfAborted(signal)
    yield page.filter(({ key }) => key.startsWith(prefix) && key !== '' && !key.startsWith(LOCKS))
  }
}

async function* pagesOf(client: ObjectClient, prefix: string, signal?: AbortSignal): AsyncGenerator<Listed[], void> {
  const kind = kindOf(client)
  const { keyPrefix = '' } = client.config ?? {}
  // Clients join their prefix and the one asked for as paths: without a slash at its end `db` would list `db2` too.
  const asked = prefix === '' && keyPrefix !== '' ? './' : prefix
  const own = keyPrefix === '' ? '' : `${keyPrefix.replace(/\/+$/, '')}/`
  let continuationToken: string | undefined
  do {
    throwIfAborted(signal)
    const page = await client
      .listObjects({ prefix: asked, maxKeys: PAGE[kind], ...(continuationToken && { continuationToken }) })
      .catch((error: unknown) => {
        throw sourceError(error, `list ${prefix === '' ? 'the database' : prefix}`)
      })
    yield (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified }) => ({
      // The S3 client gives whole keys, the others take their prefix off.
      key: kind === 'network' && Key.startsWith(own) ? Key.slice(own.length) : Key,
      size: Size,
      modified: LastModified === undefined ? 0 : new Date(LastModified).getTime(),
    }))
    continuationToken = page.IsTruncated === true ? (page.NextContinuationToken ?? undefined) : undefined
  } while (continuationToken !== undefined)
}

function folderOf(client: ObjectClient): string | undefined {
  if (kindOf(client) !== 'file') return undefined
  const { basePath, keyPrefix = '' } = client.config ?? {}
  return basePath === undefined ? undefined : join(basePath, keyPrefix)
}

const BESIDE = '.meta.json'
/** Names of writes that are under way, or were cut short. */
const UNFINISHED = /\.tmp\.\d+\.[\w-]+$/

/**
 * The client that keeps objects as files reads its whole tree for every page, sorts it by locale and goes on by code units:
 * slow, not bounded, and not complete. So the folder is walked here. Each object is a file, its metadata beside it.
 */
async function* walkFolder(client: ObjectClient, prefix: string, signal?: AbortSignal): AsyncGenerator<Listed[], void> {
  const root = folderOf(client) ?? ''
  const start = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const waiting = [start]
  let page: Listed[] = []
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    const entries = openFolder(join(root, folder))
    if (entries === undefined) continue
    try {
      for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
        const { name } = entry
        if (entry.isDirectory()) waiting.push(`${folder}${name}/`)
        else if (entry.isFile() && !name.endsWith(BESIDE) && !UNFINISHED.test(name)) {
          const stats = lstatSync(join(root, folder, name), { throwIfNoEntry: false })
          if (stats !== undefined) page.push({ key: folder + name, size: stats.size, modified: stats.mtimeMs })
        }
        if (page.length < PAGE.file) continue
        yield page
        page = []
        // Reading folders in one go is several times faster; timers and sockets have their turn in between.
        await new Promise<void>((resolve) => setImmediate(resolve))
        throwIfAborted(signal)
      }
    } finally {
      entries.closeSync()
    }
  }
  yield page
}

function openFolder(path: string): Dir | undefined {
  try {
    return opendirSync(path, { bufferSize: 1024 })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errno(error) ?? '')) return undefined
    throw sourceError(error, `list ${path}`)
  }
}
