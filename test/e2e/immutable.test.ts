/** Vaults whose objects are locked, and credentials that may only add: by the command line, on a real server. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { s3 } from '../../src/storage/s3.ts'
import { listAll } from '../../src/operations/storage-promises.ts'
import { startScriptedAzure } from '../servers/scripted-azure.ts'
import { startScriptedGcs } from '../servers/scripted-gcs.ts'
import { startFaultProxy } from '../servers/fault-proxy.ts'
import { noVersitygw, startVersitygw } from '../servers/s3-servers.ts'
import { open } from '../../src/index.ts'
import { holdfast, lines, scratch, summary } from '../support/holdfast.ts'

const FOR_MS = 12_000
const LOCK = `objectLock=governance,${FOR_MS / 1000}s`

// Side by side: both wait for locks to be over.
describe('driver:s3-versitygw: locked vaults', { concurrency: 2 }, () => {
  for (const format of ['archive', 'repository'])
    test(
      `driver:s3-versitygw: ${format}: what backups need stays locked, what was pruned goes when its lock is over`,
      { skip: noVersitygw },
      async (t) => {
        const server = await startVersitygw({ locking: true })
        t.after(() => server.stop())
        const cli = holdfast(scratch(t))
        const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
        const vault = `${server.url.replace('?', `/${format}?`)}&${LOCK}`
        const good = async (...args: string[]): Promise<string> => {
          const { code, stdout, stderr } = await cli.run(args, { env })
          assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`)
          return stdout
        }
        const backup = async (content: Buffer): Promise<Record<string, unknown>> => {
          writeFileSync(join(cli.dir, 'data/a'), content)
          const args = ['backup', 'data', '--to', vault, '--format', format, '--json']
          return summary(await good(...args, ...(format === 'archive' ? ['--type', 'full'] : [])))
        }
        mkdirSync(join(cli.dir, 'data'))
        await backup(randomBytes(300_000))
        const storage = s3({ ...server.settings, prefix: format, objectLock: { mode: 'governance', for: '12s' } })
        const left = async (): Promise<number> => {
          let least = Infinity
          for (const { key } of await listAll(storage, '')) {
            const until = await storage.can.lock?.until(key)
            least = Math.min(least, (until?.getTime() ?? 0) - Date.now())
          }
          return least
        }
        assert.ok((await left()) > 5000, 'all that is in the vault is locked')
        await sleep(FOR_MS / 3)
        await backup(randomBytes(300_000))
        assert.ok((await left()) > FOR_MS / 2, 'what the first backup needs was renewed')

        const plan = JSON.parse(await good('prune', '--vault', vault, '--keep-last', '1', '--dry-run', '--json')) as {
          locked?: { mode: string }
        }
        assert.equal(plan.locked?.mode, 'governance')
        assert.match(
          await good('prune', '--vault', vault, '--keep-last', '1'),
          /removed 1 backups, \d+ B freed, kept 1\nwhat is removed stays locked \(governance\) .*\n\d old versions removed for good, \d+ B freed; \d+ stay, \d+ KiB, until/,
        )
        await good('verify', 'latest', '--level', format === 'archive' ? 'V1' : 'V2', '--vault', vault)
        await sleep(FOR_MS + 1000)
        const later = await good('prune', '--vault', vault, '--keep-last', '1')
        const [, count, size] =
          /(\d+) old versions removed for good, ([\d.]+) KiB freed/.exec(later) ?? assert.fail(later)
        assert.ok(Number(count) >= 3 && Number(size) > 290, later)
        await good('verify', 'latest', '--level', format === 'archive' ? 'V1' : 'V2', '--vault', vault)
        await storage.close()
      },
    )
})

for (const format of ['archive', 'repository'])
  test(
    `driver:s3-versitygw: ${format}: what a held backup needs is under legal hold until nothing needs it that is held`,
    { skip: noVersitygw },
    async (t) => {
      const server = await startVersitygw({ locking: true })
      t.after(() => server.stop())
      const cli = holdfast(scratch(t))
      const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
      const vault = `${server.url.replace('?', `/${format}?`)}&objectLock=governance,1h`
      const good = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await cli.run([...args, '--vault', vault], { env })
        assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`)
        return stdout
      }
      const ids: string[] = []
      mkdirSync(join(cli.dir, 'data'))
      for (const file of ['first', 'second', 'third']) {
        writeFileSync(join(cli.dir, 'data', file), randomBytes(200_000))
        const { code, stdout } = await cli.run(['backup', 'data', '--to', vault, '--format', format, '--json'], { env })
        assert.equal(code, 0)
        ids.push(String(summary(stdout)['backup_id']))
      }
      const [first = '', second = ''] = ids
      const storage = s3({ ...server.settings, prefix: format, objectLock: { mode: 'governance', for: '1h' } })
      const holds = storage.can.lock?.holds ?? assert.fail()
      const large = async (held: boolean): Promise<string[]> => {
        const found: string[] = []
        for (const { key, size } of await listAll(storage, ''))
          if (size > 190_000 && (await holds.held(key)) === held) found.push(key)
        return found
      }
      assert.equal((await large(false)).length, 3)
      assert.match(await good('tag', first, '--hold'), /; \d+ objects are under legal hold/)
      assert.equal((await large(true)).length, 1)
      await good('tag', second, '--hold')
      const two = await large(true)
      assert.equal(two.length, 2)
      for (const key of two) assert.equal(await storage.can.destroy?.(key), false, 'who may end a lock destroyed it')
      const check = async (): Promise<unknown> => {
        const { stdout } = await cli.run(['doctor', '--quick', '--vault', vault, '--json'], { env })
        return lines(stdout).find(({ name }) => /under legal hold/.test(String(name)))?.['ok']
      }
      assert.equal(await check(), true)
      // The second needs what the first has.
      await good('tag', first, '--no-hold')
      assert.deepEqual(await large(true), two)
      await holds.end(new Set(two), new Set())
      assert.equal(await check(), false)
      await good('tag', second, '--hold')
      assert.equal(await check(), true)

      await good('tag', second, '--no-hold')
      assert.deepEqual(await large(true), [])
      assert.equal(await check(), undefined)
      assert.equal(await storage.can.destroy?.(two[0] ?? ''), true, 'the lock alone is one that may be ended')
      await storage.close()
    },
  )

for (const [cloud, format, start] of [
  ['Google', 'repository', startScriptedGcs],
  ['Azure', 'archive', startScriptedAzure],
] as const)
  test(`${cloud}: a vault with locks is backed up to, held, pruned and restored, and doctor proves it, on a server that does as the documents say`, async (t) => {
    const server = await start()
    t.after(() => server.stop())
    const cli = holdfast(scratch(t))
    const env = { HOLDFAST_PASSWORD: 'open-sesame', ...('env' in server ? server.env : {}) }
    const vault = `${server.url.replace('?', `/${format}?`)}&objectLock=compliance,1h`
    const good = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await cli.run(args, { env })
      assert.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`)
      return stdout
    }
    mkdirSync(join(cli.dir, 'data'), { recursive: true })
    for (let round = 0; round < 2; round += 1) {
      writeFileSync(join(cli.dir, 'data/a'), randomBytes(100_000))
      await good(
        'backup',
        'data',
        '--to',
        vault,
        '--format',
        format,
        ...(format === 'archive' ? ['--type', 'full'] : []),
      )
    }
    assert.match(await good('tag', 'latest', '--hold', '--vault', vault), /\d+ objects are under legal hold/)
    const checks = lines((await cli.run(['doctor', '--vault', vault, '--json'], { env })).stdout)
    const told = checks.filter(({ name }) => /versioning|object lock|is locked|legal hold/.test(String(name)))
    assert.deepEqual(
      told.map(({ ok }) => ok),
      [true, true, true, true],
      JSON.stringify(told),
    )
    assert.match(
      await good('prune', '--vault', vault, '--keep-last', '1'),
      /what is removed stays locked \(compliance\).*\n0 old versions removed for good, 0 B freed; \d+ stay/,
    )
    await good('tag', 'latest', '--no-hold', '--vault', vault)
    await good('restore', 'latest', '--to', join(cli.dir, format), '--vault', vault)
  })

test(
  'driver:s3-versitygw: doctor proves by trying that what is locked cannot be destroyed, and says what is missing',
  { skip: noVersitygw },
  async (t) => {
    const locking = await startVersitygw({ locking: true })
    const plain = await startVersitygw()
    t.after(() => Promise.all([locking.stop(), plain.stop()]))
    const cli = holdfast(scratch(t))
    mkdirSync(join(cli.dir, 'data'))
    for (const [server, mode, wanted] of [
      [locking, 'compliance', ['true ', 'true compliance', 'true refused, compliance']],
      // The key of the server's owner may end a lock of governance.
      [locking, 'governance', ['true ', 'true governance', 'false an object was destroyed before its time']],
      [plain, 'compliance', ['false ', 'false compliance', 'false ']],
    ] as const) {
      const place = server.url.replace('?', '/doctor?')
      const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
      const vault = `${place}&objectLock=${mode},1d`
      const made = await cli.run(['backup', 'data', '--to', server === locking ? vault : place], { env })
      assert.equal(made.code, 0, made.stderr)
      const { stdout } = await cli.run(['doctor', '--vault', vault, '--json'], { env })
      // versitygw creates nothing anew on condition where something was deleted; AWS does.
      const checks = lines(stdout).filter(({ name }) => /versioning|object lock|is locked/.test(String(name)))
      const found = checks.map(({ ok, detail }) => `${String(ok)} ${String(detail)}`)
      for (const [i, one] of wanted.entries()) assert.ok(found[i]?.startsWith(one), `${mode}: ${found.join(' | ')}`)
      for (const { ok, fix } of checks) assert.equal(ok === false, fix !== undefined)
    }
  },
)

test(
  'driver:s3-versitygw: credentials that may not delete suffice for backups, and doctor --append-only proves it',
  { skip: noVersitygw },
  async (t) => {
    const server = await startVersitygw()
    const proxy = await startFaultProxy(server.endpoint)
    t.after(async () => {
      await proxy.stop()
      await server.stop()
    })
    const body = '<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
    proxy.script = ({ method, path }) =>
      method === 'DELETE' || /[?&]delete\b/.test(path) ? { status: 403, body } : undefined
    const cli = holdfast(scratch(t))
    mkdirSync(join(cli.dir, 'data'))
    const env = { HOLDFAST_PASSWORD: 'open-sesame', ...server.env }
    for (const format of ['archive', 'repository']) {
      const whole = server.url.replace('?', `/${format}?`)
      const vault = whole.replace(server.endpoint, proxy.origin)
      for (const content of ['one', 'two', 'three']) {
        writeFileSync(join(cli.dir, 'data/a'), content)
        const { code, stderr } = await cli.run(['backup', 'data', '--to', vault, '--format', format], { env })
        assert.equal(code, 0, stderr)
      }
      const proved = await cli.run(['doctor', '--vault', vault, '--append-only'], { env })
      assert.match(proved.stdout, /✓ .*cannot destroy what is stored \(tried\) — refused/)
      assert.equal(proved.code, 0, proved.stdout)
      const other = await cli.run(['doctor', '--vault', whole, '--append-only', '--json'], { env })
      assert.equal(other.code, 1)
      const wrong = lines(other.stdout).filter(({ ok }) => ok === false)
      assert.match(String(wrong[0]?.['detail']), /was destroyed/)
      // Whoever may delete cleans up what they left.
      const { code, stderr } = await cli.run(['prune', '--vault', whole, '--keep-last', '1'], { env })
      assert.equal(code, 0, stderr)
      const storage = s3({ ...server.settings, prefix: format })
      const rest = (await listAll(storage, '')).map(({ key }) => key)
      assert.deepEqual(
        rest.filter((key) => /^(?:locks|\.holdfast\/leases)\//.test(key)),
        [],
        rest.join('\n'),
      )
      await storage.close()
    }
  },
)

test(
  'driver:s3-versitygw: a prune by the library looks after the locks of every member of a mirror',
  { skip: noVersitygw },
  async (t) => {
    const server = await startVersitygw({ locking: true })
    t.after(() => server.stop())
    const dir = scratch(t)
    mkdirSync(join(dir, 'data'))
    const credentials = {
      accessKeyId: server.env['AWS_ACCESS_KEY_ID'],
      secretAccessKey: server.env['AWS_SECRET_ACCESS_KEY'],
    }
    const member = (prefix: string): Record<string, unknown> => ({
      type: 's3',
      bucket: 'backups',
      prefix,
      endpoint: server.endpoint,
      ...credentials,
      objectLock: { mode: 'governance', for: '3s' },
    })
    const storage = { type: 'mirror', strategy: 'all', members: [member('one'), member('two')] }
    const source = { type: 'files', paths: [join(dir, 'data')] }
    await using library = await open(
      {
        version: 1,
        server: { dataDir: join(dir, 'state') },
        vaults: { v: { storage, format: 'archive' } },
        jobs: { files: { source, vaults: 'v', type: 'full' } },
      },
      { env: {} },
    )
    for (let i = 0; i < 2; i += 1) {
      writeFileSync(join(dir, 'data/a'), randomBytes(100_000))
      const [run] = await library.runJobs()
      assert.equal(run?.run.status, 'success')
    }
    const first = await library.prune({ vault: 'v', retention: { last: 1 }, apply: true })
    assert.deepEqual([first.remove.length, first.locked?.mode], [1, 'governance'])
    assert.ok((first.released?.left ?? 0) >= 2, JSON.stringify(first.released))
    await sleep(5000)
    const later = await library.prune({ vault: 'v', retention: { last: 1 }, apply: true })
    // Of both members.
    assert.ok((later.released?.bytes ?? 0) > 200_000, JSON.stringify(later.released))
    assert.equal(later.bytesFreed, later.released?.bytes)
    assert.equal((await library.verify({ vault: 'v', backup: 'latest', level: 'V1' })).ok, true)
  },
)
