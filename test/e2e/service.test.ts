import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { plant } from '../support/file-tree.ts'
import { holdfast, scratch, type Holdfast } from '../support/holdfast.ts'

interface Slot {
  recurrence: string
  due: string
  state: string
  reason?: string
  run?: string
}

interface Listed {
  id: string
  kind: string
  job: string
  status: string
  trigger: string
}

function world(t: TestContext, jobs: string, server = ''): Holdfast {
  const hf = holdfast(scratch(t))
  plant(hf.dir, { 'data/a': 'content' })
  writeFileSync(
    join(hf.dir, 'holdfast.yaml'),
    `vaults: { v: { storage: { type: file, path: ./vault }, format: archive } }
server: { dataDir: ./state, listen: '127.0.0.1:0'${server} }
jobs:
${jobs}`,
  )
  return hf
}

const FILES = 'source: { type: files, paths: [./data] }, vaults: [v]'
/** Works for so long that it can be met at work. */
const SLOW = 'hooks: { before: ["sleep 3"] }'

/** Ends with the test, however that ends. */
function start(t: TestContext, hf: Holdfast, ...args: string[]): ReturnType<Holdfast['start']> {
  const started = hf.start(args)
  t.after(() => started.child.kill('SIGKILL'))
  return started
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let waited = 0; waited < 30_000; waited += 300) {
    const found = await look()
    if (found !== undefined) return found
    await sleep(300)
  }
  throw new Error(`this did not happen: ${what}`)
}

const slots = async (hf: Holdfast): Promise<Slot[]> => hf.json<Slot[]>(['schedule', 'history', '--limit', '1000'])

