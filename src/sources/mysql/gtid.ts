/** MariaDB's places in its log: the last transaction of each domain, `0-7-42`. As positions of a lane they are joined by `+`. */
import type { Gtid } from './binlog.ts'

/** Before the first transaction. */
const NOTHING = '0-0-0'

export const positionOfGtids = (text: string): string => {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  return parts.length === 0 ? NOTHING : parts.sort(byDomain).join('+')
}

/** As the server wants it. */
export const gtidsOfPosition = (position: string): string => (position === NOTHING ? '' : position.replaceAll('+', ','))

const domainOf = (part: string): number => Number(part.split('-')[0])
const byDomain = (a: string, b: string): number => domainOf(a) - domainOf(b)

/** The place after this transaction. */
export function advanced(position: string, { domain, server, sequence }: Gtid): string {
  const parts = position === NOTHING ? [] : position.split('+').filter((part) => domainOf(part) !== domain)
  return [...parts, `${domain}-${server}-${sequence}`].sort(byDomain).join('+')
}

/** Whether the transaction lies within what is before `position`. */
export function holds(position: string, { domain, sequence }: Pick<Gtid, 'domain' | 'sequence'>): boolean {
  const part = position === NOTHING ? undefined : position.split('+').find((one) => domainOf(one) === domain)
  return part !== undefined && BigInt(part.split('-')[2] ?? '0') >= sequence
}
