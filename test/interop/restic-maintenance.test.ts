/** Prune, keys, locks and repair, with the real restic as the judge. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeLock, newLockFile } from '../../src/repository/lock-file.ts'
import { openRepository } from '../../src/repository/repository.ts'
import { storeUnpacked } from '../../src/repository/unpacked.ts'
import { literalSecret } from '../../src/model/secret.ts'
import { local } from '../../src/storage/local.ts'
import { scratch } from '../support/file-tree.ts'
import { holdfast, summary, type Ended, type Holdfast } from '../support/holdfast.ts'
import { essenceOf } from '../support/odd-tree.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS } from '../support/restic.ts'

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }
const clean = /no errors were found/

if (noRestic !== false) test('driver:restic agrees on prune, keys, locks and repair', { skip: noRestic })

interface Site {
  dir: string
  source: string
  repository: string
  cli: Holdfast
  ours(...args: string[]): Promise<Ended>
}

function site(dir: string): Site {
  const [source, repository] = [join(dir, 'source'), join(dir, 'repo')]
  mkdirSync(source)
  const cli = holdfast(dir)
  return { dir, source, repository, cli, ours: async (...args) => cli.run([...args, '--vault', repository], { env }) }
}

async function backup({ cli, source, repository }: Site, ...more: string[]): Promise<string> {
  const args = ['backup', source, '--to', repository, '--format', 'repository', '--json', ...more]
  const done = await cli.run(args, { env })
  assert.equal(done.code, 0, done.stderr)
  return String(summary(done.stdout)['backup_id'])
}

function dataSize(repository: string): number {
  const files = readdirSync(join(repository, 'data'), { recursive: true, withFileTypes: true })
  return files
    .filter((one) => one.isFile())
    .reduce((sum, one) => sum + statSync(join(one.parentPath, one.name)).size, 0)
}

for (const program of RESTICS) {
  test(`driver:${program.name} after our prune everything kept restores, and its own prune finds as little to do`, async (t) => {
    const at = site(scratch(t))
    const kept: Record<string, unknown>[] = []
    for (let round = 0; round < 5; round += 1) {
      for (let n = 0; n < 30; n += 1) writeFileSync(join(at.source, `f${n}`), randomBytes(20_000 + n * 1000))
      writeFileSync(join(at.source, `large${round}`), randomBytes(3_000_000))
      rmSync(join(at.source, `large${round - 2}`), { force: true })
      if (round % 2 === 0) await backup(at)
      else restic(program, at.repository, 'backup', at.source)
      kept.push(await essenceOf(at.source))
    }
    const before = dataSize(at.repository)
    const pruned = await at.ours('prune', '--keep-last', '2', '--max-unused', '0', '--json')
    assert.equal(pruned.code, 0, pruned.stderr)
    const plan = JSON.parse(pruned.stdout) as { remove: unknown[]; bytes_freed: number }
    assert.equal(plan.remove.length, 3)
    const freed = before - dataSize(at.repository)
    assert.ok(freed > 5_000_000)
    assert.ok(Math.abs(freed - plan.bytes_freed) < 20_000, `${freed} ${plan.bytes_freed}`)
    assert.match(restic(program, at.repository, 'check', '--read-data'), clean)
    assert.match(
      restic(program, at.repository, 'prune', '--dry-run', '--max-unused', '0'),
      /total prune: +0 blobs \/ 0 B/,
    )
    const snapshots = JSON.parse(restic(program, at.repository, 'snapshots', '--json')) as { id: string }[]
    for (const [n, { id }] of snapshots.entries()) {
      const out = join(at.dir, `out${n}`)
      restic(program, at.repository, 'restore', id, '--target', out)
      assert.deepEqual(await essenceOf(join(out, at.source)), kept[3 + n])
    }
    restic(program, at.repository, 'forget', '--keep-last', '1', '--prune')
    assert.equal((await at.ours('check', '--read-data')).code, 0)
    await backup(at)
    assert.match(restic(program, at.repository, 'check', '--read-data'), clean)
  })
}

for (const program of RESTICS.slice(-1)) {
  test(`driver:${program.name} forget keeps the same snapshots by the same rules`, async (t) => {
    const at = site(scratch(t))
    writeFileSync(join(at.source, 'file'), 'content')
    restic(program, at.repository, 'init')
    const times = ['2022-12-31 23:00:00', '2023-05-04 10:00:00', '2023-05-04 18:00:00', '2023-05-05 09:00:00']
    times.push('2024-02-29 12:00:00', '2024-03-01 12:00:00', '2024-03-31 01:30:00', '2024-03-31 23:30:00')
    times.push('2024-04-01 00:10:00', '2024-04-01 00:50:00')
    for (const [n, time] of times.entries())
      restic(program, at.repository, 'backup', '--time', time, ...(n === 1 ? ['--tag', 'keep'] : []), at.source)
    for (const rules of [
      ['--keep-last', '3'],
      ['--keep-daily', '3'],
      ['--keep-hourly', '2', '--keep-monthly', '3'],
      ['--keep-weekly', '4', '--keep-yearly', '2'],
      ['--keep-within', '1m2d'],
      ['--keep-tag', 'keep', '--keep-last', '1'],
    ]) {
      const theirs = JSON.parse(
        restic(program, at.repository, 'forget', '--dry-run', '--json', ...rules)
          .trim()
          .split('\n')[0] ?? '',
      ) as { keep: { id: string }[] }[]
      const ours = await at.ours('prune', '--dry-run', '--json', ...rules)
      assert.deepEqual(
        (JSON.parse(ours.stdout) as { keep: { id: string }[] }).keep.map(({ id }) => id).sort(),
        theirs.flatMap(({ keep }) => keep.map(({ id }) => id)).sort(),
        rules.join(' '),
      )
    }
  })

  test(`driver:${program.name} opens with the passwords that we set, and no longer with those that we took away`, async (t) => {
    const at = site(scratch(t))
    writeFileSync(join(at.source, 'file'), 'content')
    await backup(at)
    const file = join(at.dir, 'new-password')
    writeFileSync(file, 'the second')
    assert.equal((await at.ours('key', 'add', '--new-password-file', file)).code, 0)
    const opens = (password: string): boolean =>
      spawnSync(program.program, ['-r', at.repository, '--no-cache', 'snapshots'], {
        env: { ...process.env, RESTIC_PASSWORD: password },
      }).status === 0
    assert.ok(opens('the second') && opens(RESTIC_PASSWORD))
    writeFileSync(file, 'the third')
    assert.equal((await at.ours('key', 'passwd', '--new-password-file', file)).code, 0)
    assert.ok(opens('the third') && !opens(RESTIC_PASSWORD))
    const third = async (...args: string[]): Promise<Ended> =>
      at.cli.run([...args, '--vault', at.repository], { env: { HOLDFAST_PASSWORD: 'the third' } })
    const keys = JSON.parse((await third('key', 'list', '--json')).stdout) as { id: string; current: boolean }[]
    assert.equal(keys.length, 2)
    for (const { id, current } of keys) assert.equal((await third('key', 'remove', id)).code, current ? 2 : 0)
    assert.ok(!opens('the second') && opens('the third'))
    assert.equal((await at.ours('list')).code, 12)
  })

  test(`driver:${program.name} locks of both are respected by both, and one whose owner is gone is removed`, async (t) => {
    const at = site(scratch(t))
    writeFileSync(join(at.source, 'file'), 'content')
    await backup(at)
    const repository = await openRepository(local({ path: at.repository }), literalSecret(RESTIC_PASSWORD, 'test'))
    const locks = (): string[] => readdirSync(join(at.repository, 'locks'))
    const put = async (change: Partial<ReturnType<typeof newLockFile>>): Promise<void> => {
      const lock = { ...newLockFile(true, new Date()), ...change }
      await storeUnpacked(repository.storage, repository.key, 2, 'locks', encodeLock(lock))
    }
    const remove = (): void => {
      for (const name of locks()) rmSync(join(at.repository, 'locks', name))
    }

    // Ours, of this living process: restic waits, and so do we.
    await put({})
    assert.throws(() => restic(program, at.repository, 'backup', at.source), /locked/)
    assert.equal((await at.cli.run(['backup', at.source, '--to', at.repository], { env })).code, 11)
    remove()
    await put({ exclusive: false })
    assert.throws(() => restic(program, at.repository, 'prune'), /locked/)
    assert.equal((await at.ours('prune', '--max-unused', '0')).code, 11)
    await backup(at)
    remove()

    // Somebody else's, elsewhere: also without our own marks.
    const elsewhere = { hostname: 'elsewhere', holdfast: {} }
    await put(elsewhere)
    assert.equal((await at.cli.run(['backup', at.source, '--to', at.repository], { env })).code, 11)
    assert.equal((await at.ours('unlock')).code, 0)
    assert.equal(locks().length, 1)
    assert.equal((await at.ours('unlock', '--remove-all')).code, 0)
    assert.equal(locks().length, 0)

    // A process of ours that was killed, and what is older than any owner lets it become.
    const ended = spawnSync('true')
    await put({ pid: ended.pid, holdfast: { ...newLockFile(true, new Date()).holdfast, started: '1' } })
    await backup(at)
    assert.equal(locks().length, 0)

    // The real thing: restic at work.
    const slow = spawn(program.program, ['-r', at.repository, '--no-cache', 'backup', '--stdin'], {
      env: { ...process.env, RESTIC_PASSWORD },
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    while (locks().length === 0) await sleep(50)
    assert.equal((await at.ours('prune', '--max-unused', '0')).code, 11)
    await backup(at)
    slow.stdin.end('content')
    await once(slow, 'exit')
    assert.match(restic(program, at.repository, 'check', '--read-data'), clean)
  })

  test(`driver:${program.name} finds nothing wrong after a repair and a new backup, and older snapshots are whole again`, async (t) => {
    const at = site(scratch(t))
    for (let n = 0; n < 40; n += 1) writeFileSync(join(at.source, `f${n}`), randomBytes(10_000))
    writeFileSync(join(at.source, 'large'), randomBytes(3_000_000))
    const first = await backup(at)
    const wanted = await essenceOf(at.source)
    const packs = (): string[] =>
      readdirSync(join(at.repository, 'data'), { recursive: true, withFileTypes: true })
        .filter((one) => one.isFile())
        .map((one) => join(one.parentPath, one.name))
        .sort((a, b) => statSync(b).size - statSync(a).size)
    const whole = async (): Promise<void> => {
      await backup(at)
      assert.match(restic(program, at.repository, 'check', '--read-data'), clean)
      const out = join(at.dir, 'out')
      restic(program, at.repository, 'restore', first, '--target', out)
      assert.deepEqual(await essenceOf(join(out, at.source)), wanted)
      rmSync(out, { recursive: true })
    }

    // A wrong bit in the middle of the data.
    const [data = ''] = packs()
    const bytes = readFileSync(data)
    bytes[1_000_000] = (bytes[1_000_000] as number) ^ 1
    rmSync(data)
    writeFileSync(data, bytes)
    const dry = await at.ours('repair', '--read-data', '--dry-run')
    assert.match(dry.stdout, /is damaged: 4\d of its 4\d blobs are moved/)
    const repaired = await at.ours('repair', '--read-data')
    assert.equal(repaired.code, 4, repaired.stderr)
    await whole()

    for (const name of readdirSync(join(at.repository, 'index'))) rmSync(join(at.repository, 'index', name))
    assert.equal((await at.ours('repair')).code, 0)
    await whole()
    assert.match((await at.ours('repair', '--read-data')).stdout, /nothing to repair/)

    // What trees were like cannot be read from the source again: such a snapshot is named, and can be removed.
    rmSync(packs().at(-1) ?? '')
    assert.equal((await at.ours('repair')).code, 4)
    await backup(at)
    const left = JSON.parse((await at.ours('repair', '--json')).stdout) as { backups: string[] }
    assert.ok(left.backups.length < 4)
    assert.equal((await at.ours('prune', '--keep-last', '1')).code, 0)
    assert.match(restic(program, at.repository, 'check', '--read-data'), clean)
  })
}