test('the server runs jobs and restore tests on their schedules, writes each due time down once, and stops cleanly', async (t) => {
  const hf = world(
    t,
    `  web: { ${FILES}, schedule: '*/2 * * * * *', verify: { restoreTest: { every: 3s, level: V3 } } }`,
  )
  const server = start(t, hf, 'server')
  said(server)
  await until('a proof', async () =>
    (await slots(hf)).find(({ recurrence, state }) => recurrence === 'web/verify' && state === 'done'),
  )
  const url = /http:\/\/[\d.:]+/.exec(said(server))?.[0] ?? ''
  assert.equal((await fetch(`${url}/metrics`)).status, 401)
  writeFileSync(join(hf.dir, 'pw'), 'correct horse battery\n', { mode: 0o600 })
  assert.equal((await hf.run(['user', 'add', 'ada', '--role', 'admin', '--new-password-file', 'pw'])).code, 0)
  const { token } = await hf.json<{ token: string }>(['token', 'create', 'prometheus'])
  const headers = { authorization: `Bearer ${token}` }
  const metrics = await (await fetch(`${url}/metrics`, { headers })).text()
  assert.match(metrics, /^holdfast_job_last_success_timestamp_seconds\{job="web"\} \d+/m)
  assert.match(metrics, /^holdfast_job_last_proof_timestamp_seconds\{job="web"\} \d+/m)
  assert.match(metrics, /^holdfast_job_overdue\{job="web"\} 0$/m)
  assert.match(metrics, /^holdfast_vault_backups\{vault="v"\} [1-9]/m)
  for (const line of metrics.trim().split('\n'))
    assert.match(line, /^(# (HELP|TYPE) holdfast_\w+ \S.*|holdfast_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [\d.e+]+)$/)
  server.child.kill('SIGTERM')
  const { code, stderr } = await server.ended
  assert.equal(code, 0, stderr)
  const runs = await hf.json<Listed[]>(['run', 'list', '--limit', '100'])
  assert.ok(runs.filter(({ kind, status }) => kind === 'backup' && status === 'success').length >= 1)
  assert.ok(runs.every(({ trigger }) => trigger === 'schedule'))
  const [backup] = (await hf.json<{ proof: { level: string } }[]>(['list', '--vault', 'v'])).filter(
    ({ proof }) => proof.level === 'V3',
  )
  assert.ok(backup, 'the proof is noted at the backup')
  for (const slot of await slots(hf))
    assert.equal(runs.filter(({ id }) => id === slot.run).length, slot.run === undefined ? 0 : 1, JSON.stringify(slot))
})

test('two schedulers and two workers in processes of their own make one run of each due time', async (t) => {
  const hf = world(t, `  a: { ${FILES}, schedule: '*/2 * * * * *' }\n  b: { ${FILES}, schedule: '*/3 * * * * *' }`)
  const processes = [
    start(t, hf, 'scheduler'),
    start(t, hf, 'scheduler'),
    start(t, hf, 'worker'),
    start(t, hf, 'worker'),
  ]
  await until('several runs of each', async () => {
    const done = (await slots(hf)).filter(({ state }) => state === 'done')
    return done.length >= 6 && new Set(done.map(({ recurrence }) => recurrence)).size === 2 ? true : undefined
  })
  for (const { child } of processes) child.kill('SIGTERM')
  for (const { ended } of processes) assert.equal((await ended).code, 0)
  const runs = await hf.json<Listed[]>(['run', 'list', '--limit', '1000'])
  const made = (await slots(hf)).filter(({ run }) => run !== undefined)
  assert.equal(new Set(made.map(({ run }) => run)).size, made.length)
  const unfinished = runs.filter(({ status }) => !['success', 'queued', 'interrupted'].includes(status))
  assert.deepEqual(unfinished, [])
})

test('a worker killed at work is noticed: its run is interrupted, and another worker makes up for it', async (t) => {
  const hf = world(t, `  web: { ${FILES}, ${SLOW} }`)
  const added = await hf.run(['schedule', 'add', '--cron', '* * * * * *', '--job', 'web', '--name', 'often'])
  assert.equal(added.code, 0, added.stderr)
  start(t, hf, 'scheduler')
  const first = start(t, hf, 'worker')
  const victim = await until('a run at work', async () => {
    const queued = await hf.json<Slot[]>(['schedule', 'history'])
    const slot = queued.find(({ state }) => state === 'queued')
    // Its hook sleeps: nothing but the claim tells that it is at work.
    return slot?.run !== undefined && /begins/.test(said(first)) ? slot : undefined
  })
  first.child.kill('SIGKILL')
  await first.ended
  assert.equal((await hf.run(['schedule', 'pause', 'often'])).code, 0)
  start(t, hf, 'worker')
  const slot = await until('its time to be done', async () =>
    (await slots(hf)).find(({ due, state }) => due === victim.due && state === 'done'),
  )
  assert.notEqual(slot.run, victim.run, 'by a run of its own')
  const runs = await hf.json<Listed[]>(['run', 'list'])
  assert.equal(runs.find(({ id }) => id === victim.run)?.status, 'interrupted')
  assert.equal(runs.find(({ id }) => id === slot.run)?.status, 'success')
})

test('a stop waits for what is at work; past its time the run is interrupted safely and made by the next worker', async (t) => {
  const hf = world(t, `  web: { ${FILES}, ${SLOW} }`, ', drain: 200ms')
  await hf.run(['schedule', 'add', '--cron', '* * * * * *', '--job', 'web', '--name', 'often'])
  const server = start(t, hf, 'server')
  await until('work', async () => (/begins/.test(said(server)) ? true : undefined))
  server.child.kill('SIGTERM')
  const { code, stderr } = await server.ended
  assert.equal(code, 0, stderr)
  assert.match(stderr, /web: interrupted/)
  const queued = (await hf.json<Listed[]>(['run', 'list'])).filter(({ status }) => status === 'queued')
  assert.equal(queued.length, 1, 'it waits for the next worker')
  assert.equal((await hf.run(['schedule', 'pause', 'often'])).code, 0)
  start(t, hf, 'server')
  await until('the run that waited', async () =>
    (await hf.json<Listed[]>(['run', 'list'])).find(({ id, status }) => id === queued[0]?.id && status === 'success'),
  )
})

test('a run that waits is cancelled, and never begins', async (t) => {
  const hf = world(t, `  web: { ${FILES}, labels: [gpu] }`)
  await hf.run(['schedule', 'add', '--cron', '* * * * * *', '--job', 'web', '--name', 'often'])
  const server = start(t, hf, 'server')
  const [waiting] = await until('a run that waits', async () => {
    const found = await hf.json<Listed[]>(['run', 'list', '--status', 'queued'])
    return found.length > 0 ? found : undefined
  })
  await hf.run(['schedule', 'pause', 'often'])
  const asked = await hf.run(['run', 'cancel', waiting?.id ?? ''])
  assert.equal(asked.code, 0, asked.stderr)
  const cancelled = await hf.json<Listed>(['run', 'show', waiting?.id ?? ''])
  assert.equal(cancelled.status, 'cancelled')
  server.child.kill('SIGTERM')
  assert.equal((await server.ended).code, 0)
})

/** What it has written to stderr so far. */
function said({ child }: ReturnType<Holdfast['start']>): string {
  const known = texts.get(child)
  if (known !== undefined) return known.text
  const kept = { text: '' }
  texts.set(child, kept)
  child.stderr?.on('data', (chunk: Buffer) => (kept.text += chunk.toString()))
  return ''
}
const texts = new WeakMap<object, { text: string }>()

test('a job that fails again and again is told once; when it is good again that is told, and the alert is over', async (t) => {
  const hf = world(
    t,
    `  web: { ${FILES}, schedule: '* * * * * *', hooks: { before: ["test ! -e broken"] } }
notify: { log: { type: command, command: 'cat >> told; echo >> told', on: [failure, recovered] } }`,
  )
  writeFileSync(join(hf.dir, 'broken'), '')
  const server = start(t, hf, 'server')
  await until('three failures', async () => ((await failures(hf)) >= 3 ? true : undefined))
  const told = (): { event: string }[] =>
    readFileSync(join(hf.dir, 'told'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string })
  assert.deepEqual(
    told().map(({ event }) => event),
    ['failure'],
  )
  const [alert] = await hf.json<{ id: string; kind: string; count: number; message: string }[]>(['alert', 'list'])
  assert.equal(alert?.kind, 'failure')
  assert.ok(alert.count >= 2)
  assert.match(alert.message, /hook of web ended with exit code 1/)
  assert.equal((await hf.json<{ state: string }[]>(['job', 'list']))[0]?.state, 'bad')
  assert.equal((await hf.run(['alert', 'ack', alert.id.slice(0, 8)])).code, 0)

  rmSync(join(hf.dir, 'broken'))
  await until('the alert to be over', async () =>
    (await hf.json<unknown[]>(['alert', 'list'])).length === 0 ? true : undefined,
  )
  assert.deepEqual(
    told().map(({ event }) => event),
    ['failure', 'recovered'],
  )
  assert.equal((await hf.json<{ state: string }[]>(['job', 'list']))[0]?.state, 'ok')
  server.child.kill('SIGTERM')
  assert.equal((await server.ended).code, 0)
})

const failures = async (hf: Holdfast): Promise<number> =>
  (await hf.json<Listed[]>(['run', 'list', '--status', 'failed', '--limit', '100'])).length
