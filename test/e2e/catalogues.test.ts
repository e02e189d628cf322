/** What a catalogue promises, of SQLite and of PostgreSQL. */
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test, type TestContext } from 'node:test'
import type { Clock } from '../../src/base/clock.ts'
import { isAppError } from '../../src/base/errors.ts'
import { postgresCatalogue } from '../../src/catalogue/postgres.ts'
import { sqliteCatalogue } from '../../src/catalogue/sqlite.ts'
import type { Backup } from '../../src/model/backup.ts'
import type { Catalogue } from '../../src/model/catalogue.ts'
import type { Run } from '../../src/model/run.ts'
import type { Task } from '../../src/model/service.ts'
import { newToken, newUser } from '../../src/operations/accounts.ts'
import { manualClock } from '../../src/testing/manual-clock.ts'
import { noPostgres, startPostgres, type PostgresServer } from '../servers/postgres.ts'
import { catalogueInPostgres, catalogueUrl } from '../support/catalogues.ts'
import { scratch } from '../support/holdfast.ts'

const DAY_MS = 86_400_000
const day = (n: number): Date => new Date(Date.UTC(2024, 0, 1) + n * DAY_MS)

function run(id: string, at: number, more: Partial<Run> = {}): Run {
  const times = { createdAt: day(at), startedAt: day(at), endedAt: day(at) }
  const rest = { warnings: [], warningCount: 0, stages: [] }
  return {
    id,
    kind: 'backup',
    job: 'web',
    vault: 'main',
    status: 'success',
    trigger: 'manual',
    ...times,
    ...rest,
    ...more,
  }
}

function backup(id: string, at: number, more: Partial<Backup> = {}): Backup {
  return {
    id,
    vault: 'main',
    job: 'web',
    source: 'files',
    time: day(at),
    host: 'here',
    paths: ['/data'],
    tags: [],
    hold: false,
    type: 'full',
    needs: [],
    encrypted: false,
    sourceBytes: 100 * at,
    storedBytes: 10 * at,
    proof: { level: 'V0', at: day(at) },
    ...more,
  } as Backup
}

function task(id: string, job: string, at: Date, more: Partial<Task> = {}): Task {
  return {
    id,
    job,
    kind: 'backup',
    due: at,
    notBefore: at,
    trigger: 'schedule',
    run: `run of ${id}`,
    attempt: 1,
    labels: [],
    ...more,
  }
}

const ids = (list: readonly { id: string }[]): string[] => list.map(({ id }) => id)

