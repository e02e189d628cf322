/**
 * Two schedulers and two workers on one catalogue (four where it is PostgreSQL), any of them killed at random moments and
 * started again, PostgreSQL too, or its connections cut: every due time runs exactly once or is accounted for, no job overlaps itself, no lease survives its owner, no backup is lost. The
 * suite runs it short, `npm run campaign -- service` long.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { plant } from '../support/file-tree.ts'
import { holdfast, type Holdfast } from '../support/holdfast.ts'

export interface ServiceSweepResult {
  kills: number
  slots: number
  done: number
  /** What became of the others. */
  others: Record<string, number>
}

interface Slot {
  recurrence: string
  job: string
  state: string
  run?: string
}

interface Run {
  id: string
  job: string
  kind: string
  status: string
  backupId?: string
}

const JOBS = ['a', 'b', 'c']
/** Each begin and end of a run's work, told by its own hook: a line is written at once and whole. */
const TELL = (word: string): string => `echo "${word} $HOLDFAST_JOB $HOLDFAST_RUN_ID" >> told`

/** A catalogue on a server that can be hurt. */
export interface SweptCatalogue {
  url: string
  crash(): Promise<void>
  cut(): void
}

export async function serviceSweep(
  dir: string,
  rounds: number,
  { log = () => {}, catalogue }: { log?: (text: string) => void; catalogue?: SweptCatalogue } = {},
): Promise<ServiceSweepResult> {
  const hf = holdfast(dir)
  for (const job of JOBS) plant(dir, { [`${job}/file`]: `content of ${job}` })
  configure(dir, true, catalogue)
  const start = (role: string): ReturnType<Holdfast['start']> => hf.start([role])
  const workers = catalogue === undefined ? ['worker', 'worker'] : ['worker', 'worker', 'worker', 'worker']
  const roles = ['scheduler', 'scheduler', ...workers]
  const processes = roles.map(start)
  let kills = 0
  try {
    await firstRun(hf)
    while (kills < rounds) {
      await sleep(randomInt(100, 3500))
      const victim = randomInt(roles.length + (catalogue === undefined ? 0 : 2))
      if (catalogue !== undefined && victim >= roles.length) {
        kills += 1
        log(`${kills}/${rounds} ${victim === roles.length ? 'crashed PostgreSQL' : 'cut all connections'}`)
        if (victim === roles.length) await catalogue.crash()
        else catalogue.cut()
        continue
      }
      processes[victim]?.child.kill('SIGKILL')
      await processes[victim]?.ended
      kills += 1
      processes[victim] = start(roles[victim] as string)
      log(`${kills}/${rounds} killed a ${roles[victim]}`)
    }
  } finally {
    for (const { child } of processes) child.kill('SIGTERM')
    await Promise.all(processes.map(async ({ ended }) => ended))
  }
  await finish(hf, dir, catalogue)
  return { kills, ...(await look(hf, dir)) }
}

function configure(dir: string, scheduled: boolean, catalogue: SweptCatalogue | undefined): void {
  const jobs = JOBS.map(
    (job, n) => `  ${job}:
    source: { type: files, paths: [./${job}] }
    vaults: [v]
    ${scheduled ? `schedule: '*/${n + 1} * * * * *'` : ''}
    hooks: { before: ['${TELL('begin')}; sleep 0.${n}'], after: ['${TELL('end')}'] }`,
  )
  writeFileSync(
    join(dir, 'holdfast.yaml'),
    `vaults: { v: { storage: ./vault, format: archive } }\nserver: { dataDir: ./state, catalogue: '${catalogue?.url ?? 'sqlite'}' }\njobs:\n${jobs.join('\n')}\n`,
  )
}

async function firstRun(hf: Holdfast): Promise<void> {
  for (let waited = 0; !(await slotsOf(hf)).some(({ state }) => state === 'done'); waited += 500) {
    assert.ok(waited < 60_000, 'no run came to its end')
    await sleep(500)
  }
}

