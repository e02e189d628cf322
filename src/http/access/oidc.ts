/** Signing in by an identity provider: OpenID Connect, code flow with PKCE; the provider's configuration is discovered. */
import { createHmac, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import { AppError, toAppError } from '../../base/errors.ts'
import type { Role, User } from '../../model/access.ts'
import type { OidcSettings } from '../../model/settings.ts'
import type { Served } from '../contract/index.ts'
import type { Api, Handlers } from '../handler.ts'
import type { Asked } from './addresses.ts'

type SignIn = (
  user: User,
  how: { asked: Asked; agent: string; headers: Record<string, string | string[]> },
) => Served<'GET /api/v1/session'>['answer']

/** Who does not come back by then begins again. */
const PENDING_MS = 10 * 60_000
const COOKIE = 'holdfast-oidc'
const ROLES: readonly Role[] = ['admin', 'restorer', 'operator', 'viewer']

export function oidcRoutes(api: Api, signIn: SignIn): Handlers<'GET /api/v1/oidc/start' | 'GET /api/v1/oidc/callback'> {
  const { settings, clock } = api.app
  const store = () => api.app.history().server.access
  // Only this process reads what it wrote, so a restart makes those who are on their way begin again.
  const key = randomBytes(32)
  let discovered: ReturnType<typeof discover> | undefined

  async function discover(oidc: OidcSettings) {
    const client = await import('openid-client')
    const secret = await oidc.clientSecret?.read()
    const issuer = new URL(oidc.issuer)
    const insecure = issuer.protocol === 'http:' ? { execute: [client.allowInsecureRequests] } : {}
    const config = await client.discovery(issuer, oidc.clientId, secret, undefined, insecure)
    return { client, config }
  }

  async function provider() {
    const { oidc } = settings.server
    if (oidc === undefined) throw new AppError('request.not-found', 'no identity provider is configured')
    if (oidc.issuer.startsWith('http:') && !isLocal(oidc.issuer))
      throw new AppError('config.invalid', 'server.oidc.issuer must be an https address')
    discovered ??= discover(oidc)
    try {
      return { ...(await discovered), oidc }
    } catch (error) {
      discovered = undefined
      throw new AppError('source.unreachable', `the identity provider ${oidc.issuer}: ${toAppError(error).message}`, {
        cause: error,
        hint: 'Check server.oidc.issuer, and that this machine reaches it.',
      })
    }
  }

  const redirectOf = ({ origin }: Asked): string =>
    `${settings.server.url?.replace(/\/$/, '') ?? origin}/api/v1/oidc/callback`

  return {
    async 'GET /api/v1/oidc/start'({ query, asked, headers }) {
      const { client, config, oidc } = await provider()
      const verifier = client.randomPKCECodeVerifier()
      const state = client.randomState()
      const nonce = client.randomNonce()
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: redirectOf(asked),
        scope: oidc.scopes.join(' '),
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      })
      const pending = seal(key, {
        verifier,
        state,
        nonce,
        to: pathOf(query.to),
        until: clock.now().getTime() + PENDING_MS,
      })
      const secure = asked.secure ? '; Secure' : ''
      // Lax, as the browser comes back from another site.
      headers['set-cookie'] = `${COOKIE}=${pending}; Path=/; Max-Age=600; HttpOnly; SameSite=Lax${secure}`
      headers['location'] = url.href
      return undefined
    },

    async 'GET /api/v1/oidc/callback'({ asked, request, headers }) {
      const { client, config, oidc } = await provider()
      const [, text = ''] = new RegExp(`(?:^|;\\s*)${COOKIE}=([^;]*)`).exec(request.headers.cookie ?? '') ?? []
      const pending = unseal(key, text)
      if (pending === undefined || pending.until < clock.now().getTime())
        throw new AppError('auth.failed', 'this sign-in was not begun here, or too long ago', { hint: 'Begin again.' })
      const current = new URL(redirectOf(asked))
      current.search = new URL(request.url ?? '/', 'http://localhost').search
      let claims: Record<string, unknown>
      try {
        const tokens = await client.authorizationCodeGrant(config, current, {
          pkceCodeVerifier: pending.verifier,
          expectedState: pending.state,
          expectedNonce: pending.nonce,
          idTokenExpected: true,
        })
        claims = { ...tokens.claims() }
        const { userinfo_endpoint: more } = config.serverMetadata()
        if (more !== undefined)
          claims = { ...(await client.fetchUserInfo(config, tokens.access_token, String(claims['sub']))), ...claims }
      } catch (error) {
        throw new AppError('auth.failed', `the identity provider did not confirm it: ${toAppError(error).message}`, {
          cause: error,
          hint: 'Begin again; if it stays so, look at the log of the identity provider.',
        })
      }
      const user = userOf(claims, oidc)
      signIn(user, { asked, agent: request.headers['user-agent'] ?? '', headers })
      headers['set-cookie'] = [
        ...[headers['set-cookie'] ?? []].flat(),
        `${COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`,
      ]
      const base = settings.server.url?.replace(/\/$/, '') ?? ''
      headers['location'] = `${base}${pending.to}`
      return undefined
    },
  }

  /** The account of the subject, made at the first time; its role follows the provider each time. */
  function userOf(claims: Record<string, unknown>, oidc: OidcSettings): User {
    const subject = `${oidc.issuer} ${String(claims['sub'])}`
    const role = roleOf(claims, oidc)
    if (role === undefined)
      throw new AppError('auth.denied', 'the identity provider gives this account no role here', {
        hint: 'See server.oidc.roleClaim, roles and defaultRole.',
      })
    const known = store().userOfSubject(subject)
    if (known?.disabled === true) throw new AppError('auth.denied', 'this account was disabled')
    if (known !== undefined) {
      if (known.role !== role) store().saveUser({ ...known, role })
      return { ...known, role }
    }
    const user: User = {
      id: randomUUID(),
      name: freeName(claims),
      role,
      disabled: false,
      subject,
      createdAt: clock.now(),
      secret: { recovery: [] },
    }
    store().saveUser(user)
    return user
  }

  /** Nobody gets an account by having its name elsewhere. */
  function freeName(claims: Record<string, unknown>): string {
    const wanted = ['preferred_username', 'email', 'name', 'sub'].map((name) => claims[name])
    const base =
      (wanted.find((one) => typeof one === 'string' && one !== '') as string | undefined)?.slice(0, 60) ?? 'user'
    for (let n = 1; ; n += 1) {
      const name = n === 1 ? base : `${base} ${n}`
      if (store().userNamed(name) === undefined) return name
    }
  }
}

