import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import { laneJob } from '../../test/support/scripted-lane.ts'
import { findingsOf } from './incidents.ts'
import { expectLane, forgetLane, laneReporter } from './lane-health.ts'

const START = Date.parse('2027-01-01T00:00:00Z')
const MINUTE = 60_000

const job = laneJob('disk')

function world() {
  let minutes = 0
  const now = (): Date => new Date(START + minutes * MINUTE)
  const clock: Clock = { now, monotonic: () => minutes * MINUTE, sleep: async () => {} }
  const catalogue = sqliteCatalogue(':memory:', clock)
  return {
    deps: { clock, catalogue },
    at: (time: number): Date => new Date(START + time * MINUTE),
    pass: (time: number): void => void (minutes = time),
    /** As the service does it. */
    review() {
      const { opened, closed } = catalogue.incidents.review('shop', findingsOf(catalogue, job, [], now()))
      return [...opened.map(({ kind }) => `+${kind}`), ...closed.map(({ kind }) => `-${kind}`)]
    },
    open: () => catalogue.incidents.list({ open: true }).map(({ message }) => message),
  }
}

test('a lane that is down is an incident, once, and closed when it goes on', () => {
  const { deps, at, pass, review, open } = world()
  const lane = laneReporter(deps, 'shop')
  lane.state({ state: 'following', until: at(0) })
  assert.deepEqual(review(), [])
  pass(1)
  lane.state({ state: 'waiting', problem: 'the server does not answer' })
  assert.deepEqual(review(), [], 'a moment of it is nothing')
  pass(3)
  // It connects, and fails again: nothing is stored.
  lane.state({ state: 'following', until: at(0) })
  lane.state({ state: 'waiting', problem: 'the server does not answer' })
  assert.deepEqual(review(), ['+unreachable'])
  assert.match(open()[0] ?? '', /has not been stored for 3m.*the server does not answer/)
  pass(4)
  assert.deepEqual(review(), [])
  lane.state({ state: 'following', until: at(4) })
  assert.deepEqual(review(), ['-unreachable'])
})

test('a lane that nobody follows, and one that falls behind, are overdue', () => {
  const { deps, at, pass, review, open } = world()
  expectLane(deps, 'shop')
  pass(2)
  assert.deepEqual(review(), [])
  pass(4)
  assert.deepEqual(review(), ['+overdue'])
  assert.match(open()[0] ?? '', /nobody has followed/)
  const lane = laneReporter(deps, 'shop')
  lane.state({ state: 'following', until: at(4) })
  assert.deepEqual(review(), ['-overdue'])
  pass(9)
  lane.state({ state: 'following', until: at(4) })
  assert.deepEqual(review(), ['+overdue'])
  assert.match(open()[0] ?? '', /5m.* behind/)
  forgetLane(deps.catalogue, 'shop')
  assert.deepEqual(review(), ['-overdue'], 'it is not to be followed any more')
})

test('a slot near its limit and a gap are incidents, until the one is over and moments can be restored again', () => {
  const { deps, at, pass, review, open } = world()
  const lane = laneReporter(deps, 'shop')
  lane.state({ state: 'following', until: at(0) })
  lane.slot('the server keeps 3 GiB')
  assert.deepEqual(review(), ['+space'])
  lane.slot(undefined)
  assert.deepEqual(review(), ['-space'])
  lane.gap('the server has forgotten the log')
  assert.deepEqual(review(), ['+failure'])
  assert.match(open()[0] ?? '', /none after it can be restored yet/)
  // The process is another one: what it does not know stays known.
  const other = laneReporter(deps, 'shop')
  assert.deepEqual(review(), [])
  other.gapOver()
  review()
  assert.match(open()[0] ?? '', /points in time have a gap: the server has forgotten/)
  pass(70)
  other.state({ state: 'following', until: at(70) })
  assert.deepEqual(review(), ['-failure'])
})