/** Nothing more becomes due; what was left is made up for. */
async function finish(hf: Holdfast, dir: string, catalogue: SweptCatalogue | undefined): Promise<void> {
  configure(dir, false, catalogue)
  const last = hf.start(['server', '--listen', '127.0.0.1:0'])
  // It can be asked to stop once it says that it works.
  await Promise.race([once(last.child.stderr as NodeJS.ReadableStream, 'data'), last.ended])
  try {
    for (let waited = 0; ; waited += 500) {
      const open = (await slotsOf(hf)).filter(({ state }) => state === 'queued')
      if (open.length === 0) return
      assert.ok(waited < 300_000, `these never ended: ${JSON.stringify(open)}`)
      await sleep(500)
    }
  } finally {
    last.child.kill('SIGTERM')
    assert.equal((await last.ended).code, 0)
  }
}

const slotsOf = async (hf: Holdfast): Promise<Slot[]> => hf.json<Slot[]>(['schedule', 'history', '--limit', '100000'])

async function look(hf: Holdfast, dir: string): Promise<Omit<ServiceSweepResult, 'kills'>> {
  const slots = await slotsOf(hf)
  const runs = new Map((await hf.json<Run[]>(['run', 'list', '--limit', '100000'])).map((run) => [run.id, run]))
  const open = [...runs.values()].filter(({ status }) => ['queued', 'running'].includes(status))
  assert.deepEqual(open, [], 'no run waits or works any more')
  const used = slots.flatMap(({ run }) => run ?? [])
  assert.equal(new Set(used).size, used.length, 'no run stands for two due times')
  const done = slots.filter(({ state }) => state === 'done')
  for (const { run = '' } of done)
    assert.equal(runs.get(run)?.status, 'success', `the run ${run} of a time that is done`)
  const successes = [...runs.values()].filter(({ kind, status }) => kind === 'backup' && status === 'success')
  const claimed = new Set(used)
  // A worker killed between its run's end and the slot's: the run was good, and another made up for the slot.
  const twice = successes.filter(({ id }) => !claimed.has(id))
  const ids = new Set((await hf.json<{ id: string }[]>(['list', '--vault', 'v'])).map(({ id }) => id))
  for (const { backupId = '' } of successes) assert.ok(ids.has(backupId), `the backup ${backupId} is there`)
  const checked = await hf.run(['check', '--vault', 'v', '--read-data'])
  assert.equal(checked.code, 0, checked.stdout + checked.stderr)
  noOverlap(dir, runs, new Set(twice.map(({ id }) => id)))
  const others: Record<string, number> = {}
  for (const { state } of slots) if (state !== 'done') others[state] = (others[state] ?? 0) + 1
  if (twice.length > 0) others['good, and made again as their worker died before it could say so'] = twice.length
  assert.deepEqual(
    slots.filter(({ state }) => state === 'queued' || state === 'failed'),
    [],
  )
  return { slots: slots.length, done: done.length, others }
}

/**
 * Between the beginning and the end of a run no other of its job is told of. One without an end belongs to a worker that
 * was killed: then its run did not succeed, or did and could not say so any more.
 */
function noOverlap(dir: string, runs: ReadonlyMap<string, Run>, unsaid: ReadonlySet<string>): void {
  const told = existsSync(join(dir, 'told')) ? readFileSync(join(dir, 'told'), 'utf8').trim().split('\n') : []
  for (const name of JOBS) {
    const begun = new Set<string>()
    let working: string | undefined
    const lost = (id: string | undefined): void => {
      const run = id === undefined ? undefined : runs.get(id)
      assert.ok(run?.status !== 'success' || unsaid.has(run.id), `the run ${id} of ${name} told no end, and succeeded`)
    }
    for (const line of told) {
      const [word, job, id = ''] = line.split(' ')
      if (job !== name) continue
      if (word === 'begin') {
        assert.ok(!begun.has(id), `the run ${id} of ${name} began twice`)
        begun.add(id)
        lost(working)
        working = id
      } else {
        assert.equal(id, working, `a run of ${name} ended while another worked`)
        working = undefined
      }
    }
    lost(working)
  }
}
