import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { noAzurite, startAzurite } from '../servers/azurite.ts'
import { noFakeGcs, startFakeGcs } from '../servers/fake-gcs.ts'
import { noVersitygw, startVersioned, startVersitygw } from '../servers/s3-servers.ts'
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

// Side by side, as each waits for its server and its disk.
describe('storages by the command line', { concurrency: 2 }, () => {
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
})

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

test(
  'driver:s3-versitygw: stats tell the requests of a vault and estimate what it costs, in all and by job',
  { skip: noVersitygw },
  async (t) => {
    const server = await startVersitygw()
    t.after(() => server.stop())
    const cli = holdfast(scratch(t))
    mkdirSync(join(cli.dir, 'data'))
    writeFileSync(join(cli.dir, 'data/a'), randomBytes(2_000_000))
    const prices = { currency: 'EUR', storage: 1000, writes: 5, reads: 1, budget: 1 }
    const storage = { type: 's3', bucket: 'backups', endpoint: server.endpoint }
    const files = { type: 'files', paths: ['./data'] }
    const vaults = { priced: { storage, format: 'archive', prices } }
    const jobs = { one: { source: files, vaults: ['priced'] }, two: { source: files, vaults: ['priced'] } }
    const config = { version: 1, server: { dataDir: './state' }, vaults, jobs }
    writeFileSync(join(cli.dir, 'holdfast.json'), JSON.stringify(config), { mode: 0o600 })
    const made = await cli.run(['backup'], { env: server.env })
    assert.equal(made.code, 0, made.stderr)
    const { stdout } = await cli.run(['stats', '--json'], { env: server.env })
    const [vault] = JSON.parse(stdout) as {
      requests: { write: number }
      cost: { stored: number; requests: number; perMonth: number; daysToBudget: number }
      jobs: { job: string; requests: { write: number }; cost: { stored: number } }[]
    }[]
    assert.ok(vault)
    // Two times 2 MB at 1,000 a gigabyte.
    assert.ok(vault.cost.stored > 3.9 && vault.cost.stored < 4.2, stdout)
    assert.ok(vault.cost.requests > 0 && vault.cost.daysToBudget === 0)
    assert.equal(
      vault.jobs.reduce((sum, { requests }) => sum + requests.write, 0),
      vault.requests.write,
    )
    for (const { cost } of vault.jobs) assert.ok(cost.stored > 1.9 && cost.stored < 2.1)
    const shown = await cli.run(['stats'], { env: server.env })
    assert.match(
      shown.stdout,
      /about \d+\.\d\d EUR a month: 4\.\d\d EUR stored, .* for requests; the budget is used up/,
    )
    assert.match(shown.stdout, /A MONTH/)
  },
)
