import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { holdfast, lines, scratch, summary } from '../support/holdfast.ts'

function tree(dir: string): string {
  const source = join(dir, 'source')
  mkdirSync(join(source, 'docs/deep'), { recursive: true })
  writeFileSync(join(source, 'docs/a.txt'), 'hello\n')
  writeFileSync(join(source, 'docs/deep/b.bin'), Buffer.alloc(300_000, 7))
  writeFileSync(join(source, 'empty'), '')
  symlinkSync('docs/a.txt', join(source, 'link'))
  return source
}

const same = (a: string, b: string): void => void execFileSync('diff', ['-r', '--no-dereference', a, b])

interface Listed {
  id: string
  job: string
  type: string
  vault: string
  time: string
  parent: string | null
  tags: string[]
  sourceBytes: number
  storedBytes: number
  proof: { level: string; at: string }
}

test('a first backup needs one command, and a restore gives the same tree', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const made = await cli.run(['backup', source, '--to', './vault'])
  assert.equal(made.code, 0, made.stderr)
  assert.match(made.stdout, /source → .*full-\d{4}-/)
  assert.match(made.stderr, /is not encrypted/)
  const back = await cli.run(['restore', 'latest', '--vault', './vault', '--to', './out'])
  assert.equal(back.code, 0, back.stderr)
  same(source, join(cli.dir, 'out', source))
})

test('list, backup, restore, verify and prune speak JSON of the published shapes', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const vault = ['--vault', join(cli.dir, 'vault')]
  const backup = await cli.run(['backup', source, '--to', join(cli.dir, 'vault'), '--tag', 'first', '--json'])
  const made = summary(backup.stdout)
  assert.equal(made['status'], 'success')
  assert.equal(made['files_new'], 3)
  assert.equal(made['total_bytes_processed'], 300_006)
  for (const key of [
    'run_id',
    'job',
    'vault',
    'backup_id',
    'type',
    'files_changed',
    'files_unmodified',
    'total_files_processed',
    'data_added',
    'data_added_packed',
    'duration_seconds',
    'warnings',
  ])
    assert.ok(key in made, key)

  writeFileSync(join(source, 'docs/a.txt'), 'changed\n')
  const again = summary((await cli.run(['backup', source, '--to', join(cli.dir, 'vault'), '--json'])).stdout)
  assert.deepEqual(
    [again['type'], again['files_changed'], again['files_unmodified'], again['data_added']],
    ['incremental', 1, 2, 8],
  )

  const listed = await cli.json<Listed[]>(['list', ...vault])
  assert.deepEqual(
    listed.map(({ type }) => type),
    ['full', 'incremental'],
  )
  assert.equal(listed[1]?.parent, listed[0]?.id)
  assert.deepEqual(listed[0]?.tags, ['first'])
  assert.equal(listed[0]?.proof.level, 'V0')
  assert.equal(new Date(listed[0]?.time ?? '').toISOString(), listed[0]?.time)
  assert.equal((await cli.json<Listed[]>(['list-backups', ...vault, '--tag', 'first'])).length, 1)
  assert.equal((await cli.json<Listed[]>(['snapshots', ...vault, '--limit', '1']))[0]?.id, listed[1]?.id)

  const restored = summary(
    (await cli.run(['restore', listed[0]?.id ?? '', ...vault, '--to', './old', '--json'])).stdout,
  )
  assert.equal(restored['status'], 'success')
  assert.equal(restored['bytes_restored'], 300_006)
  assert.equal(readFileSync(join(cli.dir, 'old', source, 'docs/a.txt'), 'utf8'), 'hello\n')

  const verified = await cli.json<{ backup_id: string; level: string; ok: boolean; checks: unknown[] }>([
    'verify',
    'latest',
    ...vault,
    '--level',
    'V4',
  ])
  assert.deepEqual([verified.level, verified.ok, verified.checks.length], ['V4', true, 5])
  assert.equal((await cli.json<Listed[]>(['list', ...vault])).at(-1)?.proof.level, 'V4')

  const plan = await cli.json<{ keep: { id: string; reasons: string[] }[]; remove: unknown[]; applied: boolean }>([
    'prune',
    ...vault,
    '--keep-last',
    '1',
    '--dry-run',
  ])
  assert.deepEqual([plan.applied, plan.keep.length, plan.remove.length], [false, 2, 0])
  assert.match(plan.keep[0]?.reasons.join() ?? '', /needed by/)
  const full = summary(
    (await cli.run(['backup', source, '--to', join(cli.dir, 'vault'), '--type', 'full', '--json'])).stdout,
  )
  const done = await cli.json<{ remove: { id: string }[]; applied: boolean; bytes_freed: number }>([
    'prune',
    ...vault,
    '--keep-last',
    '1',
  ])
  assert.equal(done.applied, true)
  assert.deepEqual(
    done.remove.map(({ id }) => id),
    listed.map(({ id }) => id),
  )
  assert.ok(done.bytes_freed > 0)
  assert.deepEqual(
    (await cli.json<Listed[]>(['list', ...vault])).map(({ id }) => id),
    [full['backup_id']],
  )
})

