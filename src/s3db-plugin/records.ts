/** Backups of vaults as the records that callers know. Everything in them comes from the vaults: there is no other list. */
import { parsedLabel, recordCounts } from '../model/labels.ts'
import { optionError } from './errors.ts'
import type { Copy, Inventory, Session } from './session.ts'
import type { BackupRecord, DriverInfo, ListBackupsOptions } from './types.ts'

export const KIND = 'kind'
export const METADATA = 'metadata'

export function recordOf(session: Session, id: string, copies: readonly Copy[], inventory: Inventory): BackupRecord {
  const first = copies.find(({ backup }) => backup.broken === undefined) ?? copies[0]
  if (first === undefined) throw new TypeError(`${id} has no copy`)
  const { backup } = first
  const { labels = {}, ended = backup.time, compression = 'none' } = backup
  const infos = session.destinations.map((destination, at): DriverInfo => {
    const copy = copies.find((each) => each.at === at)
    const where = session.multi ? { destination: at } : {}
    if (copy === undefined) {
      const error = inventory.failures.get(at)
      if (error === undefined) return { driver: destination.driver, ...where, status: 'missing' }
      return { driver: destination.driver, ...where, status: 'failed', error: error.message }
    }
    const { broken } = copy.backup
    const info = { ...destination.info(copy.backup), ...where }
    return broken === undefined ? info : { ...info, status: 'failed', error: broken }
  })
  const info = infos[first.at] as DriverInfo
  const records = recordCounts(labels['resources'])
  const bad = infos.filter(({ status }) => status !== 'success')
  const whole = backup.broken === undefined
  return {
    id,
    type: labels[KIND] ?? backup.type,
    timestamp: backup.time.toISOString(),
    createdAt: backup.time.toISOString().slice(0, 10),
    size: backup.storedBytes ?? 0,
    duration: Math.max(1, ended.getTime() - backup.time.getTime()),
    checksum: backup.checksum ?? '',
    driverInfo: session.multi ? infos : info,
    resources: Object.keys(records),
    records,
    status: !whole ? 'failed' : bad.length > 0 && session.strategy === 'all' ? 'partial' : 'completed',
    error: !whole ? (backup.broken ?? null) : session.strategy === 'all' ? problemOf(bad) : null,
    compression,
    compressed: compression !== 'none',
    encrypted: backup.encrypted ?? false,
    parent: backup.parent ?? null,
    needs: backup.needs,
    proof: backup.proof.level,
    metadata: parsedLabel(labels[METADATA]),
    ...(info.path !== undefined && { path: info.path }),
    ...(info.manifestPath !== undefined && { manifestPath: info.manifestPath }),
  }
}

const problemOf = (bad: readonly DriverInfo[]): string | null =>
  bad.map(({ destination, status, error }) => `destination ${destination}: ${error ?? status}`).join('; ') || null

/** What a listing is narrowed by. */
export function filterOf({ prefix = '', startDate, endDate }: ListBackupsOptions): (record: BackupRecord) => boolean {
  const from = startDate === undefined ? -Infinity : timeOf(startDate, 'startDate')
  const to = endDate === undefined ? Infinity : timeOf(endDate, 'endDate', 86_400_000 - 1)
  return ({ id, timestamp }) => id.startsWith(prefix) && Date.parse(timestamp) >= from && Date.parse(timestamp) <= to
}

function timeOf(value: unknown, name: string, wholeDay = 0): number {
  const day = typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)
  const time =
    value instanceof Date || typeof value === 'string' || typeof value === 'number' ? new Date(value) : undefined
  if (time === undefined || Number.isNaN(time.getTime())) throw optionError(`${name} is no date`)
  return time.getTime() + (day ? wholeDay : 0)
}
