import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../base/errors.ts'
import { sqliteCatalogue } from '../catalogue/sqlite.ts'
import { manualClock } from '../testing/manual-clock.ts'
import { work } from './worker.ts'

test('a store that cannot be written when a run ends is asked again: no task stays claimed', async () => {
  const clock = manualClock()
  const { service } = sqliteCatalogue(':memory:', clock)
  const due = clock.now()
  service.enqueue({
    id: 't',
    job: 'web',
    kind: 'backup',
    due,
    notBefore: due,
    trigger: 'manual',
    run: 'r',
    attempt: 1,
    labels: [],
  })
  const stop = new AbortController()
  const problems: string[] = []
  let refusals = 2
  await work(
    {
      clock,
      store: {
        ...service,
        finish(...args) {
          if (refusals-- > 0) throw new AppError('catalogue.failed', 'disk full')
          const done = service.finish(...args)
          stop.abort()
          return done
        },
      },
      execute: async () => ({ state: 'done' }),
      onQueued: () => undefined,
      onProblem: ({ message }) => problems.push(message),
    },
    { concurrency: 1, drainMs: 1000, signal: stop.signal },
  )
  assert.deepEqual(service.tasks(), [])
  assert.deepEqual(problems, ['disk full', 'disk full'])
})

test('what may not begin beside others waits, and what comes after it goes first', () => {
  const clock = manualClock()
  const { service: store } = sqliteCatalogue(':memory:', clock)
  for (const job of ['a', 'b', 'c']) {
    const due = clock.now()
    const task = {
      id: job,
      job,
      kind: 'backup' as const,
      due,
      notBefore: due,
      trigger: 'manual' as const,
      run: `run of ${job}`,
      attempt: 1,
      labels: [],
    }
    assert.ok(store.enqueue(task))
  }
  // `a` and `b` share a vault that takes one run at a time.
  const may = (task: { job: string }, atWork: readonly { job: string }[]): boolean =>
    task.job === 'c' || !atWork.some(({ job }) => job === 'a' || job === 'b')
  const first = store.claim([], 60_000, may)
  assert.deepEqual(
    [first?.task.job, store.claim([], 60_000, may)?.task.job, store.claim([], 60_000, may)],
    ['a', 'c', undefined],
  )
  assert.ok(first && store.finish(first, 'done'))
  assert.equal(store.claim([], 60_000, may)?.task.job, 'b')
})