test('parts of a backup come back by path, by glob and by BACKUP:/sub/path', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const vault = ['--vault', './vault']
  await cli.run(['backup', source, '--to', './vault'])
  assert.equal((await cli.run(['restore', `latest:${source}/docs`, ...vault, '--to', './part'])).code, 0)
  same(join(source, 'docs'), join(cli.dir, 'part'))
  assert.equal((await cli.run(['restore', 'latest', ...vault, '--to', './glob', '--only', '*.txt'])).code, 0)
  assert.deepEqual(readdirSync(join(cli.dir, 'glob', source, 'docs')), ['a.txt'])
  assert.equal(
    (await cli.run(['restore', 'latest', ...vault, '--to', './file', '--only', join(source, 'docs/deep')])).code,
    0,
  )
  assert.deepEqual(readdirSync(join(cli.dir, 'file', source, 'docs')), ['deep'])
  const nothing = await cli.run(['restore', 'latest', ...vault, '--to', './none', '--only', '*.nothing'])
  assert.equal(nothing.code, 10)
  assert.match(nothing.stderr, /nothing in .* matches/)
})

test('a restore refuses to touch what exists unless told to, and a dry run touches nothing', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const vault = ['--vault', './vault']
  await cli.run(['backup', source, '--to', './vault'])
  writeFileSync(join(source, 'docs/a.txt'), 'newer')
  writeFileSync(join(source, 'docs/extra'), 'x')
  const refused = await cli.run(['restore', ...vault, '--in-place'])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /restore\.exists/)
  const plan = await cli.run(['restore', ...vault, '--in-place', '--overwrite', 'if-changed', '--delete', '--dry-run'])
  assert.equal(plan.code, 0, plan.stderr)
  assert.match(plan.stdout, /replace +.*docs\/a\.txt/)
  assert.match(plan.stdout, /delete +.*docs\/extra/)
  assert.equal(readFileSync(join(source, 'docs/a.txt'), 'utf8'), 'newer')
  assert.equal((await cli.run(['restore', ...vault, '--in-place', '--overwrite', 'if-changed', '--delete'])).code, 0)
  assert.equal(readFileSync(join(source, 'docs/a.txt'), 'utf8'), 'hello\n')
  assert.deepEqual(readdirSync(join(source, 'docs')), ['a.txt', 'deep'])
})

