/** A repository in a bucket, by both programs over the same server. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { scratch } from '../support/file-tree.ts'
import { holdfast, summary } from '../support/holdfast.ts'
import { noRestic, RESTIC_PASSWORD, RESTICS } from '../support/restic.ts'

test(
  'driver:s3-versitygw driver:restic a repository in a bucket is made by us and continued by both',
  {
    skip: noVersitygw ?? noRestic,
  },
  async (t) => {
    const server = await startVersitygw()
    t.after(async () => server.stop())
    const dir = scratch(t)
    const source = join(dir, 'source')
    mkdirSync(source)
    for (let n = 0; n < 50; n += 1) writeFileSync(join(source, `f${n}`), randomBytes(n * 500))
    writeFileSync(join(source, 'large'), randomBytes(20_000_000))
    const cli = holdfast(dir)
    const env = { ...server.env, HOLDFAST_PASSWORD: RESTIC_PASSWORD }
    const vault = server.url.replace('/backups', '/backups/repo')
    const ours = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cli.run(args, { env })
      assert.equal(code, 0, stderr)
      return stdout
    }
    const program = RESTICS.at(-1)?.program ?? 'restic'
    const theirs = (...args: string[]): string => {
      const done = spawnSync(program, ['-r', `s3:${server.endpoint}/backups/repo`, '--no-cache', ...args], {
        encoding: 'utf8',
        env: { ...process.env, ...server.env, RESTIC_PASSWORD },
      })
      assert.equal(done.status, 0, done.stderr)
      return done.stdout
    }

    const first = summary(await ours('backup', source, '--to', vault, '--format', 'repository', '--json'))
    assert.equal(first['files_new'], 51)
    assert.match(theirs('check', '--read-data'), /no errors were found/)
    writeFileSync(join(source, 'f3'), 'changed')
    theirs('backup', source)
    const third = summary(await ours('backup', source, '--to', vault, '--json'))
    assert.equal(third['files_unmodified'], 51)
    await ours('restore', `latest:${source}/large`, '--vault', vault, '--to', join(dir, 'out'))
    assert.ok(readFileSync(join(dir, 'out', 'large')).equals(readFileSync(join(source, 'large'))))
    await ours('prune', '--keep-last', '1', '--max-unused', '0', '--vault', vault)
    assert.match(theirs('check', '--read-data'), /no errors were found/)
  },
)
