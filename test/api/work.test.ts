/** What the API does: jobs, runs, backups, restores, on real vaults with a real worker. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../src/http/client.ts'
import { apiServer, ended, type ApiServer } from '../support/api-server.ts'

async function refused(call: Promise<unknown>): Promise<ApiError> {
  try {
    await call
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
  throw new Error('it was not refused')
}

async function backedUp({ client }: ApiServer, name = 'files'): Promise<string> {
  const { data } = await client.call('POST /api/v1/jobs/{name}/runs', { params: { name }, body: {} })
  const run = await ended(client, data.id)
  assert.equal(run.status, 'success', JSON.stringify(run.error))
  // Its other vaults follow.
  for (;;) {
    const { queue } = (await client.call('GET /api/v1/about')).data
    if (!queue.some(({ job }) => job === name)) break
    await sleep(50)
  }
  const { data: backups } = await client.call('GET /api/v1/backups', { query: { job: name } })
  return backups.items[0]?.id ?? ''
}

test('a job is made, shown without its secrets, changed by who has its version, run, and removed', async (t) => {
  const server = await apiServer(t)
  const { client, dir } = server
  const vault = { storage: `file:${dir}/second`, format: 'archive', password: 'a vault password' }
  const made = await client.call('POST /api/v1/vaults', { body: { name: 'second', definition: vault } })
  assert.equal(made.data.definition['password'], '[hidden]')
  assert.ok(!made.data.yaml.includes('a vault password'))
  const definition = { source: { type: 'files', paths: [join(dir, 'data')] }, vaults: ['second', 'v'] }
  await client.call('POST /api/v1/jobs', { body: { name: 'mine', definition } })
  const { data: job, etag } = await client.call('GET /api/v1/jobs/{name}', { params: { name: 'mine' } })
  assert.deepEqual([job.managed, job.state, job.vaults], [false, 'unknown', ['second', 'v']])
  const params = { name: 'mine' }
  const changed = { ...job.definition, schedule: { cron: '0 4 * * *', timezone: 'Europe/Berlin' } }
  const put = 'PUT /api/v1/jobs/{name}'
  assert.equal((await refused(client.call(put, { params, body: { definition: changed } }))).status, 428)
  const after = await client.call(put, { params, body: { definition: changed }, ifMatch: etag ?? '' })
  assert.equal(after.data.schedule?.timezone, 'Europe/Berlin')
  assert.equal(
    (await refused(client.call(put, { params, body: { definition: changed }, ifMatch: etag ?? '' }))).status,
    412,
  )
  await backedUp(server, 'mine')
  assert.ok(existsSync(join(dir, 'second/holdfast-vault.json')) && existsSync(join(dir, 'vault/holdfast-vault.json')))
  // The hidden password stays what it was when the vault is changed.
  const { data: shown, etag: version } = await client.call('GET /api/v1/vaults/{name}', { params: { name: 'second' } })
  await client.call('PUT /api/v1/vaults/{name}', {
    params: { name: 'second' },
    body: { definition: { ...shown.definition, limits: { warn: '1g' } } },
    ifMatch: version ?? '',
  })
  await backedUp(server, 'mine')
  assert.equal(
    (await refused(client.call('DELETE /api/v1/vaults/{name}', { params: { name: 'second' } }))).code,
    'request.in-use',
  )
  await client.call('DELETE /api/v1/jobs/{name}', { params })
  await client.call('DELETE /api/v1/vaults/{name}', { params: { name: 'second' } })
  assert.equal((await refused(client.call('GET /api/v1/jobs/{name}', { params }))).status, 404)
  assert.ok(existsSync(join(dir, 'second/holdfast-vault.json')), 'what was stored stays')
  const file = readFileSync(join(dir, 'state/catalogue.db'))
  assert.ok(!file.includes('a vault password'), 'sealed in the catalogue')
  assert.equal(statSync(join(dir, 'state/server.key')).mode & 0o777, 0o600)
})

test('what the page made is there after a restart and for the command line, and the file has the last word', async (t) => {
  const first = await apiServer(t)
  const definition = { source: { type: 'files', paths: [join(first.dir, 'data')] }, vaults: ['v'] }
  await first.client.call('POST /api/v1/jobs', { body: { name: 'mine', definition } })
  await first.stop()
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [main, ...args], {
      cwd: first.dir,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: first.dir },
    })
  assert.match(run('job', 'list'), /^mine\s/m)
  assert.match(run('backup', 'mine'), /mine/)
})

test('jobs of the file refuse changes and say why', async (t) => {
  const { client } = await apiServer(t, { worker: false })
  const params = { name: 'files' }
  const { data: job, etag } = await client.call('GET /api/v1/jobs/{name}', { params })
  assert.equal(job.managed, true)
  const error = await refused(
    client.call('PUT /api/v1/jobs/{name}', { params, body: { definition: job.definition }, ifMatch: etag ?? '' }),
  )
  assert.deepEqual([error.status, error.code], [409, 'request.managed'])
  assert.equal((await refused(client.call('DELETE /api/v1/jobs/{name}', { params }))).code, 'request.managed')
  const twin = { name: 'files', definition: job.definition }
  assert.equal((await refused(client.call('POST /api/v1/jobs', { body: twin }))).status, 409)
})

test('all faults of a job come at once, by their keys; checking one changes nothing', async (t) => {
  const { client } = await apiServer(t, { worker: false })
  const definition = { source: { type: 'files', paths: [] }, vaults: ['nowhere'], schedule: '99 * * * *', retenton: {} }
  const error = await refused(client.call('POST /api/v1/jobs', { body: { name: 'bad', definition } }))
  assert.equal(error.status, 400)
  const named = error.faults.map(({ key }) => key).join(' ')
  for (const key of ['source.paths', 'schedule', 'retenton']) assert.ok(named.includes(key), `${key} in ${named}`)
  const { data } = await client.call('POST /api/v1/jobs/check', { body: { name: 'bad', definition } })
  assert.equal(data.ok, false)
  const good = { source: { type: 'files', paths: ['/srv'] }, vaults: ['v'], schedule: '0 3 * * *' }
  const checked = (await client.call('POST /api/v1/jobs/check', { body: { name: 'good', definition: good } })).data
  assert.deepEqual([checked.ok, checked.next.length], [true, 6])
  assert.match(checked.yaml, /^jobs:\n {2}good:/)
  assert.equal((await client.call('GET /api/v1/jobs')).data.items.length, 1)
})

test('a second run while one waits or works is refused with the id of the first; with the same key it is the first', async (t) => {
  const { client } = await apiServer(t, { worker: false })
  const run = 'POST /api/v1/jobs/{name}/runs'
  const params = { name: 'files' }
  const first = await client.call(run, { params, body: {}, idempotencyKey: 'one' })
  const again = await client.call(run, { params, body: {}, idempotencyKey: 'one' })
  assert.deepEqual(again.data, first.data)
  const second = await refused(client.call(run, { params, body: {} }))
  assert.deepEqual([second.status, second.run], [409, first.data.id])
  const other = await refused(client.call(run, { params, body: { kind: 'verify' }, idempotencyKey: 'one' }))
  assert.equal(other.status, 422)
  const cancelled = await client.call('POST /api/v1/runs/{id}/cancel', { params: { id: first.data.id } })
  assert.equal(cancelled.data.status, 'cancelled')
  const two = await Promise.all([1, 2].map(async () => client.call(run, { params, body: {}, idempotencyKey: 'two' })))
  assert.equal(new Set(two.map(({ data }) => data.id)).size, 1)
})

test('a backup is browsed, searched, previewed, downloaded, compared, held and removed', async (t) => {
  const odd = 'data/odd "names" & ümläut.txt'
  const server = await apiServer(t, {
    files: { 'data/a.txt': 'hello', 'data/sub/b.txt': 'there', 'data/sub/deep/c.bin': 'x\0y', [odd]: 'odd' },
  })
  const { client, dir, url, token } = server
  const under = dir.slice(1)
  const first = await backedUp(server)
  writeFileSync(join(dir, 'data/a.txt'), 'hello again')
  writeFileSync(join(dir, 'data/new.txt'), 'new')
  const second = await backedUp(server)
  const params = { id: second }
  const tree = (await client.call('GET /api/v1/backups/{id}/tree', { params, query: { path: `${under}/data` } })).data
  assert.deepEqual(
    tree.items.map(({ name, kind, size }) => [name, kind, size]),
    [
      ['sub', 'dir', undefined],
      ['a.txt', 'file', 11],
      ['new.txt', 'file', 3],
      ['odd "names" & ümläut.txt', 'file', 3],
    ],
  )
  const one = (
    await client.call('GET /api/v1/backups/{id}/tree', { params, query: { path: `${under}/data`, limit: 2 } })
  ).data
  const rest = (
    await client.call('GET /api/v1/backups/{id}/tree', {
      params,
      query: { path: `${under}/data`, limit: 2, cursor: one.next ?? '' },
    })
  ).data
  assert.deepEqual([...one.items, ...rest.items], tree.items)
  assert.equal(one.total, 4)
  const found = (await client.call('GET /api/v1/backups/{id}/tree', { params, query: { q: 'C.BIN' } })).data
  assert.deepEqual(
    found.items.map(({ path }) => path),
    [`${under}/data/sub/deep/c.bin`],
  )
  const history = (await client.call('GET /api/v1/search', { query: { path: `${under}/data/a.txt` } })).data
  assert.deepEqual(
    history.items[0]?.versions.map(({ backup, size, same }) => [backup, size, same]),
    [
      [second, 11, false],
      [first, 5, false],
    ],
  )
  const differs = (await client.call('GET /api/v1/backups/{id}/diff', { params, query: { with: first } })).data
  assert.deepEqual([differs.added, differs.modified, differs.removed], [1, 1, 0])

  const as = token('restorer')
  const get = async (path: string, query: Record<string, string | string[]>): Promise<Response> => {
    const search = new URLSearchParams()
    for (const [name, value] of Object.entries(query)) for (const text of [value].flat()) search.append(name, text)
    return fetch(`${url}/api/v1/backups/${second}/${path}?${search.toString()}`, {
      headers: { authorization: `Bearer ${as}` },
    })
  }
  const raw = await get('download', { path: `${under}/${odd}` })
  assert.equal(await raw.text(), 'odd')
  assert.match(
    raw.headers.get('content-disposition') ?? '',
    /^attachment; filename="odd _names_ & _ml_ut.txt"; filename\*=UTF-8''odd%20%22names/,
  )
  const preview = await get('preview', { path: `${under}/data/sub/deep/c.bin` })
  assert.equal(preview.headers.get('content-type'), 'application/octet-stream')
  assert.match(
    (await get('preview', { path: `${under}/data/a.txt` })).headers.get('content-type') ?? '',
    /^text\/plain/,
  )
  for (const format of ['zip', 'tar']) {
    const file = join(dir, `out.${format}`)
    const answer = await get('download', { path: [`${under}/data/sub`, `${under}/data/new.txt`], format })
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()))
    const listed = format === 'zip' ? execFileSync('unzip', ['-Z1', file]) : execFileSync('tar', ['-tf', file])
    const files = listed
      .toString()
      .split('\n')
      .filter((name) => name !== '' && !name.endsWith('/'))
    assert.deepEqual(files.sort(), [`${under}/data/new.txt`, `${under}/data/sub/b.txt`, `${under}/data/sub/deep/c.bin`])
  }
  assert.equal((await get('download', { path: 'no/such' })).status, 404)

  const timeline = (await client.call('GET /api/v1/jobs/{name}/timeline', { params: { name: 'files' } })).data
  assert.deepEqual(
    timeline.vaults.map(({ vault, windows }) => [vault, windows]),
    [['v', []]],
  )

  const held = await client.call('PATCH /api/v1/backups/{id}', {
    params: { id: first },
    body: { hold: true, addTags: ['keep'] },
  })
  assert.deepEqual([held.data.hold, held.data.tags], [true, ['keep']])
  const remove = async (id: string): Promise<unknown> =>
    client.call('DELETE /api/v1/backups/{id}', { params: { id }, query: { confirm: id } })
  assert.equal((await refused(remove(second))).code, 'backup.last-one')
  assert.equal((await refused(remove(first))).status, 409)
  const { items } = (await client.call('GET /api/v1/audit', { query: { action: 'backup.' } })).data
  assert.ok(items.some(({ action, actor }) => action === 'backup.download' && actor.startsWith('restorer')))
})

test('a restore is planned, made by the worker, and refused where it would replace what it must not', async (t) => {
  const server = await apiServer(t)
  const { client, dir } = server
  const backup = await backedUp(server)
  const to = { type: 'folder', path: join(dir, 'out') } as const
  const plan = (await client.call('POST /api/v1/restores/plan', { body: { backup, to } })).data
  assert.deepEqual([plan.ok, plan.bytes > 0, plan.problems], [true, true, []])
  assert.match(plan.command, new RegExp(`^holdfast restore ${backup} --vault v --to `))
  assert.ok(!existsSync(to.path), 'a plan writes nothing')
  const { data } = await client.call('POST /api/v1/restores', { body: { backup, to } })
  assert.equal((await ended(client, data.id)).status, 'success')
  assert.equal(readFileSync(join(to.path, dir, 'data/sub/b.txt'), 'utf8'), 'there')
  const again = (await client.call('POST /api/v1/restores/plan', { body: { backup, to } })).data
  assert.equal(again.ok, false)
  const failed = await ended(client, (await client.call('POST /api/v1/restores', { body: { backup, to } })).data.id)
  assert.equal(failed.status, 'failed')
  const part = { backup, to: { type: 'folder', path: join(dir, 'part') } as const, paths: [`${dir.slice(1)}/data/sub`] }
  assert.equal(
    (await ended(client, (await client.call('POST /api/v1/restores', { body: part })).data.id)).status,
    'success',
  )
  assert.ok(existsSync(join(dir, 'part', dir, 'data/sub/b.txt')) && !existsSync(join(dir, 'part', dir, 'data/a.txt')))
})

test('nothing outside the roots is shown, tried, or restored to, not through a link either', async (t) => {
  const server = await apiServer(t, { server: ', roots: [./data]' })
  const { client, dir } = server
  mkdirSync(join(dir, 'secret'))
  symlinkSync(join(dir, 'secret'), join(dir, 'data/link'))
  const backup = await backedUp(server)
  const seen = (await client.call('GET /api/v1/sources/browse', { query: { path: join(dir, 'data') } })).data
  assert.deepEqual([seen.items.map(({ name }) => name), seen.parent], [['a.txt', 'link', 'sub'], undefined])
  for (const path of [dir, '/etc', join(dir, 'data/link'), join(dir, 'data/../secret')]) {
    assert.equal(
      (await refused(client.call('GET /api/v1/sources/browse', { query: { path } }))).code,
      'auth.denied',
      path,
    )
    const to = { type: 'folder', path } as const
    assert.equal(
      (await refused(client.call('POST /api/v1/restores', { body: { backup, to } }))).code,
      'auth.denied',
      path,
    )
    assert.equal((await refused(client.call('POST /api/v1/sources/exclude', { body: { paths: [path] } }))).status, 403)
  }
})

test('a database that is a file is not restored outside the roots either, by whatever name it is asked for', async (t) => {
  const server = await apiServer(t, {
    config: `vaults: { v: { storage: 'file:./vault', format: archive } }
jobs: { shop: { source: { type: sqlite, file: ./own/shop.db }, vaults: [v] } }`,
    server: ', roots: [./data]',
  })
  const { client, dir } = server
  mkdirSync(join(dir, 'own'))
  using database = new DatabaseSync(join(dir, 'own/shop.db'))
  database.exec('create table t (id integer primary key)')
  const backup = await backedUp(server, 'shop')
  const outside = join(dir, 'own/other.db')
  for (const [to, code] of [
    [{ type: 'database', file: outside }, 'auth.denied'],
    [{ type: 'database', database: outside }, 'usage.invalid'],
    [{ type: 'original' }, 'auth.denied'],
    [{ type: 'database' }, 'auth.denied'],
  ] as const)
    for (const key of ['POST /api/v1/restores', 'POST /api/v1/restores/plan'] as const)
      assert.equal((await refused(client.call(key, { body: { backup, to } }))).code, code, JSON.stringify(to))
  const to = { type: 'database', file: join(dir, 'data/back.db') } as const
  const run = await ended(client, (await client.call('POST /api/v1/restores', { body: { backup, to } })).data.id)
  assert.equal(run.status, 'success', run.error?.message)
  assert.ok(existsSync(to.file) && !existsSync(outside))
})

test('rules that leave files out are tried: files and bytes of each', async (t) => {
  const { client, dir } = await apiServer(t, {
    worker: false,
    files: { 'data/a.txt': '12345', 'data/b.tmp': '123', 'data/cache/x': '1234567', 'data/cache/y/z': '1' },
  })
  const { data } = await client.call('POST /api/v1/sources/exclude', {
    body: { paths: [join(dir, 'data')], exclude: ['*.tmp', 'cache/'] },
  })
  assert.deepEqual([data.files, data.bytes, data.excludedFiles, data.excludedBytes, data.complete], [1, 5, 3, 11, true])
  assert.deepEqual(
    data.rules.map(({ rule, files, bytes }) => [rule, files, bytes]),
    [
      ['exclude cache/', 2, 8],
      ['exclude *.tmp', 1, 3],
    ],
  )
})

test('events tell of a run as it goes, and who comes back gets what was missed', async (t) => {
  const server = await apiServer(t)
  const { url, token, client } = server
  const authorization = `Bearer ${token('viewer')}`
  const listen = async (
    headers: Record<string, string>,
    until: string,
  ): Promise<{ type: string; id: string; data: Record<string, unknown> }[]> => {
    const stop = new AbortController()
    const response = await fetch(`${url}/api/v1/events`, {
      headers: { authorization, ...headers },
      signal: stop.signal,
    })
    const seen: { type: string; id: string; data: Record<string, unknown> }[] = []
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      const frames = text.split('\n\n')
      text = frames.pop() ?? ''
      for (const frame of frames) {
        const [, type] = /^event: (.*)$/m.exec(frame) ?? []
        const [, id = ''] = /^id: (.*)$/m.exec(frame) ?? []
        const [, data] = /^data: (.*)$/m.exec(frame) ?? []
        if (type !== undefined && data !== undefined)
          seen.push({ type, id, data: JSON.parse(data) as Record<string, unknown> })
      }
      if (seen.some(({ type }) => type === until)) break
    }
    stop.abort()
    return seen
  }
  const listening = listen({}, 'backup.added')
  await new Promise((resolve) => setTimeout(resolve, 300))
  await backedUp(server)
  const seen = await listening
  const types = seen.map(({ type }) => type)
  assert.ok(types.includes('run.created') || types.includes('run.stage'), types.join(' '))
  assert.equal(seen.find(({ type }) => type === 'backup.added')?.data['job'], 'files')
  const from = seen[0]?.id ?? '0'
  await backedUp(server)
  const later = await listen({ 'last-event-id': from }, 'run.finished')
  assert.ok(later.every(({ id }) => Number(id) > Number(from)))
  const reset = await listen({ 'last-event-id': '99999999' }, 'reset')
  assert.equal(reset[0]?.type, 'reset')
  const { data } = await client.call('GET /api/v1/runs', { query: { limit: 1 } })
  const log = await client.stream('GET /api/v1/runs/{id}/log', { params: { id: data.items[0]?.id ?? '' } })
  const lines = (await log.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string })
  assert.match(lines.at(-1)?.msg ?? '', /run ended: success/)
})

test('lists come in pages that neither repeat nor forget while more is added', async (t) => {
  const server = await apiServer(t)
  for (let n = 0; n < 5; n += 1) await backedUp(server)
  const { client } = server
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const { data } = await client.call('GET /api/v1/runs', {
      query: { limit: 2, kind: 'backup', ...(cursor !== undefined && { cursor }) },
    })
    seen.push(...data.items.map(({ id }) => id))
    if (cursor === undefined) await backedUp(server)
    cursor = data.next
  } while (cursor !== undefined)
  assert.equal(new Set(seen).size, 5)
  assert.equal(seen.length, 5)
  assert.equal((await refused(client.call('GET /api/v1/runs', { query: { cursor: 'nonsense' } }))).status, 400)
})

test('what is sent wrongly is refused with what is wrong: no JSON, too much, unknown keys, another type', async (t) => {
  const server = await apiServer(t, { worker: false })
  const as = server.token('admin')
  const post = 'POST /api/v1/jobs'
  const codeOf = async (options: Parameters<ApiServer['send']>[1]): Promise<[number, string]> => {
    const { status, json } = await server.send(post, { as, ...options })
    return [status, (json as { error: { code: string } }).error.code]
  }
  assert.deepEqual(await codeOf({ body: '{' }), [400, 'request.invalid'])
  assert.deepEqual(await codeOf({ body: { name: 'x', definition: {}, more: 1 } }), [400, 'request.invalid'])
  assert.deepEqual(await codeOf({ body: 'x'.repeat(300_000) }), [413, 'request.too-large'])
  assert.deepEqual(await codeOf({ body: '{}', headers: { 'content-type': 'text/plain' } }), [415, 'request.type'])
  const { headers } = await server.send('GET /api/v1/jobs', { as })
  for (const name of ['x-content-type-options', 'referrer-policy', 'content-security-policy', 'x-frame-options'])
    assert.ok(headers.get(name), name)
  const etag = headers.get('etag') ?? ''
  assert.equal((await server.send('GET /api/v1/jobs', { as, headers: { 'if-none-match': etag } })).status, 304)
})

test('a version of a definition hides no change of what is told beside it, and a repeated call tells it too', async (t) => {
  const server = await apiServer(t)
  const as = server.token('admin')
  const definition = { source: { type: 'files', paths: [join(server.dir, 'data')] }, vaults: ['v'] }
  const make = async () =>
    server.send('POST /api/v1/jobs', {
      as,
      body: { name: 'mine', definition },
      headers: { 'idempotency-key': 'once' },
    })
  const [first, again] = [await make(), await make()]
  assert.equal(again.headers.get('idempotency-replayed'), 'true')
  const etag = first.headers.get('etag') ?? ''
  assert.match(etag, /^".+-1"$/)
  assert.equal(again.headers.get('etag'), etag)
  assert.equal(again.headers.get('location'), first.headers.get('location'))
  await backedUp(server, 'mine')
  const seen = await server.send('GET /api/v1/jobs/mine', { as, headers: { 'if-none-match': etag } })
  assert.deepEqual([seen.status, seen.headers.get('etag')], [200, etag])
  assert.ok(seen.json?.['lastRun'] !== undefined)
})

test('a vault that cannot be opened hides nothing of what the others hold from a search', async (t) => {
  const server = await apiServer(t, {
    config: `vaults: { v: { storage: 'file:./vault', format: archive }, gone: { storage: 'file:./gone', format: archive } }
jobs:
  files: { source: { type: files, paths: [./data] }, vaults: [v] }
  more: { source: { type: files, paths: [./data] }, vaults: [gone] }`,
  })
  await backedUp(server, 'files')
  await backedUp(server, 'more')
  const catalogue = server.app.history()
  const [one] = catalogue.backupsPage({ job: 'more', limit: 1 })
  assert.ok(one)
  catalogue.saveBackup({ ...one, id: `${one.id}-2`, time: new Date(one.time.getTime() + 1000) })
  rmSync(join(server.dir, 'gone'), { recursive: true })
  const found = (await server.client.call('GET /api/v1/search', { query: { q: 'a.txt' } })).data
  assert.deepEqual([found.searched, found.pending, found.unsearched, found.items.length], [1, 0, 2, 1])
  assert.match(found.problems.join(), /^gone: /)
})
