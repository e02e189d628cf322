/**
 * Addresses that only the machine itself, or the cloud below it, should ask: link-local ones, among them those where
 * clouds tell credentials to whoever asks. Nobody backs up to them, so nobody may make this server ask them.
 */
import { lookup } from 'node:dns/promises'
import { BlockList, isIP } from 'node:net'
import { AppError } from '../base/errors.ts'

const forbidden = new BlockList()
forbidden.addSubnet('169.254.0.0', 16)
forbidden.addSubnet('fe80::', 10, 'ipv6')
/** Of Amazon over IPv6, of Alibaba, of Oracle. */
forbidden.addAddress('fd00:ec2::254', 'ipv6')
forbidden.addAddress('100.100.100.200')
forbidden.addAddress('192.0.0.192')

/** Keys whose text is a host and no URL. */
const HOST_KEYS = new Set(['host', 'endpoint', 'account'])
const LOOKUP_MS = 3000

/** Rejects a definition, or a part of one, that names such a place by address, by name or in a URL. */
export async function refuseMetadata(value: unknown): Promise<void> {
  const hosts = new Set(hostsIn(value, ''))
  await Promise.all([...hosts].map(refuseHost))
}

function hostsIn(value: unknown, key: string): string[] {
  if (typeof value === 'string') return hostOf(value, key)
  if (Array.isArray(value)) return value.flatMap((item) => hostsIn(item, key))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, item]) => hostsIn(item, name))
}

function hostOf(text: string, key: string): string[] {
  // A storage in one text may carry the endpoint as a parameter.
  const inner = [...text.matchAll(/[?&](?:endpoint|url|host)=([^&]+)/g)].flatMap(([, one = '']) =>
    hostOf(decoded(one), 'endpoint'),
  )
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) && URL.canParse(text)) {
    const { hostname } = new URL(text.replace(/^[a-z][a-z0-9+.-]*:/i, 'http:'))
    return [...inner, hostname.replace(/^\[|\]$/g, '')]
  }
  return HOST_KEYS.has(key) ? [...inner, text.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')] : inner
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

async function refuseHost(host: string): Promise<void> {
  const addresses = isIP(host) > 0 ? [{ address: host, family: isIP(host) }] : await addressesOf(host)
  const bad = addresses.find(
    ({ address, family }) => forbidden.check(address, family === 6 ? 'ipv6' : 'ipv4') || isMapped(address),
  )
  if (bad === undefined && host.toLowerCase() !== 'metadata.google.internal') return
  throw new AppError('request.invalid', `${host} is an address of the machine or its cloud itself`, {
    hint: 'Link-local and metadata addresses are not asked for anybody.',
  })
}

/** `::ffff:169.254.169.254` */
function isMapped(address: string): boolean {
  const [, v4] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address) ?? []
  return v4 !== undefined && forbidden.check(v4)
}

/** None for a name that nobody knows: whoever connects to it tells that better. */
async function addressesOf(host: string): Promise<{ address: string; family: number }[]> {
  if (host === '') return []
  const late = new Promise<[]>((resolve) => setTimeout(() => resolve([]), LOOKUP_MS).unref())
  return Promise.race([lookup(host, { all: true }).catch(() => []), late])
}
