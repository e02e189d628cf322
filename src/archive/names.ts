/** Names of the objects of a backup, from the vault's path template. */
import { AppError } from '../base/errors.ts'
import type { Compression, Container, ManifestEncryption } from './manifest.ts'

export const DEFAULT_TEMPLATE = '{job}/{date}_{time}_{type}'

export interface NameFacts {
  job: string
  host: string
  type: string
  backupId: string
  time: Date
  /** IANA zone of {date}, {time}, {year}, {month} and {day}; UTC if absent. */
  timezone?: string | undefined
}

const KNOWN = ['job', 'host', 'type', 'backupId', 'date', 'time', 'year', 'month', 'day'] as const

/** `{job}/{date}_{time}_{type}` → `uploads/2026-11-21_03-00-00_full` */
export function baseName(template: string, facts: NameFacts): string {
  const [date, time] = localTime(facts.time, facts.timezone)
  const [year, month, day] = date.split('-') as [string, string, string]
  const values: Record<(typeof KNOWN)[number], string> = {
    job: safe(facts.job),
    host: safe(facts.host),
    type: facts.type,
    backupId: facts.backupId,
    date,
    time,
    year,
    month,
    day,
  }
  const name = template.replaceAll(/\{([^}]*)\}/g, (_, key: string) => {
    const value = (values as Record<string, string>)[key]
    if (value === undefined) {
      throw new AppError('config.invalid', `the path template ${template} has {${key}}`, {
        hint: `Use ${KNOWN.map((known) => `{${known}}`).join(' ')}.`,
      })
    }
    return value
  })
  const parts = name.split('/').filter((part) => part !== '')
  if (parts.length === 0 || parts.some((part) => part === '..' || part === '.')) {
    throw new AppError('config.invalid', `the path template ${template} gives the name ${JSON.stringify(name)}`, {
      hint: 'Use a relative path without `..`.',
    })
  }
  return parts.join('/')
}

/** `.tar.zst`, `.tar.gz.enc`, `.zip.age` … */
export function payloadSuffix(
  container: Container,
  compression: Compression,
  encryption: ManifestEncryption['type'],
): string {
  const packed = container === 'zip' ? '' : COMPRESSION_SUFFIX[compression]
  return `.${container}${packed}${ENCRYPTION_SUFFIX[encryption]}`
}

export const indexSuffix = (encryption: ManifestEncryption['type']): string =>
  `.index.zst${ENCRYPTION_SUFFIX[encryption]}`

/** Part 0 has the plain suffix, so that a backup of one part is one ordinary file; `cat NAME*` joins several in order. */
export const partSuffix = (number: number): string => (number === 0 ? '' : `.${String(number).padStart(4, '0')}`)

const COMPRESSION_SUFFIX: Record<Compression, string> = {
  none: '',
  gzip: '.gz',
  zstd: '.zst',
  brotli: '.br',
  deflate: '.zz',
}
const ENCRYPTION_SUFFIX: Record<ManifestEncryption['type'], string> = { none: '', 'aes-256-gcm': '.enc', age: '.age' }

/** Manifests and indexes are written once; notes are not, nor is the description. Payloads are too large to keep. */
export const isImmutable = (key: string): boolean => /\.manifest\.json$|\.index\.zst(\.enc|\.age)?$/.test(key)

/** Job and host names become one path component each. */
const safe = (name: string): string => name.replaceAll(/[^\w.@+=-]/g, '_').replace(/^\.+/, '_')

/** `['2026-11-21', '03-00-00']` */
function localTime(time: Date, timezone: string | undefined): [string, string] {
  if (timezone === undefined || timezone === 'UTC') {
    const iso = time.toISOString()
    return [iso.slice(0, 10), iso.slice(11, 19).replaceAll(':', '-')]
  }
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' })
  const [date, clock] = format.format(time).split(' ') as [string, string]
  return [date, clock.replaceAll(':', '-')]
}
