import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { holdfast, scratch } from '../support/holdfast.ts'

const ROOT = join(import.meta.dirname, '../..')

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

test('`npm start` that is stopped stops the server, and none is left', async (t) => {
  const child = spawn('npm', ['start'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOLDFAST_SERVER__LISTEN: '127.0.0.1:0', HOLDFAST_SERVER__DATA_DIR: scratch(t) },
  })
  let told = ''
  const server = await new Promise<number>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      told += chunk.toString()
      if (!/first account here/.test(told)) return
      resolve(serverBelow(child.pid ?? 0))
    })
    child.once('exit', () => reject(new Error(told)))
  })
  t.after(() => runs(server) && process.kill(server, 'SIGKILL'))
  const ended = once(child.stderr, 'end')
  child.kill('SIGTERM')
  await once(child, 'exit')
  // Its output is open as long as it runs.
  const stays = setTimeout(() => child.stderr.destroy(), 5000)
  await Promise.race([ended, once(child.stderr, 'close')])
  clearTimeout(stays)
  assert.equal(runs(server), false, told)
  assert.match(told, /stopped/)
})

function serverBelow(pid: number): number {
  const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return child === undefined || child === '' ? pid : serverBelow(Number(child))
}

const runs = (pid: number): boolean => existsSync(`/proc/${pid}`)

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