test('ls, find, diff, dump, stats and tag tell what is in a vault', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const vault = ['--vault', './vault']
  await cli.run(['backup', source, '--to', './vault'])
  writeFileSync(join(source, 'docs/new.txt'), 'new')
  rmSync(join(source, 'empty'))
  await cli.run(['backup', source, '--to', './vault'])
  const [first, second] = await cli.json<Listed[]>(['list', ...vault])
  const ls = await cli.run(['ls', first?.id ?? '', ...vault, '--long'])
  assert.match(ls.stdout, /^-rw-.* 6 .*docs\/a\.txt$/m)
  assert.match(ls.stdout, /link -> docs\/a\.txt$/m)
  const found = lines((await cli.run(['find', '*.txt', ...vault, '--json'])).stdout)
  assert.equal(found.length, 3)
  const diff = await cli.run(['diff', first?.id ?? '', second?.id ?? '', ...vault])
  assert.match(diff.stdout, /^\+ +.*new\.txt$/m)
  assert.match(diff.stdout, /^- +.*empty$/m)
  assert.equal((await cli.run(['dump', `latest:${source}/docs/new.txt`, ...vault])).stdout, 'new')
  assert.equal((await cli.run(['dump', 'latest', ...vault, '--output', 'all.tar'])).code, 0)
  assert.match(execFileSync('tar', ['-tf', join(cli.dir, 'all.tar')], { encoding: 'utf8' }), /docs\/new\.txt/)
  assert.equal(
    (await cli.run(['dump', `latest:${source}/docs`, ...vault, '--format', 'zip', '--output', 'docs.zip'])).code,
    0,
  )
  execFileSync('unzip', ['-tq', join(cli.dir, 'docs.zip')])
  const [stats] = await cli.json<{ backups: number; jobs: { job: string; fulls: number }[] }[]>(['stats', ...vault])
  assert.deepEqual([stats?.backups, stats?.jobs[0]?.fulls], [2, 1])
  await cli.run(['tag', second?.id ?? '', ...vault, '--add', 'keep', '--hold'])
  const tagged = (await cli.json<(Listed & { hold?: boolean })[]>(['list', ...vault])).at(-1)
  assert.deepEqual([tagged?.tags, tagged?.hold], [['keep'], true])
})

test(
  'unreadable and excluded files: the backup exists, warns, and ends with 3',
  { skip: process.getuid?.() !== 0 && 'needs root to make what a user cannot read' },
  async (t) => {
    const cli = holdfast(scratch(t))
    const source = tree(cli.dir)
    writeFileSync(join(source, 'secret'), 'x', { mode: 0o600 })
    execFileSync('chmod', ['-R', 'a+rX', cli.dir])
    execFileSync('chmod', ['600', join(source, 'secret')])
    mkdirSync(join(cli.dir, 'vault'), { mode: 0o777 })
    execFileSync('chmod', ['777', cli.dir, join(cli.dir, 'vault')])
    const main = join(import.meta.dirname, '../../src/cli/main.ts')
    const run = (): string =>
      execFileSync(
        'setpriv',
        [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          process.execPath,
          main,
          'backup',
          source,
          '--to',
          join(cli.dir, 'vault'),
          '--exclude',
          'deep/',
          '--json',
        ],
        { env: { HOME: cli.dir, PATH: process.env['PATH'] }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
      )
    assert.throws(run, (error: { status?: number; stdout?: string; stderr?: string }) => {
      assert.equal(error.status, 3, error.stderr)
      const made = summary(error.stdout ?? '')
      assert.equal(made['status'], 'warning')
      assert.match(JSON.stringify(made['warnings']), /secret/)
      assert.equal(made['total_files_processed'], 2)
      return true
    })
  },
)

for (const format of ['archive', 'repository'])
  test(`an encrypted ${format} needs its password; a wrong one is exit 12, a missing vault 10, bad usage 2`, async (t) => {
    const cli = holdfast(scratch(t))
    const source = tree(cli.dir)
    const env = { HOLDFAST_PASSWORD: 'correct horse' }
    assert.equal((await cli.run(['backup', source, '--to', './vault', '--format', format], { env })).code, 0)
    assert.equal((await cli.run(['restore', '--vault', './vault', '--to', './out'], { env })).code, 0)
    const wrong = await cli.run(['restore', '--vault', './vault', '--to', './no', '--json'], {
      env: { HOLDFAST_PASSWORD: 'battery staple' },
    })
    assert.equal(wrong.code, 12)
    const error = lines(wrong.stderr).at(-1)
    assert.deepEqual(
      [error?.['message_type'], error?.['code'], error?.['error']],
      ['exit_error', 12, 'vault.wrong-password'],
    )
    const mistyped = await cli.run(['backup', source, '--to', './vault'], {
      env: { HOLDFAST_PASSWORD: 'battery staple' },
    })
    assert.equal(mistyped.code, 12, 'a mistyped password must not make a second kind of backup')
    const forgotten = await cli.run(['backup', source, '--to', './vault'])
    assert.equal(forgotten.code, 12, 'an encrypted vault never gets a plain backup by omission')
    assert.equal((await cli.json<Listed[]>(['list', '--vault', './vault'], { env })).length, 1)
    const missing = await cli.run(['restore', '--vault', './vault', '--to', './no'])
    assert.equal(missing.code, 12)
    assert.equal((await cli.run(['list', '--vault', './nowhere'])).code, 10)
    assert.equal((await cli.run(['list', '--vault', './vault', '--nonsense'])).code, 2)
    assert.equal((await cli.run(['frobnicate'])).code, 2)
    for (const text of [wrong, mistyped, missing].flatMap(({ stdout, stderr }) => [stdout, stderr]))
      assert.doesNotMatch(text, /battery|correct horse/)
    const raw = readdirSync(join(cli.dir, 'vault'), { recursive: true, encoding: 'utf8' })
      .map((name) => join(cli.dir, 'vault', name))
      .filter((path) => statSync(path).isFile())
      .map((path) => readFileSync(path, 'latin1'))
      .join('')
    assert.doesNotMatch(raw, /hello|a\.txt/)
  })

test('a new vault with a password is a repository, one without or with the options of an archive is an archive', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  const env = { HOLDFAST_PASSWORD: 'correct horse' }
  const made = async (name: string, args: string[], how = {}): Promise<string> => {
    const { code, stderr } = await cli.run(['backup', source, '--to', name, ...args], how)
    assert.equal(code, 0, stderr)
    return existsSync(join(cli.dir, name, 'config')) ? 'repository' : 'archive'
  }
  assert.equal(await made('a', [], { env }), 'repository')
  assert.equal(await made('a', [], { env }), 'repository', 'also the second time')
  assert.equal(await made('e', ['--no-read-back'], { env }), 'repository')
  assert.equal(await made('b', []), 'archive')
  assert.equal(await made('c', ['--compression', 'gzip'], { env }), 'archive')
  assert.equal(await made('d', ['--encrypt'], { env }), 'archive')
  assert.equal(await made('b', [], { env }), 'archive', 'what is there stays what it is')
})

