/**
 * One restore into a database at a time, wherever it runs: an object among s3db's own locks says who is at work, and until
 * when if nobody renews it. What a dead process left ends by itself.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { AppError } from '../../base/errors.ts'
import { findObject } from './fetch.ts'
import type { ObjectClient } from './object-client.ts'

export const RESTORE_LOCK = 'plugin=s3db-core/locks/holdfast-restore'
const LASTS_MS = 120_000

/** Rejects with `target.in-use`. */
export async function restoreLock(client: ObjectClient): Promise<AsyncDisposable> {
  const owner = randomUUID()
  const write = async (): Promise<unknown> =>
    client.putObject({
      key: RESTORE_LOCK,
      metadata: { owner, until: String(Date.now() + LASTS_MS), process: `${hostname()} ${process.pid}` },
      contentLength: 0,
    })
  const holder = async (): Promise<Record<string, unknown> | undefined> => {
    const found = (await findObject(client, RESTORE_LOCK))?.Metadata
    return found !== undefined && Number(found['until']) > Date.now() ? found : undefined
  }
  const refuse = (other: Record<string, unknown>): never => {
    throw new AppError(
      'target.in-use',
      `another restore into this database is at work: process ${String(other['process'])}`,
    )
  }
  const other = await holder()
  if (other !== undefined) refuse(other)
  await write()
  // Of two that looked at the same moment, the one that wrote last has it.
  const now = await holder()
  if (now !== undefined && now['owner'] !== owner) refuse(now)
  const renewing = setInterval(() => void write().catch(() => undefined), LASTS_MS / 4)
  renewing.unref()
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(renewing)
      const last = await holder().catch(() => undefined)
      if (last?.['owner'] === owner) await client.deleteObject(RESTORE_LOCK)
    },
  }
}
