/** Newer versions in a registry of npm packages: asked for, fetched, and held against their checksum before anything uses them. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AppError } from '../base/errors.ts'

export interface Latest {
  current: string
  latest: string
  newer: boolean
  tarball: string
  /** Subresource integrity: `sha512-…`. */
  integrity: string
}

const PACKAGE = 'holdfast'
const TIMEOUT_MS = 30_000
/** Of a download from its beginning to its end. */
const DOWNLOAD_MS = 10 * 60_000
const VERSION = /^\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+[\w.-]+)?$/
const MOST_BYTES = 100 * 1024 * 1024

/** The one that is configured, else the one that npm uses here. */
export async function registryOf(configured: string | undefined): Promise<string> {
  if (configured !== undefined) return configured
  return new Promise((resolve, reject) => {
    execFile('npm', ['config', 'get', 'registry'], { timeout: TIMEOUT_MS }, (error, stdout) => {
      const found = stdout.trim()
      if (error === null && /^https?:\/\//.test(found)) resolve(found)
      else
        reject(
          new AppError('config.invalid', 'no registry is known to look for newer versions in', {
            hint: 'Set update.registry, or install npm.',
          }),
        )
    })
  })
}

export async function latestVersion(registry: string, current: string, signal?: AbortSignal): Promise<Latest> {
  const response = await get(`${registry.replace(/\/$/, '')}/${PACKAGE}/latest`, signal)
  const body: unknown = await response.json().catch(() => undefined)
  const { version, dist } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const { tarball, integrity } = (typeof dist === 'object' && dist !== null ? dist : {}) as Record<string, unknown>
  if (
    typeof version !== 'string' ||
    typeof tarball !== 'string' ||
    typeof integrity !== 'string' ||
    !VERSION.test(version)
  )
    throw new AppError('source.unreachable', `${registry} does not answer as a registry of npm packages does`)
  return { current, latest: version, newer: isNewer(version, current), tarball, integrity }
}

/** Whole and as the registry says it is, or not at all. Gives the file. */
export async function fetchVersion(
  { latest, tarball, integrity }: Latest,
  folder: string,
  signal?: AbortSignal,
): Promise<string> {
  const wanted = integrity.split(' ').find((one) => one.startsWith('sha512-'))
  if (wanted === undefined)
    throw new AppError('verify.damaged', `the registry gives no SHA-512 of version ${latest}: it is not used`)
  const response = await get(tarball, signal, DOWNLOAD_MS)
  const hash = createHash('sha512')
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    const bytes = Buffer.from(chunk as Uint8Array)
    size += bytes.length
    if (size > MOST_BYTES) throw new AppError('verify.damaged', `version ${latest} is larger than any should be`)
    hash.update(bytes)
    chunks.push(bytes)
  }
  if (`sha512-${hash.digest('base64')}` !== wanted)
    throw new AppError('verify.damaged', `what came as version ${latest} is not what the registry says it is`, {
      hint: 'Nothing was replaced. Try again; if it stays so, do not trust this registry or the way to it.',
    })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, `${PACKAGE}-${latest}.tgz`)
  const temporary = `${file}.new`
  try {
    writeFileSync(temporary, Buffer.concat(chunks), { mode: 0o600 })
    renameSync(temporary, file)
  } finally {
    rmSync(temporary, { force: true })
  }
  return file
}

/** The head has to come soon; the signal holds for the body too. */
async function get(url: string, signal: AbortSignal | undefined, wholeMs = TIMEOUT_MS): Promise<Response> {
  const head = new AbortController()
  const timer = setTimeout(() => head.abort(new Error('no answer')), TIMEOUT_MS)
  const limits = [head.signal, AbortSignal.timeout(wholeMs), ...(signal === undefined ? [] : [signal])]
  try {
    const response = await fetch(url, { signal: AbortSignal.any(limits) })
    if (response.ok) return response
    await response.body?.cancel()
    throw new AppError('source.unreachable', `${url} answers ${response.status}`)
  } catch (error) {
    if (error instanceof AppError) throw error
    signal?.throwIfAborted()
    throw new AppError('source.unreachable', `${url} does not answer`, {
      cause: error,
      hint: 'Check the network, or set update.registry to one that can be reached.',
    })
  } finally {
    clearTimeout(timer)
  }
}

/** By the rules of semantic versions; what comes before a release is older than it. */
export function isNewer(a: string, b: string): boolean {
  const parse = (text: string): { numbers: number[]; early: boolean } => {
    const [release = '', early] = text.replace(/\+.*$/, '').split(/-(.*)/s)
    return { numbers: release.split('.').map(Number), early: early !== undefined }
  }
  const [one, two] = [parse(a), parse(b)]
  for (const index of [0, 1, 2]) {
    const difference = (one.numbers[index] ?? 0) - (two.numbers[index] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return two.early && !one.early
}
