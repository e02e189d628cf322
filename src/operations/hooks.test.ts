import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAppError } from '../base/errors.ts'
import { runHooks } from './hooks.ts'

const facts = { job: 'web', event: 'before' } as const

test('a hook that leaves a program behind ends when its shell does, and all that it said is told', async () => {
  const lines: string[] = []
  const started = performance.now()
  await runHooks(['sleep 20 & echo started; echo careful >&2'], facts, { onLine: (line) => lines.push(line) })
  assert.ok(performance.now() - started < 10_000, 'it does not wait for what runs on')
  assert.deepEqual(lines.toSorted(), ['before hook: careful', 'before hook: started'])
})

test('a hook is ended with what it started when the run is cancelled', async () => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 200)
  const started = performance.now()
  const cancelled = runHooks(['sleep 20; echo late'], facts, { signal: controller.signal })
  await assert.rejects(cancelled, (error) => isAppError(error, 'run.cancelled'))
  assert.ok(performance.now() - started < 10_000)
})
