/**
 * The conformance suite of storages. A driver joins in three lines:
 *
 *     storageSuite('driver:local', { open: () => local({ path: scratchFolder() }) })
 *
 * It runs every promise of operations/storage-promises.ts (which `holdfast doctor` runs too) and what only a test may
 * do: large streams, thousands of keys, a writer killed in the middle. Exceptions are data with a reason.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { removeAll, STORAGE_PROMISES } from '../operations/storage-promises.ts'
import type { Storage } from '../model/storage.ts'
import { STORAGE_STRESS, type ChildOpen } from './storage-stress.ts'

export interface StorageSuiteOptions {
  /** Opens the storage under test, once; it may hold other objects. */
  open(): Storage | Promise<Storage>
  /** Ends what `open` started; the storage itself is closed before. */
  close?(): void | Promise<void>
  /** Why it cannot be tested here. Every test is then skipped by name, and CI fails if it requires this driver. */
  unavailable?: string | undefined
  /** name of a check → why this storage cannot keep it. A name that is no check fails. */
  except?: Record<string, string>
  /** Objects that the check `many-keys` makes; more than 1,000 by default, which is a page of most services. Fewer do where lists have no pages. */
  manyKeys?: number
  /** How another process opens the same storage; without it the check `killed-writer` is skipped. */
  child?: () => ChildOpen
}

export function storageSuite(title: string, options: StorageSuiteOptions): void {
  const { unavailable, except = {}, manyKeys, child } = options
  const checks = [...STORAGE_PROMISES, ...STORAGE_STRESS]
  const unknown = Object.keys(except).filter((name) => !checks.some((check) => check.name === name))
  assert.deepEqual(unknown, [], `${title}: exceptions from checks that do not exist`)

  describe(title, () => {
    let storage: Storage
    const prefix = `suite-${randomBytes(4).toString('hex')}/`

    before(async () => {
      if (unavailable === undefined) storage = await options.open()
    })
    after(async () => {
      if (unavailable !== undefined) return
      try {
        await removeAll(storage, prefix)
        await storage.close()
      } finally {
        await options.close?.()
      }
    })

    for (const check of checks) {
      const skip = unavailable ?? except[check.name] ?? (check.name === 'killed-writer' && !child && 'one process only')
      test(`${title}: ${check.promise}`, { skip, timeout: 120_000 }, async () => {
        const context = {
          storage,
          prefix: `${prefix}${check.name}/`,
          ...(manyKeys !== undefined && { manyKeys }),
          ...(child && { child: child() }),
        }
        await check.check(context)
      })
    }
  })
}
