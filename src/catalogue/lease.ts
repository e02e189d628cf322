/** Leases in the catalogue: a row that counts as long as its owner lives and renews it. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { processIdentity, processState, type ProcessIdentity } from '../base/process-identity.ts'
import { transaction, type Database } from './database.ts'
import type { Lease } from '../model/catalogue.ts'

const TTL_MS = 60_000

interface Row {
  token: string
  owner: string
  expires_at: number
}

function isLive(row: Row, clock: Clock): boolean {
  const state = processState(JSON.parse(row.owner) as ProcessIdentity)
  if (state !== 'unknown') return state === 'alive'
  // Twice the time, as clocks differ.
  return clock.now().getTime() < row.expires_at + TTL_MS
}

const read = (database: Database, name: string): Row | undefined =>
  database.prepare('SELECT token, owner, expires_at FROM lease WHERE name = ?').get(name) as Row | undefined

export function leaseOwner(database: Database, clock: Clock, name: string): string | undefined {
  const row = read(database, name)
  if (row === undefined || !isLive(row, clock)) return undefined
  const { pid, host } = JSON.parse(row.owner) as ProcessIdentity
  return `process ${pid} on ${host}`
}

export function takeLease(database: Database, clock: Clock, name: string, onLost?: () => void): Lease | undefined {
  const token = randomUUID()
  const expires = (): number => clock.now().getTime() + TTL_MS
  const taken = transaction(database, () => {
    const row = read(database, name)
    if (row !== undefined && isLive(row, clock)) return false
    database
      .prepare(
        `INSERT INTO lease (name, token, owner, expires_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE SET token = excluded.token, owner = excluded.owner, expires_at = excluded.expires_at`,
      )
      .run(name, token, JSON.stringify(processIdentity()), expires())
    return true
  })
  if (!taken) return undefined
  const renew = database.prepare('UPDATE lease SET expires_at = ? WHERE name = ? AND token = ?')
  /** On a full or busy disk it stays ours until its time is over; the next turn tries again. */
  const renewed = (): boolean => {
    try {
      return renew.run(expires(), name, token).changes > 0
    } catch {
      return true
    }
  }
  const timer = setInterval(() => {
    if (!database.isOpen || renewed()) return
    clearInterval(timer)
    onLost?.()
  }, TTL_MS / 4)
  timer.unref()
  const release = (): void => {
    clearInterval(timer)
    try {
      if (database.isOpen) database.prepare('DELETE FROM lease WHERE name = ? AND token = ?').run(name, token)
    } catch {
      // A row that stays counts for nothing once this process is gone, or its time is over.
    }
  }
  return { name, held: () => read(database, name)?.token === token, release, [Symbol.dispose]: release }
}
