import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { holdfast, scratch } from '../support/holdfast.ts'

test('the server answers health and readiness on loopback, tells where the first account is made, and SIGTERM stops it cleanly', async (t) => {
  const cli = holdfast(scratch(t))
  const { child, ended } = cli.start(['server', '--listen', '127.0.0.1:0'])
  t.after(() => child.kill('SIGKILL'))
  const [said] = (await once(child.stderr ?? child, 'data')) as [Buffer]
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(said.toString())?.[0] ?? ''
  assert.notEqual(url, '', said.toString())
  const health = await fetch(`${url}/healthz`)
  assert.deepEqual([health.status, ((await health.json()) as { status: string }).status], [200, 'ok'])
  const ready = await fetch(`${url}/readyz`)
  assert.deepEqual([ready.status, ((await ready.json()) as { catalogue: string }).catalogue], [200, 'ok'])
  assert.equal((await fetch(`${url}/api/nowhere`)).status, 404)
  assert.equal((await fetch(`${url}/healthz`, { method: 'POST' })).status, 405)
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  assert.equal(code, 0, stderr)
  assert.match(stderr, /stopped/)
  assert.match(stderr, /first account here.*\/setup#[\w-]{43}/s)
})

test('a port that is taken is a clear error', async (t) => {
  const cli = holdfast(scratch(t))
  const { child, ended } = cli.start(['server', '--listen', '127.0.0.1:0'])
  t.after(() => child.kill('SIGKILL'))
  const [said] = (await once(child.stderr ?? child, 'data')) as [Buffer]
  const address = /127\.0\.0\.1:\d+/.exec(said.toString())?.[0] ?? ''
  const second = await cli.run(['server', '--listen', address])
  assert.equal(second.code, 2)
  assert.match(second.stderr, /cannot listen on .*Another program listens there/s)
  child.kill('SIGTERM')
  await ended
})
