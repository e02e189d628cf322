import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../testing/manual-clock.ts'
import { memory } from '../storage/memory.ts'
import { openVault, request } from '../../test/support/archive.ts'
import { planPoint } from './restore-point.ts'
import { storeSegment } from './segments.ts'
import { timelineOf } from './timeline.ts'

const at = (second: number): Date => new Date(Date.UTC(2026, 2, 15, 14, 0, second))
const system = '42'
const lineage = `42.${at(0).getTime()}.abc`

test('a backup whose log was not looked at since is told as what it is: the end can be restored, and no time is promised', async () => {
  const vault = await openVault(memory(), { clock: manualClock(at(30)) })
  const facts = { engine: 'postgres', system, lineage, events: [], hasEvents: false, extra: {}, base: false }
  const place = (lsn: number): string => `1-${lsn.toString(16).padStart(16, '0').toUpperCase()}`
  const log = async (from: number, to: number, until: number): Promise<string> =>
    storeSegment([vault], 'shop', {
      facts: { ...facts, from: place(from), to: place(to), fromTime: at(1), toTime: at(until) },
      payload: Buffer.alloc(to - from),
    })
  await log(0, 100, 20)
  const lane = { engine: 'postgres', system, from: place(50), to: place(100), time: at(25) }
  const { backup } = await vault.backup(
    request({ a: 'x' }, { job: 'shop', time: at(25), labels: { lane: JSON.stringify(lane) } }),
  )

  const shown = await timelineOf(vault, 'shop', at(40))
  assert.deepEqual(
    shown.windows.map(({ from, to, backups }) => [from, to, backups]),
    [[at(25), at(25), [backup.id]]],
  )
  assert.deepEqual([shown.gaps, shown.lagSeconds], [[], 20], 'how far the log is known is told as before')
  assert.equal((await planPoint(vault, 'shop', { kind: 'point', text: 'latest' })).base?.id, backup.id)
  const asked = planPoint(vault, 'shop', { kind: 'point', text: at(25).toISOString() })
  await assert.rejects(asked, { code: 'restore.unreachable', hint: /--at latest.* the backup full-2026/ })
  // Once it is looked at, the moment is one as any other.
  await log(100, 100, 27)
  assert.equal((await planPoint(vault, 'shop', { kind: 'point', text: at(25).toISOString() })).base?.id, backup.id)
  await vault.close()
})
