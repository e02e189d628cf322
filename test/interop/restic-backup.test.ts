/** Repositories that we make and continue, in the hands of the real restic. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../support/file-tree.ts'
import { holdfast, summary, type Holdfast } from '../support/holdfast.ts'
import { essenceOf, plantOdd } from '../support/odd-tree.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS, type Restic } from '../support/restic.ts'

if (noRestic !== false) test('driver:restic takes what we wrote', { skip: noRestic })

interface Places {
  repository: string
  source: string
  out: string
  cli: Holdfast
}

function places(dir: string): Places {
  const [source, repository] = [join(dir, 'source'), join(dir, 'other', 'repo')]
  mkdirSync(source)
  mkdirSync(join(dir, 'other'))
  return { source, repository, out: join(dir, 'out'), cli: holdfast(dir) }
}

function plant(source: string): void {
  plantOdd(source)
  writeFileSync(
    join(source, 'several chunks'),
    Buffer.concat([randomBytes(9_000_000), Buffer.alloc(9_000_000, 'text ')]),
  )
  mkdirSync(join(source, 'many'))
  // Threads start, and batches are full.
  for (let n = 0; n < 900; n += 1)
    writeFileSync(join(source, 'many', `file ${n}`), n % 3 === 0 ? 'the same' : randomBytes(n * 3))
}

async function backup(
  { cli, source, repository }: Places,
  env: Record<string, string> = {},
  ...more: string[]
): Promise<Record<string, unknown>> {
  const args = ['backup', source, '--to', repository, '--format', 'repository', '--json', ...more]
  const done = await cli.run(args, { env: { HOLDFAST_PASSWORD: RESTIC_PASSWORD, ...env } })
  assert.equal(done.code, 0, done.stderr)
  return summary(done.stdout)
}

const resticBackup = (program: Restic, { repository, source }: Places): Record<string, unknown> =>
  JSON.parse(restic(program, repository, 'backup', '--json', source).trim().split('\n').at(-1) ?? '') as Record<
    string,
    unknown
  >

/** Nothing is new but, where others work in the folder for temporary files, that one folder and the root. */
function assertSame(summary: Record<string, unknown>, unmodified: unknown): void {
  for (const name of ['files_new', 'files_changed', 'dirs_new', 'data_blobs']) assert.equal(summary[name] ?? 0, 0, name)
  assert.ok(Number(summary['dirs_changed'] ?? 0) <= 1)
  assert.ok(Number(summary['data_added']) < 1000)
  assert.equal(summary['files_unmodified'], unmodified)
}

for (const program of RESTICS)
  test(`driver:${program.name} checks, restores and continues our repository, and finds every tree as it would write it`, async (t) => {
    const at = places(scratch(t))
    plant(at.source)
    const zone: Record<string, string> = program === RESTICS[0] ? { TZ: 'Asia/Kolkata' } : {}
    const first = await backup(at, zone)
    assert.ok(Number(first['files_new']) > 900)
    assert.match(restic(program, at.repository, 'check', '--read-data'), /no errors were found/)

    restic(program, at.repository, 'restore', 'latest', '--target', at.out)
    const keeps = { holes: false }
    assert.deepEqual(await essenceOf(join(at.out, at.source), keeps), await essenceOf(at.source, keeps))

    if (!restic(program, at.repository, 'version').includes('0.14')) {
      assert.match(
        restic(program, at.repository, 'rewrite', '--exclude', '/does-not-exist', '--dry-run'),
        /no snapshots would be modified|modified 0 snapshots/,
      )
    }
    // restic restores no further names of links, but stores their number.
    symlinkSync('somewhere', join(at.source, 'link with two names'))
    linkSync(join(at.source, 'link with two names'), join(at.source, 'other name of the link'))
    const again = await backup(at)
    assert.equal(again['files_unmodified'], first['files_new'])
    if (zone['TZ'] === undefined) {
      const second = resticBackup(program, at)
      assertSame(second, first['files_new'])
      assert.equal(second['total_bytes_processed'], first['total_bytes_processed'])
      assertSame(await backup(at), first['files_new'])
    }
    assert.deepEqual(readdirSync(join(at.repository, 'locks')), [])
  })

for (const program of RESTICS)
  test(`driver:${program.name} a repository that restic made is continued: nothing is stored twice, changes are found`, async (t) => {
    const at = places(scratch(t))
    plant(at.source)
    // So that its home is there, and the folder above the source does not change any more.
    await at.cli.run(['run', 'list'])
    restic(program, at.repository, 'init', '--repository-version', program === RESTICS[0] ? '1' : '2')
    const first = resticBackup(program, at)
    const second = await backup(at)
    assertSame(second, first['files_new'])
    writeFileSync(join(at.source, 'several chunks'), randomBytes(4_000_000))
    rmSync(join(at.source, 'many', 'file 7'))
    rmSync(join(at.source, 'sub'), { recursive: true })
    writeFileSync(join(at.source, 'many', 'file 8'), 'new content')
    const third = await backup(at, {}, '--tag', 'third', '--verify', 'V3')
    assert.deepEqual(
      ['files_new', 'files_changed', 'files_deleted'].map((name) => third[name]),
      // The remaining name of `large` has another count of links.
      [0, 3, 8],
    )
    const fourth = resticBackup(program, at)
    assertSame(fourth, third['total_files_processed'])
    assert.match(restic(program, at.repository, 'check', '--read-data'), /no errors were found/)
    // All is read anew, by both; nothing is added, so that every chunk and every tree is the same.
    const full = await backup(at, {}, '--type', 'full')
    assert.ok(Number(full['files_new']) > 900)
    assert.ok(Number(full['data_added']) < 1000)
  })

for (const program of RESTICS.slice(-1))
  test(`driver:${program.name} a snapshot that it made of a relative path is continued without reading anything again`, async (t) => {
    for (const [cwd, target] of [
      ['.', 'source'],
      ['source', '.'],
    ] as const) {
      const at = places(scratch(t))
      mkdirSync(join(at.source, 'folder'))
      for (let n = 0; n < 20; n += 1) writeFileSync(join(at.source, 'folder', `file ${n}`), randomBytes(1000))
      restic(program, at.repository, 'init')
      const done = spawnSync(program.program, ['-r', at.repository, '--no-cache', 'backup', target], {
        cwd: join(at.source, '..', cwd),
        env: { ...process.env, RESTIC_PASSWORD },
        encoding: 'utf8',
      })
      assert.equal(done.status, 0, done.stderr)
      const ours = await backup(at)
      assert.deepEqual([ours['files_unmodified'], ours['files_new'], ours['files_deleted'] ?? 0], [20, 0, 0], target)
    }
  })