/** The highest that any of the values gives. */
function roleOf(
  claims: Record<string, unknown>,
  { roleClaim, roles = {}, defaultRole }: OidcSettings,
): Role | undefined {
  const claim = roleClaim === undefined ? [] : [claims[roleClaim]].flat().map(String)
  const given = claim.flatMap((value) => (Object.hasOwn(roles, value) ? (roles[value] ?? []) : []))
  return ROLES.find((role) => given.includes(role)) ?? (defaultRole === 'none' ? undefined : defaultRole)
}

/** Never another site. */
function pathOf(to: string | undefined): string {
  if (to === undefined || !/^\/(?![/\\])[\x21-\x7e]*$/.test(to) || to.includes('\\')) return '/'
  return to
}

const isLocal = (issuer: string): boolean => /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/|$)/.test(issuer)

interface Pending {
  verifier: string
  state: string
  nonce: string
  to: string
  until: number
}

function seal(key: Buffer, pending: Pending): string {
  const body = Buffer.from(JSON.stringify(pending)).toString('base64url')
  return `${body}.${createHmac('sha256', key).update(body).digest('base64url')}`
}

function unseal(key: Buffer, text: string): Pending | undefined {
  const [body = '', mark = ''] = text.split('.')
  const wanted = createHmac('sha256', key).update(body).digest()
  const found = Buffer.from(mark, 'base64url')
  if (found.length !== wanted.length || !timingSafeEqual(found, wanted)) return undefined
  return JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Pending
}
