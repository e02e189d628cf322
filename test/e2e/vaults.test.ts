import { randomBytes } from 'node:crypto'
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { holdfast, lines, scratch, summary, type Holdfast } from '../support/holdfast.ts'

/** `bad` is a place that cannot be written: a file stands where its folder would be. */
function configured(cli: Holdfast, vaults: object, jobs: object, more: object = {}): void {
  mkdirSync(join(cli.dir, 'data'))
  writeFileSync(join(cli.dir, 'data/a'), 'content of a\n')
  writeFileSync(join(cli.dir, 'wall'), 'a file, not a folder')
  const config = { version: 1, server: { dataDir: './state' }, vaults, jobs, ...more }
  writeFileSync(join(cli.dir, 'holdfast.json'), JSON.stringify(config), { mode: 0o600 })
}

const archive = (path: string, more: object = {}): object => ({
  storage: { type: 'file', path },
  format: 'archive',
  ...more,
})
const BAD = archive('./wall/vault')
const files = (vaults: unknown): object => ({ source: { type: 'files', paths: ['./data'] }, vaults })

test('a vault inside the folder that is backed up is left out, with a note', async (t) => {
  const cli = holdfast(scratch(t))
  mkdirSync(join(cli.dir, 'home'))
  writeFileSync(join(cli.dir, 'home/a'), 'a')
  for (let round = 0; round < 2; round += 1) {
    const { code, stderr } = await cli.run(['backup', 'home', '--to', 'home/vault', '-v'])
    assert.equal(code, 0, stderr)
    assert.match(stderr, /home\/vault is the vault itself: not in the backup/)
  }
  const { stdout } = await cli.run(['ls', 'latest', '--vault', 'home/vault'])
  assert.deepEqual(
    stdout.split('\n').filter((line) => line.includes('home/')),
    [join(cli.dir, 'home/a')],
  )
})

test('a source inside its own vault is refused before anything is written', async (t) => {
  const cli = holdfast(scratch(t))
  mkdirSync(join(cli.dir, 'vault/inner'), { recursive: true })
  for (const source of ['vault', 'vault/inner']) {
    const { code, stderr } = await cli.run(['backup', source, '--to', 'vault'])
    assert.equal(code, 2, stderr)
    assert.match(stderr, /is inside the vault/)
  }
  assert.deepEqual(readdirSync(join(cli.dir, 'vault')), ['inner'])
})

test('vaults of a job: all must succeed, any one, or the first that does', async (t) => {
  const cli = holdfast(scratch(t))
  const vaults = { bad: BAD, good: archive('./good'), spare: archive('./spare') }
  configured(cli, vaults, {
    all: files({ strategy: 'all', members: ['bad', 'good'] }),
    any: files({ strategy: 'any', members: ['bad', 'good', 'spare'], concurrency: 3 }),
    priority: files({ strategy: 'priority', members: ['bad', 'good', 'spare'] }),
    none: files({ strategy: 'any', members: ['bad'] }),
  })
  const statuses = async (job: string): Promise<[number | null, unknown[]]> => {
    const { code, stdout } = await cli.run(['backup', job, '--json'])
    const summaries = lines(stdout).filter((line) => line['message_type'] === 'summary')
    return [code, summaries.map(({ vault, status }) => `${String(vault)} ${String(status)}`)]
  }
  assert.deepEqual(await statuses('all'), [2, ['bad failed', 'good success']])
  assert.deepEqual(await statuses('any'), [3, ['bad failed', 'good success', 'spare success']])
  assert.deepEqual(await statuses('priority'), [3, ['bad failed', 'good success']])
  assert.deepEqual(await statuses('none'), [2, ['bad failed']])
})

test('a member of a mirror that fails is a warning of the run, and reads fall back to the other', async (t) => {
  const cli = holdfast(scratch(t))
  const storage = { type: 'mirror', strategy: 'any', members: ['file:./wall/one', 'file:./two'] }
  configured(cli, { both: { storage, format: 'archive' } }, { job: files(['both']) })
  const made = await cli.run(['backup', '--json'])
  assert.equal(made.code, 3, made.stderr)
  const { status, warnings } = summary(made.stdout)
  assert.equal(status, 'warning')
  assert.match(JSON.stringify(warnings), /wall\/one failed, the work goes on without it/)
  const back = await cli.run(['restore', 'latest', '--to', 'out'])
  assert.ok(existsSync(join(cli.dir, 'out', cli.dir, 'data/a')), back.stderr)
})

