/** A user's own restic repository through our command line. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { scratch } from '../support/file-tree.ts'
import { holdfast, summary } from '../support/holdfast.ts'
import { essenceOf, plantOdd } from '../support/odd-tree.ts'
import { noRestic, restic, RESTIC_PASSWORD, RESTICS } from '../support/restic.ts'

const env = { HOLDFAST_PASSWORD: RESTIC_PASSWORD }

if (noRestic !== false) test('driver:restic works on what restic wrote', { skip: noRestic })

for (const program of RESTICS)
  for (const version of program === RESTICS.at(-1) ? ['1', '2'] : ['2'])
    test(`driver:${program.name} a repository of version ${version} is listed, browsed, verified, tagged and restored`, async (t) => {
      const dir = scratch(t)
      const [repository, source, out] = [join(dir, 'repo'), join(dir, 'source'), join(dir, 'out')]
      mkdirSync(source)
      plantOdd(source)
      restic(program, repository, 'init', '--repository-version', version)
      restic(program, repository, 'backup', '--host', 'elsewhere', '--tag', 'first', source)
      writeFileSync(join(source, 'later'), 'more')
      restic(program, repository, 'backup', '--host', 'elsewhere', source)
      const { run, json } = holdfast(dir)
      const vault = ['--vault', repository]

      const backups = await json<{ id: string; tags: string[]; job: string; files?: number; sourceBytes?: number }[]>(
        ['list', ...vault],
        { env },
      )
      assert.deepEqual(
        backups.map(({ tags, job }) => [tags, job]),
        [
          [['first'], 'source'],
          [[], 'source'],
        ],
      )
      // Only newer ones tell what they hold.
      const tells = !restic(program, repository, 'version').includes('0.14')
      assert.deepEqual(
        backups.map(({ files, sourceBytes }) => [typeof files, typeof sourceBytes]),
        Array.from({ length: 2 }, () => (tells ? ['number', 'number'] : ['undefined', 'undefined'])),
      )
      const [first, second] = backups.map(({ id }) => id)
      assert.ok((await run(['ls', second ?? '', ...vault], { env })).stdout.includes(join(source, 'later')))
      assert.ok(!(await run(['ls', first ?? '', ...vault], { env })).stdout.includes('later'))

      const verified = await run(['verify', second ?? '', '--level', 'V4', ...vault], { env })
      assert.equal(verified.code, 0, verified.stderr)
      const restored = await run(['restore', second ?? '', ...vault, '--to', out, '--json'], { env })
      assert.equal(restored.code, 0, restored.stderr)
      assert.equal(summary(restored.stdout)['status'], 'success')
      // Holes are only known where a whole chunk is zeros.
      const keeps = { holes: false }
      assert.deepEqual(await essenceOf(join(out, source), keeps), await essenceOf(source, keeps))

      assert.equal((await run(['tag', second ?? '', '--add', 'noted', ...vault], { env })).code, 0)
      assert.deepEqual((await json<typeof backups>(['list', ...vault, '--tag', 'noted'], { env }))[0]?.id, second)
      restic(program, repository, 'check', '--read-data')

      const wrong = await run(['list', ...vault], { env: { HOLDFAST_PASSWORD: 'another one' } })
      assert.equal(wrong.code, 12, wrong.stderr)
    })

for (const program of RESTICS.slice(-1))
  test(`driver:${program.name} a wrong bit in any kind of file, and a missing pack, are found with what they touch`, async (t) => {
    const dir = scratch(t)
    const [repository, source] = [join(dir, 'repo'), join(dir, 'source')]
    mkdirSync(source)
    writeFileSync(join(source, 'large'), Buffer.alloc(700_000, 'large '))
    writeFileSync(join(source, 'small'), 'small')
    restic(program, repository, 'init')
    restic(program, repository, 'backup', source)
    const { run } = holdfast(dir)
    const check = async (): Promise<string> => {
      const { code, stdout, stderr } = await run(['check', '--read-data', '--vault', repository, '--json'], { env })
      assert.equal(code, 4, `${stdout}${stderr}`)
      return stdout + stderr
    }
    assert.equal((await run(['check', '--read-data', '--vault', repository], { env })).code, 0)
    const files = readdirSync(repository, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /^(data|index|snapshots).*[0-9a-f]{64}$/.test(name),
    )
    assert.equal(files.length, 4)
    for (const file of files) {
      const path = join(repository, file)
      const bytes = readFileSync(path)
      const changed = Buffer.from(bytes)
      const middle = changed.length >> 1
      changed[middle] = (changed[middle] as number) ^ 8
      rmSync(path)
      writeFileSync(path, changed)
      assert.ok((await check()).includes(file), file)
      if (file.startsWith('data/')) {
        rmSync(path)
        const told = await check()
        // Without its trees nothing of the snapshot is known.
        assert.ok(told.includes(file) && (told.includes(source) || told.includes('"paths":["/"]')), told)
      }
      writeFileSync(path, bytes)
    }
    assert.equal((await run(['check', '--read-data', '--vault', repository], { env })).code, 0)
  })
