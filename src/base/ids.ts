import { randomBytes, randomUUID } from 'node:crypto'

/** `2024-03-15T14-30-45`: a UTC time that is safe in file names. */
export function timeForName(time: Date): string {
  return time.toISOString().slice(0, 19).replaceAll(':', '-')
}

/** `full-2024-03-15T14-30-45-abc123` */
export function backupId(type: string, time: Date): string {
  return `${type}-${timeForName(time)}-${randomBytes(3).toString('hex')}`
}

export const runId = (): string => randomUUID()
