import { AppError } from '../../base/errors.ts'
import { registerSecret } from '../../base/redact.ts'
import type { GcsStorageSettings } from '../../model/settings.ts'
import { driverCalls, type CallsOptions } from '../calls.ts'
import { failureOf, networkError, request } from '../http.ts'
import { optionalSdk } from '../optional-sdk.ts'
import { gcsError, parsed } from './errors.ts'

const GOOGLE = 'https://storage.googleapis.com'
const SCOPES = {
  plain: 'https://www.googleapis.com/auth/devstorage.read_write',
  /** To change the retention and the holds of objects. */
  locks: 'https://www.googleapis.com/auth/devstorage.full_control',
}
const RENEW_EVERY_MS = 10_000

export interface Ask {
  method?: string
  /** Below the address of the API, or the whole address of an upload. */
  path: string
  query?: Record<string, string | undefined>
  headers?: Record<string, string>
  body?: Uint8Array
  /** Answers beside success that are no error to the caller. */
  also?: readonly number[]
}

export interface Client {
  calls: ReturnType<typeof driverCalls>
  /** One request with credentials; an answer that is not expected rejects with what it says. */
  ask(tried: string, signal: AbortSignal, what: Ask): Promise<Response>
}

/** Speaks the JSON API; credentials come from Google's own library, loaded when the first of them is wanted. */
export function connect(
  settings: Omit<GcsStorageSettings, 'type'>,
  options: Omit<CallsOptions, 'toError' | 'renew'>,
): Client {
  const endpoint = (settings.endpoint ?? GOOGLE).replace(/\/$/, '')
  // Servers like it rarely want credentials.
  const anonymous = settings.credentials === undefined && settings.endpoint !== undefined
  let token: (() => Promise<string>) | undefined
  let again = false
  let renewedAt = -Infinity

  async function authorization(): Promise<Record<string, string>> {
    if (anonymous) return {}
    token ??= await tokens(settings, again)
    const text = await token().catch((error: unknown) => {
      token = undefined
      throw noCredentials(error)
    })
    registerSecret(text)
    return { authorization: `Bearer ${text}` }
  }

  const calls = driverCalls({
    ...options,
    toError: networkError,
    renew() {
      const since = performance.now() - renewedAt
      if (anonymous || since < RENEW_EVERY_MS) return !anonymous && since < 1000
      renewedAt = performance.now()
      token = undefined
      again = true
      return true
    },
  })

  return {
    calls,
    async ask(tried, signal, { method = 'GET', path, query = {}, headers = {}, body, also = [] }) {
      const url = new URL(path.startsWith('http') ? path : `${endpoint}${path}`)
      for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, value)
      if (settings.userProject !== undefined && !path.startsWith('http'))
        url.searchParams.set('userProject', settings.userProject)
      const response = await request({
        method,
        url: url.href,
        headers: { ...(await authorization()), ...headers },
        ...(body !== undefined && { body }),
        signal,
      })
      if (response.ok || also.includes(response.status)) return response
      throw gcsError(tried, await failureOf(response))
    },
  }
}

/** Of the settings' own credentials, else the default ones: environment, gcloud, the machine. */
async function tokens(settings: Omit<GcsStorageSettings, 'type'>, again: boolean): Promise<() => Promise<string>> {
  const sdk = await optionalSdk(() => import('google-auth-library'), 'Google Cloud Storage', 'google-auth-library@11')
  const scope = settings.objectLock === undefined ? SCOPES.plain : SCOPES.locks
  const auth = new sdk.GoogleAuth({ scopes: [scope] })
  const client = await (async () => {
    if (settings.credentials === undefined) return auth.getClient()
    const json = parsed(await settings.credentials.read({ again }))
    if (typeof json !== 'object' || json === null)
      throw new AppError('storage.invalid', 'the credentials of the gcs storage are no JSON', {
        hint: 'Give the JSON of a service account, by credentialsFile for example.',
      })
    return auth.fromJSON(json)
  })().catch((error: unknown) => {
    throw noCredentials(error)
  })
  if ('scopes' in client) client.scopes = [scope]
  return async () => {
    const { token } = await client.getAccessToken()
    if (typeof token !== 'string') throw new Error('no token came back')
    return token
  }
}

function noCredentials(error: unknown): AppError {
  if (error instanceof AppError) return error
  const text = error instanceof Error ? error.message : String(error)
  const network = /ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|socket hang up/.test(text)
  return new AppError(
    network ? 'storage.unreachable' : 'storage.no-credentials',
    `cannot get credentials for Google Cloud: ${text}`,
    { hint: 'Set credentialsFile of the gcs storage, or run `gcloud auth application-default login`.' },
  )
}
