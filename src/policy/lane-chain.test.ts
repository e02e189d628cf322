import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chainsOf, needless, segmentsFrom, windowsOf, type BaseAt } from './lane-chain.ts'
import { lineageOf, parsePartName, parseSegmentName, partName, segmentName, type NamedSegment } from './lane-names.ts'
import { comparePositions } from './lane-positions.ts'

const at = (seconds: number): Date => new Date(1_700_000_000_000 + seconds * 1000)
const OLD = lineageOf('s', at(0), 'aaaaaa')
const NEW = lineageOf('s', at(1000), 'bbbbbb')
const place = (n: number): string => `g1-${n}`

function segment(from: number, to: number, lineage = OLD, more: Partial<NamedSegment> = {}): NamedSegment {
  const info = {
    lineage,
    from: place(from),
    to: place(to),
    fromTime: at(from),
    toTime: at(to),
    hasEvents: false,
    base: false,
    ...more,
  }
  return { ...info, name: segmentName(info) ?? '', size: 1, parts: 1 }
}

const base = (id: string, from: number, to = from, engine = 'sqlite'): BaseAt => ({
  id,
  time: at(from),
  lane: { engine, system: 's', from: place(from), to: place(to), time: at(to) },
})

const spans = (segments: readonly NamedSegment[], bases: readonly BaseAt[]): string[] =>
  windowsOf(chainsOf('sqlite', segments), bases).map(
    ({ from, to }) => `${(from.getTime() - at(0).getTime()) / 1000}-${(to.getTime() - at(0).getTime()) / 1000}`,
  )

test('a name tells what was named, and other names are not taken for one', () => {
  const one = segment(3, 9, OLD, { base: true, hasEvents: true })
  const { name: _, size: __, parts: ___, ...info } = one
  assert.deepEqual(parseSegmentName(one.name), info)
  for (const name of ['', 'x', `${one.name}x`, one.name.replace('_', '-')])
    assert.equal(parseSegmentName(name), undefined)
  assert.deepEqual(parsePartName(partName(one.name, 2, 3)), { name: one.name, n: 2, of: 3 })
  assert.deepEqual(parsePartName(partName(one.name, 1, 1)), { name: one.name, n: 1, of: 1 })
  assert.equal(segmentName({ ...info, to: '0-1-2+'.repeat(60) }), undefined, 'longer than file systems take')
})

test('a window reaches from the first backup to where the log has a hole', () => {
  const log = [segment(0, 10), segment(10, 20), segment(20, 30), segment(40, 50)]
  assert.deepEqual(spans(log, [base('a', 5)]), ['5-30'])
  assert.deepEqual(spans(log, [base('a', 5), base('b', 45)]), ['5-30', '45-50'])
  assert.deepEqual(spans(log, [base('c', 35)]), [], 'a backup in the hole begins none')
  assert.deepEqual(spans(log, []), [])
  assert.deepEqual(spans(log.toReversed(), [base('a', 5)]), ['5-30'], 'in any order')
})

test('a backup whose end is in the log can be restored before the log was looked at again', () => {
  const log = [segment(0, 20)]
  const { lane } = base('a', 10)
  const later: BaseAt = { id: 'a', time: at(25), lane: { ...lane, time: at(25) } }
  assert.deepEqual(spans(log, [later]), ['25-25'], 'at its own moment')
  assert.deepEqual(spans([...log, segment(20, 20, OLD, { toTime: at(40) })], [later]), ['25-40'])
})

test('what was merged, what was read twice and what nobody needs any more makes no second window', () => {
  const merged = [segment(0, 30), segment(10, 20), segment(20, 30), segment(30, 40)]
  assert.deepEqual(spans(merged, [base('a', 5)]), ['5-40'])
  // Two processes followed the same log, and cut it in other places.
  const twice = [segment(0, 10), segment(10, 20), segment(10, 15), segment(15, 30), segment(30, 40)]
  assert.deepEqual(spans(twice, [base('a', 5)]).includes('5-20') || spans(twice, [base('a', 5)]).includes('5-40'), true)
})

test('a quiet log is known until it was looked at last', () => {
  const log = [segment(0, 10), segment(10, 10, OLD, { fromTime: at(60), toTime: at(60) })]
  assert.deepEqual(spans(log, [base('a', 5)]), ['5-60'])
})

