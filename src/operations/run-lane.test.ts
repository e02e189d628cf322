import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import { AppError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import { memory } from '../storage/memory.ts'
import { openVault, entriesOf, readingOf } from '../../test/support/archive.ts'
import { laneJob, piece, scriptedLane, untilAborted } from '../../test/support/scripted-lane.ts'
import { findingsOf } from './incidents.ts'
import { runLane } from './run-lane.ts'
import type { JobRun } from './run-jobs.ts'

test('a backup of a lane that fails is an incident of its job, is tried again, and is over when one is made', async () => {
  const vault = await openVault(memory())
  const job = laneJob(vault.name)
  // A second passes in a hundredth of one.
  const began = Date.now()
  const elapsed = (): number => (Date.now() - began) * 100
  const clock: Clock = {
    now: () => new Date(began + elapsed()),
    monotonic: elapsed,
    sleep: async (ms) => new Promise((resolve) => setTimeout(resolve, ms / 100)),
  }
  const catalogue = sqliteCatalogue(':memory:', clock)
  const log = scriptedLane(async function* ({ signal }) {
    yield piece(1, Buffer.from('a change'))
    await untilAborted(signal)
  })
  let tries = 0
  const source = {
    type: 'files',
    name: 'shop',
    paths: ['/'],
    test: async () => [],
    async read() {
      tries += 1
      if (tries < 3) throw new AppError('source.denied', 'the role may not make a backup')
      const lane = { engine: 'sqlite', system: 'test', from: 'g1-0', to: 'g1-1', time: clock.now().toISOString() }
      return { ...readingOf(entriesOf({ a: 'x' })), labels: () => ({ lane: JSON.stringify(lane) }) }
    },
  }
  const stop = new AbortController()
  const told: string[] = []
  const findings: string[][] = []
  const done: JobRun[] = []
  await runLane(
    { clock, catalogue },
    {
      job,
      source: { ...log, copies: false },
      vaults: [vault],
      sealMs: 100,
      base: true,
      openers: { source: () => source, vault: async () => vault },
    },
    {
      signal: stop.signal,
      onWarning: ({ message }) => told.push(message),
      onBackup(result) {
        done.push(result)
        findings.push(findingsOf(catalogue, job, [], clock.now()).map(({ kind, message }) => `${kind}: ${message}`))
        if (result.error === undefined) stop.abort()
      },
    },
  )
  const failed = ['failure: the role may not make a backup']
  assert.deepEqual(findings, [failed, failed, []])
  assert.deepEqual(
    done.map(({ run }) => [run.status, run.job]),
    [
      ['failed', 'shop'],
      ['failed', 'shop'],
      ['success', 'shop'],
    ],
  )
  assert.equal(
    told.filter((message) => /begin with failed: the role may not make a backup/.test(message)).length,
    2,
    told.join('\n'),
  )
  assert.match(told.at(-1) ?? '', /points in time begin with full-/)
  await vault.close()
})