test('a notifier that cannot be reached is a warning, not a failed backup', async (t) => {
  const cli = holdfast(scratch(t))
  const notify = { hook: { type: 'webhook', url: 'http://127.0.0.1:9/', on: ['success'] } }
  configured(cli, { good: archive('./good') }, { job: files(['good']) }, { notify })
  const { code, stderr } = await cli.run(['backup'])
  assert.equal(code, 0, stderr)
  assert.match(stderr, /warning: cannot reach webhook at 127\.0\.0\.1:9/)
})

test('a cache keeps manifests and indexes, notes are always fresh, and checks do not believe it', async (t) => {
  const cli = holdfast(scratch(t))
  configured(cli, { good: archive('./good', { cache: { dir: './cache' } }) }, { job: files(['good']) })
  assert.equal((await cli.run(['backup'])).code, 0)
  await cli.run(['ls', 'latest'])
  assert.ok(readdirSync(join(cli.dir, 'cache')).length > 0)
  await cli.run(['tag', 'latest', '--add', 'late'])
  const [listed] = await cli.json<{ tags: string[] }[]>(['list'])
  assert.deepEqual(listed?.tags, ['late'])
  // Damage that the storage does not tell by size and time.
  const folder = join(cli.dir, 'good/job')
  const index = join(folder, readdirSync(folder).find((name) => name.includes('.index.')) ?? '')
  const bytes = readFileSync(index)
  const { mtime } = await import('node:fs').then(({ statSync }) => statSync(index))
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  writeFileSync(index, bytes)
  utimesSync(index, mtime, mtime)
  assert.equal((await cli.run(['verify', 'latest', '--level', 'V1'])).code, 4)
})

test('old runs and their logs go after a backup', async (t) => {
  const cli = holdfast(scratch(t))
  configured(cli, { good: archive('./good') }, { job: files(['good']) }, { log: { maxAge: '1s' } })
  const logs = join(cli.dir, 'state/logs/runs')
  mkdirSync(logs, { recursive: true })
  const stale = join(logs, 'unknown.ndjson')
  writeFileSync(stale, '{}\n')
  utimesSync(stale, 1, 1)
  assert.equal((await cli.run(['backup'])).code, 0)
  assert.ok(!existsSync(stale))
  const runs = await cli.json<{ log: string }[]>(['run', 'list'])
  assert.equal(runs.length, 1)
  assert.ok(existsSync(runs[0]?.log ?? ''))
})

test('doctor tells a wrong password, and a dry run of a copy or an export makes nothing', async (t) => {
  const cli = holdfast(scratch(t))
  mkdirSync(join(cli.dir, 'data'))
  writeFileSync(join(cli.dir, 'data/a'), 'a')
  await cli.run(['backup', 'data', '--to', 'v', '--format', 'archive'], { env: { HOLDFAST_PASSWORD: 'right' } })
  for (const [password, code] of [
    ['right', 0],
    ['wrong', 1],
  ] as const) {
    const looked = await cli.run(['doctor', '--vault', 'v', '--quick'], { env: { HOLDFAST_PASSWORD: password } })
    assert.equal(looked.code, code, looked.stdout)
    if (code === 1) assert.match(looked.stdout, /✕ .*password or key — vault\.wrong-password/)
  }
  const copied = await cli.run(['copy', '--vault', 'v', '--to', 'other', '--dry-run'])
  assert.match(copied.stdout, /would copy full-/)
  await cli.run(['config', 'export', '--output', 'out.yaml', '--dry-run'])
  assert.ok(!existsSync(join(cli.dir, 'other')) && !existsSync(join(cli.dir, 'out.yaml')))
  for (const what of ['config', 'job']) await cli.json([what, 'export'])
})

test('no flag is ignored: what does not apply, or is no number, is refused', async (t) => {
  const cli = holdfast(scratch(t))
  configured(cli, { good: archive('./good') }, { job: files(['good']) })
  for (const args of [
    ['backup', 'job', '--exclude', '*.tmp'],
    ['backup', '--one-file-system'],
    ['backup', 'job', '--compression', 'gzip'],
    ['backup', 'data', '--to', 'v', '--limit-upload', 'fast'],
    ['list', '--limit', 'few'],
    ['run', 'list', '--limit', '-1'],
    ['run', 'list', '--status', 'odd'],
  ]) {
    const { code, stderr } = await cli.run(args)
    assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
  }
  rmSync(join(cli.dir, 'good'), { recursive: true, force: true })
  assert.equal((await cli.run(['backup', '--job', 'job', '--verify', 'V1'])).code, 0)
  const [made] = await cli.json<{ proof: { level: string } }[]>(['list'])
  assert.equal(made?.proof.level, 'V1')
})

