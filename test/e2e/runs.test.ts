import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { plant } from '../support/file-tree.ts'
import { holdfast, scratch, summary, type Holdfast } from '../support/holdfast.ts'

interface Listed {
  id: string
  status: string
  error?: { message: string }
}

async function running(hf: Holdfast): Promise<Listed> {
  for (let waited = 0; waited < 20_000; waited += 200) {
    const [run] = await hf.json<Listed[]>(['run', 'list', '--status', 'running'])
    if (run !== undefined) return run
    await sleep(200)
  }
  throw new Error('no run came to work')
}

test('a run is cancelled from another process: it ends as cancelled, stores nothing, and says who asked', async (t) => {
  const hf = holdfast(scratch(t))
  const slow = hf.start(['backup', '--stdin-from-command', '--to', './vault', '--', 'sleep', '120'])
  const { id } = await running(hf)
  const asked = await hf.run(['run', 'cancel', id.slice(0, 8)])
  assert.equal(asked.code, 0, asked.stderr)
  assert.match(asked.stdout, /backup sleep: cancelled/)
  const { code, stderr } = await slow.ended
  assert.equal(code, 130)
  assert.match(stderr, /cancelled by \S+ on/)
  assert.deepEqual(await hf.json(['list', '--vault', './vault']), [])
  const over = await hf.run(['run', 'cancel', id])
  assert.equal(over.code, 2)
  assert.match(over.stderr, /is over: cancelled/)
})

// Side by side: both wait.
describe('rates by hand', { concurrency: 2 }, () => {
  for (const format of ['archive', 'repository'])
    test(`${format}: the rate of a run is changed from another process while it goes on`, async (t) => {
      const hf = holdfast(scratch(t))
      mkdirSync(join(hf.dir, 'data'))
      writeFileSync(join(hf.dir, 'data/a'), randomBytes(7_000_000))
      const env = { HOLDFAST_PASSWORD: 'open-sesame' }
      const slow = hf.start(['backup', 'data', '--to', './vault', '--format', format, '--limit-upload', '32'], { env })
      const { id } = await running(hf)
      for (const wrong of ['fast', '0', '-1']) assert.equal((await hf.run(['run', 'limit', id, '--', wrong])).code, 2)
      // By the settings it would take minutes; at this rate seven seconds, from when it hears of it.
      const started = performance.now()
      const asked = await hf.run(['run', 'limit', id.slice(0, 8), '1000'])
      assert.equal(asked.code, 0, asked.stderr)
      assert.match(asked.stdout, /backup data: 1000 KiB\/s from now on/)
      const { code, stderr } = await slow.ended
      const seconds = (performance.now() - started) / 1000
      assert.equal(code, 0, stderr)
      assert.ok(seconds > 4.5 && seconds < 25, `it went on for ${seconds} s`)
      assert.match((await hf.run(['run', 'logs', id])).stdout, /limited to 1000 KiB\/s, by hand/)
      assert.match((await hf.run(['run', 'limit', id, 'none'])).stderr, /is over: success/)
    })
})

test('a backup is made and restored where the catalogue cannot be, with a warning; who asks for history gets an error', async (t) => {
  const hf = holdfast(scratch(t))
  plant(hf.dir, { 'data/a': 'content' })
  writeFileSync(join(hf.dir, 'file'), '')
  const env = { XDG_DATA_HOME: join(hf.dir, 'file') }
  const made = await hf.run(['backup', 'data', '--to', './vault', '--json'], { env })
  assert.equal(made.code, 0, made.stderr)
  assert.equal(summary(made.stdout)['status'], 'success')
  assert.match(made.stderr, /not recorded: cannot open the catalogue/)
  assert.equal((await hf.run(['restore', 'latest', '--vault', './vault', '--to', './out'], { env })).code, 0)
  const asked = await hf.run(['run', 'list'], { env })
  assert.notEqual(asked.code, 0)
  assert.match(asked.stderr, /catalogue\.failed/)
})

test('what a vault takes is measured and told; beyond its limit no backup is made, and pruning lets it go on', async (t) => {
  const hf = holdfast(scratch(t))
  plant(hf.dir, { 'files/a': 'x'.repeat(100_000) })
  const config = (limits: string): void =>
    writeFileSync(
      join(hf.dir, 'holdfast.yaml'),
      `vaults: { v: { storage: ./vault, format: archive, compression: none, limits: ${limits} } }
jobs: { web: { source: { type: files, paths: [./files] }, vaults: [v], type: full } }`,
    )
  config('{ stop: 100k }')
  assert.equal((await hf.run(['backup'])).code, 0, 'an empty vault is below its limit')
  const refused = await hf.run(['backup'])
  assert.equal(refused.code, 13)
  assert.match(refused.stderr, /v takes 1[1-4]\d(\.\d+)? KiB, its limit is 100 KiB/)
  const [stats] = await hf.json<{ usage: { bytes: number; objects: number }[] }[]>(['stats', '--vault', 'v'])
  assert.ok((stats?.usage[0]?.bytes ?? 0) > 100_000 && (stats?.usage[0]?.objects ?? 0) > 0)
  config('{ stop: 1g, warn: 1k }')
  assert.equal((await hf.run(['backup'])).code, 0)
})

test('what hooks say is in the log of the run; the failure hook hears of a job that could not even begin', async (t) => {
  const hf = holdfast(scratch(t))
  plant(hf.dir, { 'files/a': 'content' })
  const config = (before: string): void =>
    writeFileSync(
      join(hf.dir, 'holdfast.yaml'),
      `vaults: { v: { storage: ./vault, format: archive } }
jobs:
  web:
    source: { type: files, paths: [./files] }
    vaults: [v]
    hooks: { before: ['${before}'], after: ['echo all done; exit 4'], onFailure: ['echo "$HOLDFAST_RUN_ID $HOLDFAST_ERROR" >> failed'] }`,
    )
  config('echo getting ready; echo careful >&2')
  const ended = await hf.run(['backup', '--json'])
  assert.equal(ended.code, 1, 'the after hook failed')
  const runs = await hf.json<{ id: string; status: string }[]>(['run', 'list'])
  assert.deepEqual(runs.map(({ status }) => status).toSorted(), ['failed', 'success'])
  const good = runs.find(({ status }) => status === 'success')
  const logs = (await hf.run(['run', 'logs', good?.id ?? ''])).stdout
  for (const said of ['before hook: getting ready', 'before hook: careful', 'after hook: all done'])
    assert.ok(logs.includes(said), `${said} in ${logs}`)

  config('exit 9')
  assert.equal((await hf.run(['backup'])).code, 1)
  const [failed] = await hf.json<{ id: string }[]>(['run', 'list', '--status', 'failed', '--limit', '1'])
  assert.match(
    readFileSync(join(hf.dir, 'failed'), 'utf8'),
    new RegExp(`^${failed?.id} the before hook of web ended with exit code 9`, 'm'),
  )
})