test('--out writes an archive that tar and zstd open; with a recipient, age opens it', async (t) => {
  const cli = holdfast(scratch(t))
  const source = tree(cli.dir)
  utimesSync(join(source, 'docs/a.txt'), 1_000_000_000.5, 1_000_000_000.5)
  assert.equal((await cli.run(['backup', source, '--out', './plain', '--path', '{job}'])).code, 0)
  execFileSync('sh', ['-c', 'mkdir x && zstd -dqc plain/source.tar.zst | tar -x -C x'], { cwd: cli.dir })
  same(source, join(cli.dir, 'x', source))
  execFileSync('age-keygen', ['-o', 'key'], { cwd: cli.dir, stdio: 'ignore' })
  const recipient = /age1\w+/.exec(readFileSync(join(cli.dir, 'key'), 'utf8'))?.[0] ?? ''
  assert.equal(
    (await cli.run(['backup', source, '--out', './aged', '--path', '{job}', '--recipient', recipient])).code,
    0,
  )
  execFileSync('sh', ['-c', 'mkdir y && age -d -i key aged/source.tar.zst.age | zstd -dqc | tar -x -C y'], {
    cwd: cli.dir,
  })
  same(source, join(cli.dir, 'y', source))
})

test('SIGTERM ends a backup at once, with 130, and leaves nothing visible', async (t) => {
  const cli = holdfast(scratch(t))
  const source = join(cli.dir, 'big')
  mkdirSync(source)
  execFileSync('sh', ['-c', 'for i in $(seq 1 40); do head -c 8000000 /dev/urandom > f$i; done'], { cwd: source })
  const { child, ended } = cli.start(['backup', source, '--to', './vault', '--compression', 'gzip:9'])
  await new Promise((resolve) => setTimeout(resolve, 1200))
  child.kill('SIGTERM')
  const { code, stderr } = await ended
  assert.equal(code, 130, stderr)
  const left = readdirSync(join(cli.dir, 'vault'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /big\/|lease.*json|\.tmp/.test(name),
  )
  assert.deepEqual(left, [])
  assert.match((await cli.run(['run', 'list'])).stdout, /cancelled/)
})
