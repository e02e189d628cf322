import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { AppError, isAppError } from '../../base/errors.ts'
import { retry } from '../../base/retry.ts'
import type { S3StorageSettings } from '../../model/settings.ts'
import type { DriverOptions } from '../driver-options.ts'
import { directPut, type DirectPut } from './direct-put.ts'
import { s3Error } from './errors.ts'

export type Sdk = typeof import('@aws-sdk/client-s3')

/** A client that is made on first use and made anew when its credentials have expired. */
export interface Connection {
  /** Runs one request. Errors come out as AppErrors that say what was tried. */
  call<T>(tried: string, work: (client: S3Client, sdk: Sdk) => Promise<T>): Promise<T>
  /** The same, repeated while that can help. */
  persist<T>(
    tried: string,
    signal: AbortSignal | undefined,
    work: (client: S3Client, sdk: Sdk, attempt: number) => Promise<T>,
  ): Promise<T>
  /** For small objects past the SDK, where the way is plain. */
  readonly direct: DirectPut | undefined
  close(): void
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000
/** A connection on which no byte moves for so long is given up. */
const DEFAULT_IDLE_TIMEOUT_MS = 60_000

export function connect(
  settings: Omit<S3StorageSettings, 'type'>,
  options: Required<Pick<DriverOptions, 'retry' | 'clock'>> & Pick<DriverOptions, 'onRetry' | 'onRequest'>,
): Connection {
  const clients: S3Client[] = []
  const secrets = new Set<string>()
  const direct = directOf(settings)
  let current: Promise<S3Client> | undefined
  let again = false

  async function open(): Promise<S3Client> {
    const sdk = await import('@aws-sdk/client-s3')
    if (settings.client !== undefined) return given(settings.client)
    const client = new sdk.S3Client(await configOf(settings, secrets, again))
    if (settings.requesterPays === true)
      client.middlewareStack.add(
        (next) => (args) => {
          const { headers } = args.request as { headers: Record<string, string> }
          headers['x-amz-request-payer'] = 'requester'
          return next(args)
        },
        { step: 'build', name: 'requesterPays' },
      )
    clients.push(client)
    return client
  }

  async function call<T>(tried: string, work: (client: S3Client, sdk: Sdk) => Promise<T>): Promise<T> {
    const sdk = await import('@aws-sdk/client-s3')
    for (let renewed = false; ; renewed = true) {
      const used = (current ??= open())
      try {
        const client = await used
        options.onRequest?.(tried)
        return await work(client, sdk)
      } catch (thrown) {
        const error = s3Error(thrown, tried, secrets)
        if (current === used && isAppError(error, 'storage.expired', 'storage.no-credentials')) {
          current = undefined
          again = true
        }
        // Secrets are read again, and the SDK's chain looks again, once. Other requests may still use the old client.
        if (error.code !== 'storage.expired' || renewed) throw error
      }
    }
  }

  return {
    direct,
    call,
    persist: (tried, signal, work) =>
      retry((attempt) => call(tried, (client, sdk) => work(client, sdk, attempt)), {
        ...options.retry,
        clock: options.clock,
        signal,
        onRetry: options.onRetry,
      }),
    close() {
      for (const client of clients.splice(0)) client.destroy()
      current = undefined
      direct?.close()
    },
  }
}

/** Buckets in the path of an endpoint that is given: all else is the SDK's to find. */
function directOf(settings: Omit<S3StorageSettings, 'type'>): DirectPut | undefined {
  const { endpoint, client, forcePathStyle = true } = settings
  if (endpoint === undefined || client !== undefined || !forcePathStyle || !/^https?:\/\/[^/?#]+\/?$/.test(endpoint))
    return undefined
  return directPut({ ...settings, endpoint, region: regionOf(settings) ?? 'us-east-1', ...timesOf(settings) })
}

function regionOf({ region, endpoint }: Omit<S3StorageSettings, 'type'>): string | undefined {
  const fallback = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION']
  // Servers like S3 rarely have regions, but a signature names one. Without an endpoint the SDK looks in its profile.
  return region ?? fallback ?? (endpoint === undefined ? undefined : 'us-east-1')
}

const timesOf = (settings: Omit<S3StorageSettings, 'type'>): { connectTimeoutMs: number; idleTimeoutMs: number } => ({
  connectTimeoutMs: settings.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
  idleTimeoutMs: settings.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
})

/** It may be of another copy of the SDK: `send` is all that is used of it. */
function given(client: object): S3Client {
  if (typeof Reflect.get(client, 'send') === 'function') return client as S3Client
  throw new AppError('storage.invalid', 'the client given for the storage is no S3Client of @aws-sdk/client-s3')
}

async function configOf(
  settings: Omit<S3StorageSettings, 'type'>,
  secrets: Set<string>,
  again: boolean,
): Promise<S3ClientConfig> {
  const { endpoint, accessKeyId, secretAccessKey, sessionToken, checksums = true } = settings
  const region = regionOf(settings)
  const { connectTimeoutMs, idleTimeoutMs } = timesOf(settings)
  const config: S3ClientConfig = {
    maxAttempts: 1,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: settings.forcePathStyle ?? endpoint !== undefined,
    requestChecksumCalculation: checksums ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    // Checked in download.ts, where an early end also closes the connection.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      socketTimeout: idleTimeoutMs,
    },
  }
  if (accessKeyId === undefined || secretAccessKey === undefined) return config
  const credentials = {
    accessKeyId: (await accessKeyId.read({ again })).trim(),
    secretAccessKey: (await secretAccessKey.read({ again })).trim(),
    ...(sessionToken === undefined ? {} : { sessionToken: (await sessionToken.read({ again })).trim() }),
  }
  secrets.add(credentials.secretAccessKey)
  if (credentials.sessionToken !== undefined) secrets.add(credentials.sessionToken)
  return { ...config, credentials }
}