function promises(name: string, skip: string | undefined, open: (t: TestContext, clock: Clock) => Catalogue): void {
  suite(name, { skip: skip ?? false }, () => {
    test('runs are kept whole, filtered, and paged newest first', (t) => {
      const catalogue = open(t, manualClock())
      const error = { code: 'run.failed', message: 'odd \0 \ud800 "text" \\u0000', hint: '' } as const
      catalogue.saveRun(run('a', 1))
      catalogue.saveRun(run('b', 2, { status: 'failed', error }))
      catalogue.saveRun(run('c', 2, { job: 'db', vault: 'other', kind: 'verify' }))
      catalogue.saveRun(run('d', 3, { status: 'running', endedAt: undefined }))
      assert.deepEqual(catalogue.run('a'), run('a', 1))
      assert.match(catalogue.run('b')?.error?.message ?? '', /^odd . . "text"/)
      assert.equal(catalogue.run('none'), undefined)
      assert.deepEqual(ids(catalogue.runs({ job: 'web' })), ['d', 'b', 'a'])
      assert.deepEqual(ids(catalogue.runs({ vault: 'other', kind: 'verify' })), ['c'])
      assert.deepEqual(ids(catalogue.runs({ status: ['failed', 'running'], since: day(2), until: day(3) })), ['d', 'b'])
      const first = catalogue.runsPage({ limit: 2 })
      assert.deepEqual(ids(first), ['d', 'c'])
      assert.deepEqual(ids(catalogue.runsPage({ limit: 5, before: { at: day(2), id: 'c' } })), ['b', 'a'])
      catalogue.askToCancel('d', 'ana')
      catalogue.askToCancel('a', 'ana')
      assert.deepEqual([catalogue.cancelAsked('d'), catalogue.cancelAsked('a')], ['ana', undefined])
      assert.deepEqual(catalogue.reapRuns(), [], 'this process lives')
      assert.deepEqual(catalogue.pruneRuns(day(10)), [])
      assert.deepEqual(
        ids(catalogue.runs()),
        ['d', 'c', 'b', 'a'].filter((id) => catalogue.run(id) !== undefined),
      )
    })

    test('old runs go, but not the newest of a job, nor its newest good one', (t) => {
      const catalogue = open(t, manualClock())
      catalogue.saveRun(run('old', 1, { log: 'old.ndjson' }))
      catalogue.saveRun(run('good', 2, { log: 'good.ndjson' }))
      catalogue.saveRun(run('bad', 3, { status: 'failed' }))
      catalogue.saveRun(run('worse', 4, { status: 'failed' }))
      catalogue.saveRun(run('yearly', 1, { job: 'archive' }))
      catalogue.saveRun(run('elsewhere', 1, { vault: 'second' }))
      catalogue.saveRun(run('proof', 1, { kind: 'verify' }))
      catalogue.saveRun(run('working', 1, { status: 'running', endedAt: undefined }))
      assert.deepEqual(catalogue.pruneRuns(day(100)), ['old.ndjson'])
      const left = ids(catalogue.runs()).toSorted()
      assert.deepEqual(left, ['elsewhere', 'good', 'proof', 'working', 'worse', 'yearly'])
    })

    test('only a run that works can be asked to stop, and it learns who asks', (t) => {
      const catalogue = open(t, manualClock())
      catalogue.saveRun(run('over', 1))
      catalogue.saveRun(run('working', 1, { status: 'running', endedAt: undefined }))
      for (const id of ['over', 'working']) catalogue.askToCancel(id, 'ana on db1')
      catalogue.askToLimit('over', 5)
      assert.deepEqual([catalogue.limitAsked('over'), catalogue.limitAsked('working')], [undefined, undefined])
      catalogue.askToLimit('working', 512)
      assert.equal(catalogue.limitAsked('working'), 512)
      catalogue.askToLimit('working', 'none')
      assert.equal(catalogue.cancelAsked('over'), undefined)
      assert.equal(catalogue.cancelAsked('working'), 'ana on db1')
      catalogue.saveRun(run('working', 1, { status: 'running', endedAt: undefined }))
      assert.equal(catalogue.cancelAsked('working'), 'ana on db1', 'also after its figures were stored again')
      assert.equal(catalogue.limitAsked('working'), 'none')
    })

    test('backups are those of the vaults; paged by time, vault and id, filtered by tag', (t) => {
      const catalogue = open(t, manualClock())
      catalogue.replaceBackups('main', [backup('a', 1), backup('b', 2, { tags: ['daily', "it's"] })])
      catalogue.saveBackup(backup('b', 2, { vault: 'second' }))
      catalogue.saveBackup(backup('c', 3))
      assert.deepEqual(ids(catalogue.backups({ vault: 'main' })), ['a', 'b', 'c'])
      assert.deepEqual(catalogue.backups({ id: 'a' }), [backup('a', 1)])
      assert.deepEqual(ids(catalogue.backupsPage({ limit: 10, tag: "it's" })), ['b'])
      const places = (limit: number, before?: { at: Date; id: string }): string[] =>
        catalogue.backupsPage({ limit, ...(before && { before }) }).map(({ vault, id }) => `${vault} ${id}`)
      assert.deepEqual(places(2), ['main c', 'second b'])
      assert.deepEqual(places(2, { at: day(2), id: 'second\nb' }), ['main b', 'main a'])
      catalogue.replaceBackups('main', [backup('b', 2)])
      assert.deepEqual(places(9), ['second b', 'main b'])
      catalogue.removeBackups('second', ['b'])
      assert.deepEqual(places(9), ['main b'])
      const board = catalogue.board(day(0)).get('web')
      assert.deepEqual([board?.backups, board?.sourceBytes, board?.storedBytes, board?.sizes], [1, 200, 20, [200]])
    })

    test('the board follows runs and proofs', (t) => {
      const catalogue = open(t, manualClock())
      catalogue.saveRun(run('a', 1))
      catalogue.saveRun(run('b', 2, { status: 'failed' }))
      catalogue.saveRun(run('c', 3, { status: 'running', endedAt: undefined }))
      catalogue.saveBackup(backup('x', 1, { proof: { level: 'V4', at: day(2) } }))
      const figures = catalogue.board(day(0)).get('web')
      assert.deepEqual([figures?.lastRun?.id, figures?.lastGood?.id, figures?.open], ['c', 'a', 'c'])
      assert.deepEqual(figures?.proof, { level: 'V4', at: day(2), backup: 'x' })
      const early = catalogue.board(day(5)).get('web')
      assert.deepEqual([early?.recent, early?.lastGood?.id], [[], 'a'])
    })

    test('usage, small values, and leases that one has at a time', (t) => {
      const catalogue = open(t, manualClock())
      catalogue.saveUsage('main', { at: day(1), bytes: 2 ** 45, objects: 2 })
      catalogue.saveUsage('main', { at: day(2), bytes: 1, objects: 2, free: 3 })
      catalogue.saveUsage('main', { at: day(2), bytes: 4, objects: 5 })
      assert.deepEqual(catalogue.usage('main', day(0)), [
        { at: day(1), bytes: 2 ** 45, objects: 2 },
        { at: day(2), bytes: 4, objects: 5 },
      ])
      catalogue.set('key', 'one')
      catalogue.set('key', 'two')
      assert.deepEqual([catalogue.get('key'), catalogue.get('none')], ['two', undefined])
      const lease = catalogue.lease('job:web')
      assert.ok(lease)
      assert.equal(lease.held(), true)
      assert.equal(catalogue.lease('job:web'), undefined)
      assert.match(catalogue.leaseOwner('job:web') ?? '', new RegExp(`process ${process.pid} `))
      lease.release()
      assert.equal(lease.held(), false)
      assert.ok(catalogue.lease('job:web'))
    })

    test('the ledger has each due time once, and a task that waits keeps the next from coming', (t) => {
      const clock = manualClock(day(1))
      const { service } = open(t, clock)
      const told: string[] = []
      const slot = (n: number) => ({ recurrence: 'web/backup', job: 'web', due: day(n), state: 'queued' as const })
      const make = (n: number, id: string) =>
        service.record(
          [{ ...slot(n), run: id, task: task(id, 'web', day(n), { recurrence: 'web/backup', run: id }) }],
          [{ recurrence: 'web/backup', at: day(n), spec: 'daily' }],
          (one) => told.push(one.id),
        )
      assert.deepEqual(ids(make(1, 'one')), ['one'])
      assert.deepEqual(ids(make(1, 'again')), [])
      assert.deepEqual(ids(make(2, 'two')), [])
      assert.deepEqual(told, ['one'])
      assert.deepEqual(
        service.slots({ job: 'web' }).map(({ due, state, reason }) => [due, state, reason]),
        [
          [day(2), 'skipped', 'the run before it still waits or works'],
          [day(1), 'queued', undefined],
        ],
      )
      assert.deepEqual(service.firstSlot('web/backup'), day(1))
      assert.equal(service.firstSlot('none'), undefined)
      const claim = service.claim([], 60_000)
      assert.equal(claim?.task.id, 'one')
      assert.ok(claim && service.renew(claim, 60_000) && service.finish(claim, 'done'))
      assert.equal(service.finish(claim, 'failed'), false)
      assert.deepEqual(service.slots({ since: day(1) }).at(-1)?.state, 'done')
      assert.deepEqual(service.state('web/backup'), { cursor: day(2), spec: 'daily' })
      service.pause('web/backup', day(9), 'holidays')
      assert.deepEqual([...service.states().values()][0]?.pausedUntil, day(9))
      service.tidy(day(100))
      assert.deepEqual(service.slots({}), [])
    })

    test('a task is claimed by one that may, goes back with a new run, and keeps its sealed options', (t) => {
      const clock = manualClock(day(1))
      const { service } = open(t, clock)
      const options = { backup: 'b', vault: 'main' }
      assert.ok(service.enqueue(task('one', 'web', day(1), { options, labels: ['gpu'] })))
      assert.equal(service.enqueue(task('two', 'web', day(1))), undefined, 'one of a kind')
      assert.ok(service.enqueue(task('three', 'db', day(1))))
      assert.ok(service.enqueue(task('later', 'mail', day(2))))
      assert.equal(
        service.claim([], 1000, ({ job }) => job !== 'db'),
        undefined,
      )
      const claim = service.claim(['gpu'], 1000)
      assert.deepEqual(claim?.task.options, options)
      assert.deepEqual(ids(service.tasks('claimed')), ['one'])
      const told: string[] = []
      const failing = (): void => {
        throw new Error('its run cannot be written')
      }
      assert.ok(claim)
      assert.throws(() => service.release(claim, 'a new run', day(1), failing), /cannot be written/)
      assert.deepEqual(ids(service.tasks('claimed')), ['one'], 'all or nothing')
      assert.ok(service.release(claim, 'a new run', day(1), ({ run: of, attempt }) => told.push(`${of} ${attempt}`)))
      assert.equal(
        service.release(claim, 'another', day(1), () => told.push('never')),
        false,
      )
      assert.deepEqual(told, ['a new run 2'])
      assert.equal(service.renew(claim, 1000), false)
      const again = service.claim(['gpu'], 1000)
      assert.deepEqual([again?.task.run, again?.task.attempt], ['a new run', 2])
      assert.deepEqual(service.abandoned(), [])
      assert.equal(service.withdraw('run of later', 'not wanted'), true)
      assert.equal(service.withdraw('run of later', 'not wanted'), false)
      service.add({ name: 'x', job: 'web', kind: 'backup', schedule: { everyMs: 5 }, origin: 'added' })
      assert.deepEqual(
        service.added().map(({ name: of }) => of),
        ['x'],
      )
      assert.deepEqual([service.removeAdded('x'), service.removeAdded('x')], [true, false])
    })

    test('incidents open once, count, and end', (t) => {
      const { incidents } = open(t, manualClock())
      const finding = { kind: 'failure' as const, job: 'web', vault: 'main', message: 'it failed', run: 'r1' }
      const [opened] = incidents.review('web', [finding]).opened
      assert.ok(opened)
      assert.deepEqual(incidents.review('web', [{ ...finding, run: 'r2' }]), { opened: [], closed: [] })
      assert.equal(incidents.find(opened.id.slice(0, 8))?.count, 2)
      incidents.acknowledge(opened.id, 'ana')
      incidents.snooze(opened.id, day(9))
      incidents.told(opened.id)
      assert.deepEqual(
        [incidents.find(opened.id)?.acknowledgedBy, incidents.find(opened.id)?.snoozedUntil],
        ['ana', day(9)],
      )
      assert.equal(incidents.review('web', []).closed.length, 1)
      assert.deepEqual([incidents.list({ open: true }), incidents.list({ job: 'web' }).length], [[], 1])
    })

    test('accounts, sessions, tokens and attempts', (t) => {
      const { access } = open(t, manualClock()).server
      const ada = newUser('Ada', 'admin', day(1), 'a hash')
      assert.deepEqual([access.saveFirstUser(ada), access.saveFirstUser(newUser('b', 'admin', day(1)))], [true, false])
      assert.deepEqual(access.userNamed('aDA'), ada)
      assert.throws(() => access.saveUser(newUser('ADA', 'viewer', day(1))), 'a name is one account')
      access.saveUser({ ...ada, subject: 'issuer 1', disabled: true })
      assert.equal(access.userOfSubject('issuer 1')?.disabled, true)
      access.userSeen(ada.id, day(2))
      const session = {
        hash: 'h',
        user: ada.id,
        createdAt: day(1),
        seenAt: day(1),
        expiresAt: day(9),
        agent: '',
        address: '',
      }
      access.saveSession(session)
      access.saveSession({ ...session, seenAt: day(2) })
      access.saveSession({ ...session, hash: 'i' })
      assert.deepEqual(access.session('h')?.seenAt, day(2))
      access.removeSessions(ada.id, { but: 'i' })
      assert.deepEqual(
        access.sessions(ada.id).map(({ hash }) => hash),
        ['i'],
      )
      const { token } = newToken(ada, { name: 't', scopes: ['read', 'operate'] }, day(1))
      access.saveToken(token)
      access.tokenUsed(token.id, day(3))
      assert.deepEqual(access.tokenOfHash(token.hash), { ...token, usedAt: day(3) })
      assert.equal(access.tokens(ada.id).length, 1)
      for (let n = 0; n < 3; n += 1) access.attempt('pair', day(1))
      access.withdrawAttempt('pair', day(1))
      assert.equal(access.attempts('pair', day(0)).length, 2)
      access.tidy(day(99), day(99))
      assert.deepEqual([access.attempts('pair', day(0)), access.session('i')], [[], undefined])
      access.removeUser(ada.id)
      assert.deepEqual([access.users(), access.tokens()], [[], []], 'with what is its own')
    })

    test('definitions change by version, and each change is known; answers are kept as they were', (t) => {
      const { definitions, answers } = open(t, manualClock()).server
      const start = definitions.revision()
      assert.equal(definitions.save('job', 'web', { a: 1 }), true)
      assert.equal(definitions.save('job', 'web', { a: 2 }), false)
      assert.equal(definitions.save('job', 'web', { a: 2 }, 7), false)
      assert.equal(definitions.save('job', 'web', { a: 3 }, 1), true)
      assert.deepEqual([definitions.get('job', 'web')?.body, definitions.get('job', 'web')?.version], [{ a: 3 }, 2])
      assert.equal(definitions.revision(), start + 2)
      assert.deepEqual([definitions.remove('job', 'web'), definitions.remove('job', 'web')], [true, false])
      const answer = { request: 'r', status: 201, body: '{}', headers: { etag: '"x"' } }
      answers.save('ada', 'k', answer)
      answers.save('ada', 'k', { ...answer, status: 500 })
      assert.deepEqual(answers.get('ada', 'k'), answer)
      answers.tidy(new Date(8e15))
      assert.equal(answers.get('ada', 'k'), undefined)
    })

    test('what changed is told in its order; progress only as its newest', (t) => {
      const catalogue = open(t, manualClock())
      const { events, definitions } = catalogue.server
      const start = events.newest()
      const going = run('a', 1, { status: 'running', endedAt: undefined })
      catalogue.saveRun(going)
      for (let n = 0; n < 3; n += 1)
        catalogue.saveRun({ ...going, counters: { filesDone: n, bytesDone: 0, bytesStored: 0, current: '' } })
      catalogue.saveRun({ ...going, stages: [{ stage: 'backup', status: 'running', startedAt: day(1) }] })
      catalogue.saveRun(run('a', 1))
      catalogue.saveBackup(backup('x', 1))
      catalogue.saveBackup(backup('x', 1))
      catalogue.removeBackups('main', ['x'])
      catalogue.saveUsage('main', { at: day(1), bytes: 1, objects: 1 })
      definitions.save('job', 'web', {})
      catalogue.service.pause('web/backup', day(9))
      const [opened] = catalogue.incidents.review('web', [{ kind: 'failure', job: 'web', message: 'x' }]).opened
      const id = opened?.id ?? ''
      catalogue.incidents.review('web', [])
      assert.deepEqual(
        events.after(start, 100).map(({ type, key }) => `${type} ${key}`),
        [
          'run.created a',
          'run.progress a',
          'run.stage a',
          'run.finished a',
          'backup.added main\nx',
          'backup.removed main\nx',
        ]
          .concat([
            'vault.changed main',
            'job.changed web',
            'job.changed web/',
            `alert.opened ${id}`,
            `alert.closed ${id}`,
          ])
          .filter(
            (one) => one !== 'run.progress a' || events.after(start, 100).some(({ type }) => type === 'run.progress'),
          ),
      )
      assert.equal(events.newest(), events.after(start, 100).at(-1)?.id)
      events.tidy(2)
      assert.equal(events.after(0, 100).length, 2)
    })

    test('the audit log is a chain that only grows', (t) => {
      const { audit } = open(t, manualClock()).server
      for (let n = 0; n < 3; n += 1)
        audit.append({
          at: day(n),
          actor: 'ada',
          action: `job.run`,
          object: `${n}`,
          detail: { n, odd: '\0' },
          address: '::1',
        })
      assert.deepEqual(audit.check(), { ok: true, entries: 3 })
      assert.deepEqual(
        audit.list({ limit: 2, actor: 'ada', action: 'job' }).map(({ id }) => id),
        [3, 2],
      )
      assert.deepEqual(
        audit.list({ limit: 9, before: 2 }).map(({ object }) => object),
        ['0'],
      )
      assert.deepEqual(audit.list({ limit: 9, action: 'user' }), [])
    })
  })
}

