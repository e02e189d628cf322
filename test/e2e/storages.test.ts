import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { noAzurite, startAzurite } from '../servers/azurite.ts'
import { noFakeGcs, startFakeGcs } from '../servers/fake-gcs.ts'
import { noVersitygw, startVersioned } from '../servers/s3-servers.ts'
import { noSshd, startSshd } from '../servers/sshd.ts'
import { s3 } from '../../src/storage/s3.ts'
import { noRclone, startRcloneDav } from '../servers/webdav.ts'
import { holdfast, scratch, summary } from '../support/holdfast.ts'

/** A storage as a user would configure it, on a server of its own. */
interface Place {
  /** As in `driver:NAME` of the driver's own tests. */
  driver: string
  unavailable: string | undefined
  start(): Promise<{ url: string; env?: Record<string, string>; stop(): Promise<void> }>
}

/** A folder behind rclone: no server is needed. */
async function startRclone(): Promise<{ url: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-rclone-'))
  return { url: `rclone::local:${folder}`, stop: async () => rmSync(folder, { recursive: true }) }
}

const PLACES: Place[] = [
  { driver: 'gcs', unavailable: noFakeGcs, start: startFakeGcs },
  { driver: 'webdav', unavailable: noRclone, start: startRcloneDav },
  { driver: 'rclone', unavailable: noRclone, start: startRclone },
  { driver: 'azure', unavailable: noAzurite, start: startAzurite },
  { driver: 'sftp', unavailable: noSshd, start: () => startSshd() },
]

for (const { driver, unavailable, start } of PLACES)
  test(
    `driver:${driver}: backups of both formats are made, verified and restored; doctor finds nothing`,
    { skip: unavailable },
    async (t) => {
      const server = await start()
      t.after(() => server.stop())
      const cli = holdfast(scratch(t))
      const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
      const large = randomBytes(9_000_000)
      mkdirSync(join(cli.dir, 'data/deep'), { recursive: true })
      writeFileSync(join(cli.dir, 'data/deep/large'), large)
      writeFileSync(join(cli.dir, 'data/small ü'), 'small')
      for (const format of ['archive', 'repository']) {
        const vault = server.url.replace(/\?|$/, (mark) => `/${format}${mark}`)
        const good = async (...args: string[]): Promise<string> => {
          const { code, stdout, stderr } = await cli.run(args, { env })
          assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`)
          assert.ok(!`${stdout}${stderr}`.includes('open-sesame'))
          return stdout
        }
        const made = summary(await good('backup', 'data', '--to', vault, '--format', format, '--json'))
        assert.equal(made.status, 'success')
        if (driver !== 'sftp') {
          const { write, list } = made['requests'] as { write: number; list: number }
          assert.ok(write >= 2 && write < 100 && list >= 1, JSON.stringify(made['requests']))
        }
        writeFileSync(join(cli.dir, 'data/later'), format)
        await good('backup', 'data', '--to', vault, '--json')
        if (format === 'repository') await good('verify', 'latest', '--level', 'V2', '--vault', vault)
        await good('restore', 'latest', '--to', `out-${format}`, '--vault', vault)
        const back = join(cli.dir, `out-${format}`, cli.dir, 'data')
        assert.ok(readFileSync(join(back, 'deep/large')).equals(large))
        assert.equal(readFileSync(join(back, 'later'), 'utf8'), format)
        if (format === 'archive') assert.match(await good('doctor', '--vault', vault), /all \d+ checks passed/)
      }
    },
  )

test(
  'driver:s3-versitygw: what an attacker deleted from a versioned bucket is restored as of a moment before',
  { skip: noVersitygw },
  async (t) => {
    const server = await startVersioned()
    t.after(() => server.stop())
    const cli = holdfast(scratch(t))
    const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
    mkdirSync(join(cli.dir, 'data'))
    writeFileSync(join(cli.dir, 'data/a'), 'content of a')
    for (const format of ['archive', 'repository']) {
      const vault = server.url.replace('?', `/${format}?`)
      const made = await cli.run(['backup', 'data', '--to', vault, '--format', format], { env })
      assert.equal(made.code, 0, made.stderr)
      await new Promise((resolve) => setTimeout(resolve, 1100))
      const moment = new Date().toISOString()
      await new Promise((resolve) => setTimeout(resolve, 1100))
      const attacker = s3({ ...server.settings, prefix: format })
      for await (const { key } of attacker.list('')) await attacker.remove(key)
      await attacker.close()
      assert.notEqual((await cli.run(['restore', 'latest', '--to', 'no', '--vault', vault], { env })).code, 0)
      const then = `${vault}&asOf=${moment}`
      const back = await cli.run(['restore', 'latest', '--to', `back-${format}`, '--vault', then], { env })
      assert.equal(back.code, 0, back.stderr)
      assert.equal(readFileSync(join(cli.dir, `back-${format}`, cli.dir, 'data/a'), 'utf8'), 'content of a')
    }
  },
)
