import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../testing/manual-clock.ts'
import { memory } from '../storage/memory.ts'
import { openVault, request } from '../../test/support/archive.ts'
import { COPYING } from '../model/lane.ts'
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

test('a lane that was stopped while it copied everything once more takes nothing away: the copy before it counts', async () => {
  const vault = await openVault(memory(), { clock: manualClock(at(30)) })
  const facts = { engine: 'sqlite', system: 'sqlite', lineage, events: [], hasEvents: false }
  const log = async (number: number, base: boolean, copying: string): Promise<string> =>
    storeSegment([vault], 'shop', {
      facts: {
        ...facts,
        base,
        extra: { [COPYING]: copying },
        from: `g1-${number - 1}`,
        to: `g1-${number}`,
        fromTime: at(number),
        toTime: at(number),
      },
      payload: Buffer.alloc(10),
    })
  const latest = async (): Promise<string | undefined> =>
    (await planPoint(vault, 'shop', { kind: 'point', text: 'latest' })).segments[0]?.to
  await log(1, true, '1 2 0 3 4')
  await log(2, false, '1 2 5 3 4')
  await log(3, true, '')
  assert.equal(await latest(), 'g1-1')
  await log(4, false, '1 2 0 5 6')
  assert.equal(await latest(), 'g1-3', 'once it is whole it is the newest')
  await vault.close()
})