promises('driver:catalogue-sqlite', undefined, (t, clock) => {
  const dir = join(scratch(t, 'catalogue'), 'state')
  mkdirSync(dir)
  const catalogue = sqliteCatalogue(join(dir, 'catalogue.db'), clock)
  t.after(() => catalogue.close())
  return catalogue
})

let server: PostgresServer | undefined
before(async () => {
  if (noPostgres === undefined) server = await startPostgres()
})
after(async () => server?.stop())

const postgres = (): PostgresServer => {
  if (server === undefined) throw new Error('PostgreSQL was not started')
  return server
}

promises('driver:catalogue-postgres', noPostgres, (t, clock) => catalogueInPostgres(t, postgres(), clock))

test(
  'driver:catalogue-postgres two machines with different keys: the second is told before it stores anything',
  { skip: noPostgres ?? false },
  (t) => {
    const dir = scratch(t, 'keys')
    const url = catalogueUrl(postgres())
    const one = postgresCatalogue(url, manualClock(), join(dir, 'one.key'))
    const two = postgresCatalogue(url, manualClock(), join(dir, 'two.key'))
    t.after(() => {
      one.close()
      two.close()
    })
    one.server.definitions.save('job', 'web', { a: 1 })
    assert.throws(
      () => two.server.definitions.save('job', 'other', { a: 1 }),
      (error) => isAppError(error, 'catalogue.failed') && /server\.keyFile/.test(error.hint),
    )
    assert.equal(two.run('none'), undefined, 'what needs no key works')
  },
)

test(
  'driver:catalogue-postgres a transaction whose connection breaks is stored not at all; otherwise the next question connects anew',
  { skip: noPostgres ?? false },
  (t) => {
    const catalogue = catalogueInPostgres(t, postgres(), manualClock())
    const kill = (): void =>
      void postgres().sql(
        'postgres',
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holdfast'`,
      )
    catalogue.saveRun(run('before', 1))
    kill()
    assert.equal(catalogue.run('before')?.id, 'before')
    const due = day(1)
    const slot = { recurrence: 'r', job: 'web', due, state: 'queued' as const }
    assert.throws(() =>
      catalogue.service.record(
        [
          { ...slot, run: 'x', task: task('x', 'web', due) },
          { ...slot, recurrence: 's', run: 'y', task: task('y', 'web', due) },
        ],
        [],
        () => kill(),
      ),
    )
    assert.deepEqual([catalogue.service.slots({}), catalogue.service.tasks()], [[], []])
    assert.equal(catalogue.run('before')?.id, 'before')
  },
)
