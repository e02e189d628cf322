/** What a machine or a pod at AWS asks for its credentials: the metadata service (version 2) and the token service. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface AwsServices {
  origin: string
  /** `PUT /latest/api/token`, `AssumeRoleWithWebIdentity`, … in order of their coming. */
  seen: string[]
  /** When credentials that are given now expire. */
  expires: () => Date
  stop(): Promise<void>
}

export async function startAwsServices(keys: { accessKeyId: string; secretAccessKey: string }): Promise<AwsServices> {
  const token = 'metadata-token'
  const http = createServer((request, response) => {
    void (async () => {
      const body = await textOf(request)
      const path = request.url ?? '/'
      const asks = new URLSearchParams(body)
      services.seen.push(asks.get('Action') ?? `${request.method} ${path}`)
      const given = { ...keys, token: 'session-token', expires: services.expires().toISOString() }
      if (request.method === 'PUT' && path === '/latest/api/token') return response.end(token)
      if (asks.get('Action') === 'AssumeRoleWithWebIdentity') {
        const known =
          asks.get('WebIdentityToken') === 'token-of-the-pod' && asks.get('RoleArn')?.endsWith(':role/backup')
        response.writeHead(known === true ? 200 : 403, { 'content-type': 'text/xml' })
        return response.end(
          known === true ? assumed(given) : '<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>',
        )
      }
      // Version 1 of the service would answer without the token.
      if (request.headers['x-aws-ec2-metadata-token'] !== token) return response.writeHead(401).end()
      const role = '/latest/meta-data/iam/security-credentials/'
      if (path === role) return response.end('backup-role')
      if (path !== `${role}backup-role`) return response.writeHead(404).end()
      return response.end(
        JSON.stringify({
          Code: 'Success',
          Type: 'AWS-HMAC',
          LastUpdated: new Date().toISOString(),
          AccessKeyId: given.accessKeyId,
          SecretAccessKey: given.secretAccessKey,
          Token: given.token,
          Expiration: given.expires,
        }),
      )
    })()
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const services: AwsServices = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    seen: [],
    expires: () => new Date(Date.now() + 3_600_000),
    async stop() {
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
  return services
}

const assumed = (given: { accessKeyId: string; secretAccessKey: string; token: string; expires: string }): string =>
  `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>${given.accessKeyId}</AccessKeyId><SecretAccessKey>${given.secretAccessKey}</SecretAccessKey>
<SessionToken>${given.token}</SessionToken><Expiration>${given.expires}</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/backup/x</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