test('a hold is copied with its backup, and a dry run of verify notes nothing in the vault', async (t) => {
  const cli = holdfast(scratch(t))
  mkdirSync(join(cli.dir, 'data'))
  writeFileSync(join(cli.dir, 'data/a'), 'content of a')
  assert.equal((await cli.run(['backup', 'data', '--to', './one'])).code, 0)
  assert.equal((await cli.run(['tag', 'latest', '--vault', './one', '--hold'])).code, 0)
  assert.equal((await cli.run(['copy', 'latest', '--vault', './one', '--to', './two'])).code, 0)
  const listed = async (): Promise<{ hold?: boolean; proof: { level: string } }> => {
    const { stdout } = await cli.run(['list', '--vault', './two', '--json'])
    const [backup] = JSON.parse(stdout) as { hold?: boolean; proof: { level: string } }[]
    if (backup === undefined) throw new Error('nothing is listed')
    return backup
  }
  assert.equal((await listed()).hold, true)
  const dry = await cli.run(['verify', 'latest', '--vault', './two', '--level', 'V2', '--dry-run'])
  assert.match(dry.stdout, /proved to V2/)
  assert.equal((await listed()).proof.level, 'V0')
  assert.equal((await cli.run(['verify', 'latest', '--vault', './two', '--level', 'V2'])).code, 0)
  assert.equal((await listed()).proof.level, 'V2')
})

test('a vault that failed gets what it missed from its sibling at the next run, once', async (t) => {
  const cli = holdfast(scratch(t))
  configured(cli, { good: archive('./good'), bad: BAD }, { job: files(['good', 'bad']) })
  const backup = async (content: string): Promise<number | null> => {
    writeFileSync(join(cli.dir, 'data/a'), content)
    return (await cli.run(['backup'])).code
  }
  assert.notEqual(await backup('one'), 0)
  assert.notEqual(await backup('two'), 0)
  rmSync(join(cli.dir, 'wall'))
  assert.equal(await backup('three'), 0)
  const times = async (vault: string): Promise<string[]> =>
    (await cli.json<{ time: string }[]>(['list', '--vault', vault])).map(({ time }) => time).sort()
  const [good, bad] = [await times('good'), await times('bad')]
  assert.equal(good.length, 3)
  assert.deepEqual(bad.slice(0, 2), good.slice(0, 2), 'the two that it missed have their own times')
  assert.equal(bad.length, 3)
  const [first] = await cli.json<{ id: string; time: string }[]>(['list', '--vault', 'bad'])
  assert.equal((await cli.run(['restore', first?.id ?? '', '--vault', 'bad', '--to', 'out'])).code, 0)
  assert.equal(readFileSync(join(cli.dir, 'out', cli.dir, 'data/a'), 'utf8'), 'one')
  const copies = async (): Promise<number> =>
    (await cli.json<{ kind: string }[]>(['run', 'list'])).filter(({ kind }) => kind === 'copy').length
  assert.equal(await copies(), 2)
  assert.equal(await backup('four'), 0)
  assert.equal(await copies(), 2, 'nothing is copied again')
})

test('a round in which the source failed was missed by no vault, and a copy that failed is made at the next run', async (t) => {
  const cli = holdfast(scratch(t))
  configured(cli, { good: archive('./good'), bad: BAD }, { job: files(['good', 'bad']) })
  const run = async (): Promise<number | null> => (await cli.run(['backup'])).code
  const copies = async (): Promise<string[]> =>
    (await cli.json<{ kind: string; status: string }[]>(['run', 'list']))
      .filter(({ kind }) => kind === 'copy')
      .map(({ status }) => status)
  const count = async (vault: string): Promise<number> => (await cli.json<unknown[]>(['list', '--vault', vault])).length
  // Of the first round only one vault has the backup; in the second there was nothing to read.
  assert.notEqual(await run(), 0)
  rmSync(join(cli.dir, 'wall'))
  renameSync(join(cli.dir, 'data'), join(cli.dir, 'away'))
  assert.notEqual(await run(), 0)
  renameSync(join(cli.dir, 'away'), join(cli.dir, 'data'))
  // The payload cannot be read just now.
  const folder = join(cli.dir, 'good/job')
  const payload = join(folder, readdirSync(folder).find((name) => name.includes('.tar')) ?? assert.fail())
  const whole = readFileSync(payload)
  writeFileSync(payload, Buffer.alloc(whole.length))
  assert.equal(await run(), 0)
  assert.deepEqual(await copies(), ['failed'])
  assert.equal(await count('bad'), 1)
  writeFileSync(payload, whole)
  assert.equal(await run(), 0)
  assert.deepEqual(await copies(), ['success', 'failed'])
  assert.deepEqual([await count('good'), await count('bad')], [3, 3])
  assert.equal(await run(), 0)
  assert.deepEqual(await copies(), ['success', 'failed'])
})