test('a backup from before a log began anew is not one of it, whatever its numbers say', () => {
  const log = [segment(0, 30), segment(0, 40, NEW, { fromTime: at(1000), toTime: at(1040) })]
  assert.deepEqual(spans(log, [base('a', 5)]), ['5-30'])
  const later = { ...base('b', 7), time: at(1010) }
  later.lane = { ...later.lane, time: at(1010) }
  assert.deepEqual(spans(log, [base('a', 5), later]), ['5-30', '1010-1040'])
  assert.deepEqual(spans(log, [{ ...base('a', 5), broken: true }]), [])
})

test('retention keeps the log from the oldest kept backup on, that of none but the newest goes', () => {
  const old = [segment(0, 10), segment(10, 20), segment(20, 30)]
  const fresh = [segment(0, 10, NEW, { fromTime: at(1000), toTime: at(1010) })]
  const all = [...old, ...fresh]
  const chains = chainsOf('sqlite', all)
  const gone = (kept: BaseAt[], since?: Date): string[] =>
    needless(chains, { kept, ...(since && { since }) }, all).map(
      ({ from, to, lineage }) => `${lineage === OLD ? '' : 'new '}${from.split('-')[1]}-${to.split('-')[1]}`,
    )
  assert.deepEqual(gone([base('a', 5), base('b', 15)]), [])
  assert.deepEqual(gone([base('b', 15)]), ['0-10'])
  assert.deepEqual(gone([]), ['0-10', '10-20', '20-30'], 'a backup may be at work in the newest')
  const three = [base('a', 5), base('b', 15), base('c', 25)]
  assert.deepEqual(gone(three, at(26)), ['0-10', '10-20'], 'moments of before are not wanted')
  assert.deepEqual(gone(three, at(16)), ['0-10'])
})

test('a log that holds copies of everything is kept from the newest copy on that is not behind the wanted moments', () => {
  const log = [
    segment(0, 10, OLD, { base: true }),
    segment(10, 20),
    segment(20, 30, OLD, { base: true }),
    segment(30, 40),
    segment(40, 50, OLD, { base: true }),
  ]
  assert.deepEqual(spans(log, []), ['0-50'])
  const chains = chainsOf('sqlite', log)
  const gone = (since?: Date): string[] =>
    needless(chains, { kept: [], ...(since && { since }) }, log).map(({ from }) => from.split('-')[1] ?? '')
  assert.deepEqual(gone(), [])
  assert.deepEqual(gone(at(35)), ['0', '10'])
  assert.deepEqual(gone(at(45)), ['0', '10', '20', '30'])
  assert.deepEqual(gone(at(5)), [])
  assert.deepEqual(gone(at(5000)), ['0', '10', '20', '30'], 'the newest moment stays, however old it is')
})

test('places are in order as each engine has them', () => {
  for (const [engine, a, b, order] of [
    ['postgres', '1-00000000000000FF', '2-0000000000000100', -1],
    ['postgres', '1-0000000000000100', '2-0000000000000100', -1],
    ['mysql', '0-1-9', '0-2-10', -1],
    ['mysql', '0-1-9+1-1-5', '0-1-9+1-1-4', 1],
    ['mysql', '0-1-9+1-1-5', '0-1-10+1-1-4', undefined],
    ['mysql', '0-0-0', '0-7-1', -1],
    ['sqlite', 'g1-2', 'g1-10', -1],
    ['sqlite', 'g1-2', 'g2-1', undefined],
  ] as const)
    assert.equal(comparePositions(engine, a, b), order, `${engine} ${a} ${b}`)
})

test('a replay begins with the piece that holds the place of the backup', () => {
  const [chain] = chainsOf('sqlite', [segment(0, 10), segment(10, 20), segment(20, 30)])
  assert.ok(chain !== undefined)
  const froms = (n: number): string[] => segmentsFrom(chain, place(n)).map(({ from }) => from.split('-')[1] ?? '')
  assert.deepEqual(froms(5), ['0', '10', '20'])
  assert.deepEqual(froms(10), ['10', '20'])
  assert.deepEqual(froms(30), [])
})
