import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { apiServer } from '../support/api-server.ts'
import { holdfast, lines, scratch } from '../support/holdfast.ts'

test('the command line works through a server: jobs, backups, restores, dumps, alerts, tokens; what it cannot do there it says', async (t) => {
  const server = await apiServer(t)
  const cli = holdfast(scratch(t, 'remote'))
  const env = { HOLDFAST_TOKEN: server.token('admin') }
  const through = ['--server', server.url]
  const run = async (...args: string[]) => cli.run([...args, ...through], { env })
  const json = async <T>(...args: string[]): Promise<T> => cli.json<T>([...args, ...through], { env })

  assert.deepEqual(
    (await json<{ name: string }[]>('job', 'list')).map(({ name }) => name),
    ['files'],
  )
  const backup = await run('backup', 'files', '--json')
  assert.equal(backup.code, 0, backup.stderr)
  const summary = lines(backup.stdout).at(-1)
  assert.deepEqual([summary?.['message_type'], summary?.['status'], summary?.['job']], ['summary', 'success', 'files'])
  const [listed] = await json<{ id: string; job: string }[]>('list')
  assert.equal(listed?.id, summary?.['backup_id'])
  assert.ok(!existsSync(join(cli.dir, '.local')), 'nothing is opened here')

  const out = join(server.dir, 'out')
  assert.equal((await run('restore', 'latest', '--to', out, '--dry-run')).code, 0)
  assert.ok(!existsSync(out))
  assert.equal((await run('restore', 'latest', '--to', out)).code, 0)
  assert.equal(readFileSync(join(out, server.dir, 'data/a.txt'), 'utf8'), 'hello')
  const again = await run('restore', 'latest', '--to', out)
  assert.equal(again.code, 1)
  assert.match(again.stderr, /Choose an empty target/)
  const dumped = await run('dump', 'latest', `${server.dir.slice(1)}/data/a.txt`)
  assert.equal(dumped.stdout, 'hello')
  assert.equal((await run('verify', 'files', '--level', 'V3')).code, 0)
  assert.match((await run('ls', 'latest', `${server.dir.slice(1)}/data`)).stdout, /a\.txt/)
  assert.match((await run('find', 'b.txt')).stdout, /sub\/b\.txt {2}\(1 versions/)

  mkdirSync(join(cli.dir, 'more'))
  writeFileSync(
    join(cli.dir, 'apply.yaml'),
    `vaults: { second: { storage: 'file:${server.dir}/second', format: archive } }
jobs: { more: { source: { type: files, paths: ['${server.dir}/data'] }, vaults: [second] } }`,
  )
  const applied = async () =>
    (await json<{ change: string }[]>('job', 'apply', 'apply.yaml')).map(({ change }) => change)
  assert.deepEqual(
    [await applied(), await applied()],
    [
      ['made', 'made'],
      ['unchanged', 'unchanged'],
    ],
  )
  assert.equal((await run('backup', 'more')).code, 0)
  assert.match((await run('run', 'list')).stdout, /restore/)
  assert.match((await run('audit', 'list')).stdout, /restore\.start/)
  assert.equal((await run('audit', 'check')).code, 0)
  const made = await json<{ token: string }>('token', 'create', 'reader')
  const denied = await cli.run(['backup', 'files', ...through, '--token', made.token])
  assert.deepEqual([denied.code, /may not do this/.test(denied.stderr)], [12, true], denied.stderr)

  const no = await run('prune')
  assert.equal(no.code, 2)
  assert.match(no.stderr, /works on the machine itself/)
  assert.equal((await cli.run(['job', 'list', ...through], { env: { HOLDFAST_TOKEN: 'hf_wrong' } })).code, 12)
  await server.stop()
  const gone = await run('job', 'list')
  assert.equal(gone.code, 14)
  assert.match(gone.stderr, /does not answer/)
})

test('a file of jobs is applied on this machine too, beside the configuration', async (t) => {
  const cli = holdfast(scratch(t, 'apply'))
  mkdirSync(join(cli.dir, 'data'))
  writeFileSync(join(cli.dir, 'holdfast.yaml'), `vaults: { v: { storage: 'file:./vault', format: archive } }`)
  writeFileSync(
    join(cli.dir, 'jobs.json'),
    JSON.stringify({ jobs: { mine: { source: { type: 'files', paths: [join(cli.dir, 'data')] }, vaults: ['v'] } } }),
  )
  assert.deepEqual(await cli.json(['job', 'apply', 'jobs.json']), [{ kind: 'job', name: 'mine', change: 'made' }])
  assert.equal((await cli.run(['backup', 'mine'])).code, 0)
  writeFileSync(join(cli.dir, 'bad.yaml'), `jobs: { mine: { source: { type: fils }, vaults: [nowhere] } }`)
  const bad = await cli.run(['job', 'apply', 'bad.yaml'])
  assert.equal(bad.code, 2)
  assert.match(bad.stderr, /source/)
})

test('a list through a server is as long as asked for, also beyond a page of the API', async (t) => {
  const server = await apiServer(t)
  const cli = holdfast(scratch(t, 'remote'))
  const run = async (...args: string[]) =>
    cli.run([...args, '--json', '--server', server.url], { env: { HOLDFAST_TOKEN: server.token('admin') } })
  assert.equal((await run('backup', 'files')).code, 0)
  const catalogue = server.app.history()
  const [one] = catalogue.backupsPage({ limit: 1 })
  assert.ok(one)
  for (let n = 1; n <= 620; n += 1)
    catalogue.saveBackup({ ...one, id: `${one.id}-${n}`, time: new Date(one.time.getTime() - n * 1000) })
  for (const [asked, long] of [
    [501, 501],
    [10, 10],
    [undefined, 621],
    [600, 600],
    [5000, 621],
  ])
    assert.equal(
      (JSON.parse((await run('list', ...(asked === undefined ? [] : ['--limit', String(asked)]))).stdout) as unknown[])
        .length,
      long,
    )
})

test('what cannot be tried through a server is refused with --dry-run, and nothing is done', async (t) => {
  const server = await apiServer(t)
  const cli = holdfast(scratch(t, 'remote'))
  const env = { HOLDFAST_TOKEN: server.token('admin') }
  const run = async (...args: string[]) => cli.run([...args, '--server', server.url], { env })
  assert.equal((await run('backup', 'files')).code, 0)
  const count = server.app.history().runs({ limit: 100 }).length
  for (const args of [
    ['backup', 'files'],
    ['verify', 'files'],
    ['tag', 'latest', '--add', 'x'],
    ['schedule', 'pause', 'files'],
    ['token', 'create', 'mine'],
  ]) {
    const refused = await run(...args, '--dry-run')
    assert.deepEqual([refused.code, /--dry-run/.test(refused.stderr)], [2, true], args.join(' '))
  }
  assert.equal(server.app.history().runs({ limit: 100 }).length, count)
  assert.deepEqual(server.app.history().backupsPage({ limit: 1 })[0]?.tags, [])
  assert.equal((await run('restore', 'latest', '--to', join(server.dir, 'out'), '--dry-run')).code, 0)
})

test('a file comes out of a large folder through a server; a dump that cannot be written leaves nothing and says why', async (t) => {
  const server = await apiServer(t, {
    files: Object.fromEntries(Array.from({ length: 1200 }, (_, n) => [`data/${n}.txt`, `content of ${n}`])),
  })
  const cli = holdfast(scratch(t, 'remote'))
  const run = async (...args: string[]) =>
    cli.run([...args, '--server', server.url], { env: { HOLDFAST_TOKEN: server.token('admin') } })
  assert.equal((await run('backup', 'files')).code, 0)
  const path = `${server.dir.slice(1)}/data/1199.txt`
  assert.equal((await run('dump', 'latest', path)).stdout, 'content of 1199')
  const output = join(cli.dir, 'one.txt')
  assert.equal((await run('dump', 'latest', path, '--output', output)).code, 0)
  assert.equal(readFileSync(output, 'utf8'), 'content of 1199')
  const again = await run('dump', 'latest', path, '--output', output)
  assert.deepEqual([again.code, /is there already/.test(again.stderr)], [2, true])
  const nowhere = await run('dump', 'latest', path, '--output', join(cli.dir, 'no/such/one.txt'))
  assert.deepEqual([nowhere.code, /cannot be written/.test(nowhere.stderr)], [2, true])
  assert.equal((await run('dump', 'latest', `${path}x`)).code !== 0, true)
})
