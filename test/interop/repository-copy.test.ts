/** Copies between repositories, with the real restic as the judge. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { lines, holdfast, scratch, summary, type Holdfast } from '../support/holdfast.ts'
import { essenceOf } from '../support/odd-tree.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS, type Restic } from '../support/restic.ts'

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }

if (noRestic !== false) test('driver:restic agrees on copies', { skip: noRestic })

interface Listed {
  id: string
  tree: string
  tags?: string[]
  time: string
  original?: string
}

const snapshots = (program: Restic, repository: string): Listed[] =>
  JSON.parse(restic(program, repository, 'snapshots', '--json')) as Listed[]
const blobs = (program: Restic, repository: string): string =>
  restic(program, repository, 'list', 'blobs').split('\n').sort().join('\n')
const packs = (repository: string): string[] =>
  readdirSync(join(repository, 'data'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map(({ name }) => name)

async function ok({ run }: Holdfast, ...args: string[]): Promise<string> {
  const done = await run([...args, '--json'], { env })
  assert.equal(done.code, 0, done.stderr)
  return done.stdout
}

function plant(source: string): void {
  mkdirSync(join(source, 'below/deeper'), { recursive: true })
  for (let n = 0; n < 60; n += 1) writeFileSync(join(source, `below/f${n}`), `text ${n} `.repeat(n * 20))
  writeFileSync(join(source, 'below/deeper/large'), Buffer.concat([randomBytes(5_000_000), Buffer.alloc(3_000_000)]))
  writeFileSync(join(source, 'below/twice'), 'text 7 '.repeat(140))
}

for (const program of RESTICS) {
  test(`driver:${program.name} a copy has the blobs and trees of what was copied, and a second one stores nothing`, async (t) => {
    const dir = scratch(t)
    const cli = holdfast(dir)
    const [source, first, second] = [join(dir, 'source'), join(dir, 'first'), join(dir, 'second')]
    plant(source)
    await ok(cli, 'init', first, '--format', 'repository')
    await ok(cli, 'init', second, '--format', 'repository', '--copy-chunker-params', first)
    await ok(cli, 'backup', source, '--to', first, '--tag', 'one')
    // What restic makes is copied as well.
    writeFileSync(join(source, 'below/new'), randomBytes(100_000))
    restic(program, first, 'backup', '-q', '--tag', 'two', source)
    await ok(cli, 'copy', '--all', '--vault', first, '--to', second)
    const [ours, copies] = [snapshots(program, first), snapshots(program, second)]
    assert.deepEqual(
      copies.map(({ tree, tags, time }) => ({ tree, tags, time })),
      ours.map(({ tree, tags, time }) => ({ tree, tags, time })),
    )
    assert.deepEqual(
      copies.map(({ original }) => original),
      ours.map(({ id }) => id),
    )
    assert.equal(blobs(program, second), blobs(program, first))
    assert.match(restic(program, second, 'check', '--read-data'), /no errors were found/)
    restic(program, second, 'restore', 'latest', '--target', join(dir, 'out'))
    assert.deepEqual(await essenceOf(join(dir, 'out', source)), await essenceOf(source))

    const again = lines(await ok(cli, 'copy', '--all', '--vault', first, '--to', second))
    assert.ok(again.filter((line) => 'skipped' in line).every((line) => line['skipped'] === true))
    assert.equal(snapshots(program, second).length, 2)
    // A backup of the same files finds everything there.
    const made = summary(await ok(cli, 'backup', source, '--to', second, '--type', 'full'))
    // But for the folders above, in which other things happen.
    assert.ok(Number(made['data_added']) < 10_000, `${String(made['data_added'])} bytes were stored again`)
    // Of another one that differs a little only the difference is sent.
    const before = packs(second)
    writeFileSync(join(source, 'below/small'), 'a little more')
    await ok(cli, 'backup', source, '--to', first)
    await ok(cli, 'copy', 'latest', '--vault', first, '--to', second)
    const added = packs(second).filter((name) => !before.includes(name))
    const sizes = added.map((name) => statSync(join(second, 'data', name.slice(0, 2), name)).size)
    assert.ok(
      sizes.reduce((sum, size) => sum + size, 0) < 50_000,
      `${sizes.join()} bytes were stored for a small change`,
    )
  })
}

test('driver:restic-debian copies cross the versions of the format', { skip: RESTICS[0] === undefined }, async (t) => {
  const program = RESTICS[0] as Restic
  const dir = scratch(t)
  const cli = holdfast(dir)
  const [source, one, two, back] = [join(dir, 'source'), join(dir, 'one'), join(dir, 'two'), join(dir, 'back')]
  plant(source)
  restic(program, one, 'init', '--repository-version', '1')
  restic(program, one, 'backup', '-q', source)
  await ok(cli, 'init', two, '--format', 'repository', '--copy-chunker-params', one)
  process.env['RESTIC_FROM_PASSWORD'] = RESTIC_PASSWORD
  t.after(() => delete process.env['RESTIC_FROM_PASSWORD'])
  restic(program, back, 'init', '--repository-version', '1', '--copy-chunker-params', '--from-repo', one)
  await ok(cli, 'copy', 'latest', '--vault', one, '--to', two)
  await ok(cli, 'copy', 'latest', '--vault', two, '--to', back)
  const size = (repository: string): number =>
    packs(repository).reduce((sum, name) => sum + statSync(join(repository, 'data', name.slice(0, 2), name)).size, 0)
  assert.ok(size(two) < size(one) - 1_000_000, `${size(one)} bytes became ${size(two)}`)
  for (const repository of [two, back]) {
    assert.equal(blobs(program, repository), blobs(program, one))
    assert.match(restic(program, repository, 'check', '--read-data'), /no errors were found/)
  }
})

test(
  'driver:restic-debian a backup that lost a pack is not copied, and the others are',
  {
    skip: RESTICS[0] === undefined,
  },
  async (t) => {
    const program = RESTICS[0] as Restic
    const dir = scratch(t)
    const cli = holdfast(dir)
    const [source, first, second] = [join(dir, 'source'), join(dir, 'first'), join(dir, 'second')]
    mkdirSync(source)
    writeFileSync(join(source, 'a'), randomBytes(100_000))
    await ok(cli, 'init', first, '--format', 'repository')
    await ok(cli, 'init', second, '--format', 'repository', '--copy-chunker-params', first)
    await ok(cli, 'backup', source, '--to', first)
    const whole = packs(first)
    writeFileSync(join(source, 'b'), randomBytes(200_000))
    await ok(cli, 'backup', source, '--to', first)
    const later = packs(first).filter((name) => !whole.includes(name))
    const path = (name: string): string => join(first, 'data', name.slice(0, 2), name)
    const victim = later.sort((a, b) => statSync(path(b)).size - statSync(path(a)).size)[0] ?? ''
    rmSync(path(victim))
    const failed = await cli.run(['copy', 'latest', '--vault', first, '--to', second], { env })
    assert.notEqual(failed.code, 0)
    assert.match(failed.stderr, /data blob \w+ is not in/)
    assert.equal(snapshots(program, second).length, 0)
    const [oldest] = snapshots(program, first)
    await ok(cli, 'copy', oldest?.id ?? '', '--vault', first, '--to', second)
    assert.match(restic(program, second, 'check', '--read-data'), /no errors were found/)
  },
)
