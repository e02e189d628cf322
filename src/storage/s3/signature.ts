/** Version 4 of AWS's signatures, in the headers of one request: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'
import type { Bytes } from '../../base/bytes.ts'

export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string | undefined
}

export interface Unsigned {
  method: string
  /** As it will be sent, escaped by `escapedPath`; no query. */
  path: string
  /** With lower-case names, `host` among them; all are signed. */
  headers: Record<string, string>
  body: Bytes
}

const ALGORITHM = 'AWS4-HMAC-SHA256'

/** Slashes stay; all else but letters, digits and `-._~` is escaped. */
export const escapedPath = (path: string): string =>
  path
    .split('/')
    .map((part) =>
      encodeURIComponent(part).replaceAll(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/')

/** Gives the headers to send. The key that is made for a day is kept. */
export function signer(region: string): (what: Unsigned, keys: Keys, now: Date) => Record<string, string> {
  let made: { secret: string; day: string; key: KeyObject } | undefined

  function keyOf(secret: string, day: string): KeyObject {
    if (made?.secret === secret && made.day === day) return made.key
    let key: Buffer = Buffer.from(`AWS4${secret}`)
    for (const step of [day, region, 's3', 'aws4_request']) key = createHmac('sha256', key).update(step).digest()
    made = { secret, day, key: createSecretKey(key) }
    return made.key
  }

  return ({ method, path, headers, body }, { accessKeyId, secretAccessKey, sessionToken }, now) => {
    const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, '')
    const day = time.slice(0, 8)
    const sum = hash('sha256', body)
    const all: Record<string, string> = {
      ...headers,
      'x-amz-content-sha256': sum,
      'x-amz-date': time,
      ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    }
    const names = Object.keys(all).sort()
    const lines = names.map((name) => `${name}:${(all[name] ?? '').trim().replaceAll(/ +/g, ' ')}\n`).join('')
    const signed = names.join(';')
    const request = [method, path, '', lines, signed, sum].join('\n')
    const scope = `${day}/${region}/s3/aws4_request`
    const text = [ALGORITHM, time, scope, hash('sha256', request)].join('\n')
    const signature = createHmac('sha256', keyOf(secretAccessKey, day)).update(text).digest('hex')
    all['authorization'] =
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`
    return all
  }
}