test('the vaults of a job are fed by one reading of its source; one that fails leaves the others to go on', async (t) => {
  const cli = holdfast(scratch(t))
  const dump = join(cli.dir, 'dump.sh')
  const program = `echo x >> ${join(cli.dir, 'count')}; head -c 20000000 /dev/urandom`
  writeFileSync(dump, `#!/bin/sh\n${program}\n`, { mode: 0o755 })
  const vaults = {
    one: archive('./one'),
    bad: BAD,
    two: { ...archive('./two'), format: 'repository', password: 'open' },
  }
  const source = { type: 'command', command: [dump], name: 'dump' }
  configured(cli, vaults, {
    once: { source, vaults: ['one', 'bad', 'two'] },
    each: { source, vaults: { strategy: 'all', members: ['one', 'two'], read: 'each' } },
  })
  const count = (): number => readFileSync(join(cli.dir, 'count'), 'utf8').length / 2
  const { stdout } = await cli.run(['backup', 'once', '--json'])
  const made = lines(stdout).filter((line) => line['message_type'] === 'summary')
  assert.deepEqual(
    made.map(({ vault, status }) => `${String(vault)} ${String(status)}`),
    ['one success', 'bad failed', 'two success'],
  )
  assert.equal(count(), 1)
  for (const vault of ['one', 'two'])
    assert.equal((await cli.run(['restore', 'latest', '--vault', vault, '--to', `out-${vault}`])).code, 0)
  const [one, two] = ['one', 'two'].map((vault) => {
    const folder = join(cli.dir, `out-${vault}`)
    const found = readdirSync(folder, { recursive: true, withFileTypes: true }).find((item) => item.isFile())
    return readFileSync(join(found?.parentPath ?? '', found?.name ?? ''))
  })
  assert.equal(one?.length, 20_000_000)
  assert.ok(two !== undefined && one?.equals(two), 'both have the very same')
  const times = await Promise.all(
    ['one', 'two'].map(async (vault) => (await cli.json<{ time: string }[]>(['list', '--vault', vault]))[0]?.time),
  )
  assert.equal(times[0], times[1])
  assert.equal((await cli.run(['backup', 'each'])).code, 0)
  assert.equal(count(), 3)
})

test('a restore goes on from the next vault of the job where one has lost something, of either format', async (t) => {
  const cli = holdfast(scratch(t))
  const repository = { storage: 'file:./one', format: 'repository', password: 'open' }
  configured(cli, { one: repository, two: archive('./two') }, { job: files(['one', 'two']) })
  const large = randomBytes(30_000_000)
  writeFileSync(join(cli.dir, 'data/large'), large)
  for (let i = 0; i < 50; i += 1) writeFileSync(join(cli.dir, `data/small-${i}`), `${i}`.repeat(5000))
  assert.equal((await cli.run(['backup'])).code, 0)
  const check = async (vault: string, out: string): Promise<void> => {
    const { code, stderr } = await cli.run(['restore', 'latest', '--vault', vault, '--to', out])
    assert.equal(code, 3, stderr)
    assert.match(stderr, /: the restore goes on from (?:one|two)/)
    const back = join(cli.dir, out, cli.dir, 'data')
    assert.ok(readFileSync(join(back, 'large')).equals(large))
    assert.equal(readdirSync(back).length, 52)
    for (let i = 0; i < 50; i += 1) assert.equal(readFileSync(join(back, `small-${i}`), 'utf8'), `${i}`.repeat(5000))
  }
  const packs = readdirSync(join(cli.dir, 'one/data'), { recursive: true, withFileTypes: true }).filter((item) =>
    item.isFile(),
  )
  const paths = packs.map(({ parentPath, name }) => join(parentPath, name))
  const biggest = paths.toSorted((a, b) => readFileSync(b).length - readFileSync(a).length)[0] ?? assert.fail()
  renameSync(biggest, join(cli.dir, 'pack'))
  await check('one', 'out-repository')
  renameSync(join(cli.dir, 'pack'), biggest)
  const folder = join(cli.dir, 'two/job')
  const payload = join(folder, readdirSync(folder).find((name) => name.includes('.tar')) ?? assert.fail())
  writeFileSync(payload, readFileSync(payload).subarray(0, 10_000_000))
  await check('two', 'out-archive')
})
