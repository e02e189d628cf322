/** Which host keys a `known_hosts` file accepts for a server; the format is that of sshd(8). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export interface KnownHosts {
  /** Types of the keys that are known for the host, such as `ssh-ed25519`: to be asked for first. */
  types: string[]
  /** By the bytes of the key. */
  check(key: Buffer): 'known' | 'unknown' | 'changed' | 'revoked'
}

/** `[host]:port` is how files name a server that does not listen on 22. */
const nameOf = (host: string, port: number): string => (port === 22 ? host : `[${host}]:${port}`)

export function knownHosts(text: string, host: string, port: number): KnownHosts {
  const name = nameOf(host.toLowerCase(), port)
  const known: Buffer[] = []
  const revoked: Buffer[] = []
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (words[0] === undefined || words[0] === '' || words[0].startsWith('#')) continue
    const marker = words[0].startsWith('@') ? words.shift() : undefined
    const [patterns = '', , base64 = ''] = words
    // Certificates of hosts are not spoken by the client: a line about an authority says nothing about a key.
    if (marker === '@cert-authority' || !matches(patterns, name)) continue
    ;(marker === '@revoked' ? revoked : known).push(Buffer.from(base64, 'base64'))
  }
  return {
    types: [...new Set(known.map(typeOf))],
    check(key) {
      if (revoked.some((each) => each.equals(key))) return 'revoked'
      if (known.some((each) => each.equals(key))) return 'known'
      return known.length > 0 ? 'changed' : 'unknown'
    },
  }
}

/** A key begins with the length of its type (4 bytes, big-endian) and the type. */
export function typeOf(key: Buffer): string {
  if (key.length < 4) return ''
  return key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1')
}

/** As `ssh-keygen -l` prints it. */
export const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`

function matches(patterns: string, name: string): boolean {
  if (patterns.startsWith('|1|')) return matchesHash(patterns, name)
  let found = false
  for (const pattern of patterns.toLowerCase().split(',')) {
    if (pattern.startsWith('!')) {
      if (matchesWild(pattern.slice(1), name)) return false
    } else found ||= matchesWild(pattern, name)
  }
  return found
}

/** `|1|salt|HMAC-SHA1 of the name`, both base64. */
function matchesHash(pattern: string, name: string): boolean {
  const [, , salt = '', hash = ''] = pattern.split('|')
  const wanted = Buffer.from(hash, 'base64')
  const found = createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest()
  return wanted.length === found.length && timingSafeEqual(wanted, found)
}

function matchesWild(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`).test(name)
}
