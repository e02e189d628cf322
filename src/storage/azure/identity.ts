/**
 * Tokens for Azure without a secret in the settings, in the order in which Azure's own libraries look: an application
 * by the environment, a federated token (Kubernetes), the managed identity of an App Service, that of a machine.
 */
import { readFile } from 'node:fs/promises'
import { AppError } from '../../base/errors.ts'
import { registerSecret } from '../../base/redact.ts'

const RESOURCE = 'https://storage.azure.com'
const MACHINE = 'http://169.254.169.254'
/** A machine without an identity has nobody at that address. */
const TIMEOUT_MS = 10_000
/** A token is renewed so long before it ends. */
const MARGIN_MS = 5 * 60_000

export interface AccessToken {
  token: string
  expiresOnTimestamp: number
}

type Env = Readonly<Record<string, string | undefined>>

/** What the SDK takes as a credential. `clientId` chooses among several identities. */
export function managedIdentity(clientId: string | undefined, env: Env = process.env) {
  let known: AccessToken | undefined
  let asking: Promise<AccessToken> | undefined
  return {
    async getToken(): Promise<AccessToken> {
      if (known !== undefined && known.expiresOnTimestamp - Date.now() > MARGIN_MS) return known
      asking ??= tokenOf(clientId ?? env['AZURE_CLIENT_ID'], env).finally(() => (asking = undefined))
      return (known = await asking)
    },
  }
}

async function tokenOf(clientId: string | undefined, env: Env): Promise<AccessToken> {
  const tenant = env['AZURE_TENANT_ID']
  const authority = (env['AZURE_AUTHORITY_HOST'] ?? 'https://login.microsoftonline.com').replace(/\/$/, '')
  if (tenant !== undefined && clientId !== undefined) {
    const secret = env['AZURE_CLIENT_SECRET']
    const file = env['AZURE_FEDERATED_TOKEN_FILE']
    const form = new URLSearchParams({
      client_id: clientId,
      scope: `${RESOURCE}/.default`,
      grant_type: 'client_credentials',
    })
    if (secret !== undefined) form.set('client_secret', secret)
    else if (file !== undefined) {
      form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      form.set('client_assertion', (await readFile(file, 'utf8')).trim())
    }
    if (secret !== undefined || file !== undefined)
      return ask(`${authority}/${tenant}/oauth2/v2.0/token`, { method: 'POST', body: form })
  }
  const service = env['IDENTITY_ENDPOINT']
  const query = new URLSearchParams({ resource: RESOURCE, ...(clientId !== undefined && { client_id: clientId }) })
  if (service !== undefined) {
    query.set('api-version', '2019-08-01')
    return ask(`${service}?${query.toString()}`, { headers: { 'x-identity-header': env['IDENTITY_HEADER'] ?? '' } })
  }
  query.set('api-version', '2018-02-01')
  const machine = env['AZURE_POD_IDENTITY_AUTHORITY_HOST'] ?? MACHINE
  return ask(`${machine}/metadata/identity/oauth2/token?${query.toString()}`, { headers: { metadata: 'true' } })
}

async function ask(url: string, request: RequestInit): Promise<AccessToken> {
  const tried = 'get a token for the managed identity'
  let response: Response
  try {
    response = await fetch(url, { ...request, signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch (cause) {
    throw new AppError('storage.no-credentials', `cannot ${tried}: ${new URL(url).host} does not answer`, {
      cause,
      hint: HINT,
    })
  }
  const answer: unknown = await response.json().catch(() => undefined)
  const field = (name: string): unknown =>
    typeof answer === 'object' && answer !== null ? Reflect.get(answer, name) : undefined
  const token = field('access_token')
  if (response.ok && typeof token === 'string') {
    registerSecret(token)
    const lasts = Number(field('expires_in'))
    const until = Number(field('expires_on'))
    const expires = Number.isFinite(lasts) && lasts > 0 ? Date.now() + lasts * 1000 : until * 1000
    return { token, expiresOnTimestamp: Number.isFinite(expires) ? expires : Date.now() + 10 * 60_000 }
  }
  const busy = response.status === 429 || response.status >= 500
  const why = [field('error'), field('error_description')].filter((one) => typeof one === 'string').join(': ')
  throw new AppError(
    busy ? 'storage.throttled' : 'storage.no-credentials',
    `cannot ${tried}: ${why || 'refused'} (HTTP ${response.status})`,
    busy ? {} : { hint: HINT },
  )
}

const HINT = 'Set connectionString, accountKey or sasToken of the azure storage, or give this machine an identity.'
