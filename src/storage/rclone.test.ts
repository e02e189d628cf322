import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { noSshd, startSshd } from '../../test/servers/sshd.ts'
import { noRclone } from '../../test/servers/webdav.ts'
import { utf8 } from '../base/bytes.ts'
import { isAppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import { listAll } from '../operations/storage-promises.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { openStorage } from './open.ts'
import { rclone } from './rclone.ts'

const base = mkdtempSync(join(tmpdir(), 'holdfast-rclone-'))
after(() => rmSync(base, { recursive: true, force: true }))
const folder = (): string => join(base, randomBytes(6).toString('hex'))
const retry = { attempts: 1, baseMs: 1, maxMs: 1 }

const shared = `:local:${folder()}`
storageSuite('driver:rclone', {
  unavailable: noRclone,
  open: () => rclone({ remote: shared }),
  manyKeys: 203,
  // Its rclone goes on for a moment, and removes what it could not finish.
  child: () => ({
    module: join(import.meta.dirname, 'open.ts'),
    call: 'openStorage',
    args: [`rclone:${shared}`],
    cleansUp: true,
  }),
})

storageSuite('driver:rclone-memory', {
  unavailable: noRclone,
  open: () => rclone({ remote: ':memory:bucket' }),
  manyKeys: 203,
  except: {
    'flat-memory': 'it keeps its objects in memory',
    'racing-writers': 'the memory storage of rclone is not made for several at once',
  },
})

/** The processes that this one started, by name. */
function children(name: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      return stat.includes(`(${name})`) && stat.split(') ')[1]?.split(' ')[1] === String(process.pid)
    } catch {
      return false
    }
  })
}

test(
  'driver:rclone: its program is started at the first call, has no secret in its arguments, and ends with the storage',
  { skip: noRclone },
  async () => {
    const before = children('rclone').length
    const storage = rclone({ remote: `:local:${folder()}` }, { retry })
    assert.equal(children('rclone').length, before)
    await storage.put('a', utf8('x'))
    const [pid = ''] = children('rclone').slice(before)
    const [args, environment] = ['cmdline', 'environ'].map((file) => readFileSync(`/proc/${pid}/${file}`, 'utf8'))
    const password = /RCLONE_RC_PASS=([^\0]+)/.exec(environment ?? '')?.[1] ?? assert.fail()
    assert.ok(!args?.includes(password))
    await storage.close()
    assert.equal(children('rclone').length, before)
  },
)

test('driver:rclone: a program that dies is started again, and the work goes on', { skip: noRclone }, async () => {
  const storage = rclone({ remote: `:local:${folder()}` }, { retry: { attempts: 4, baseMs: 10, maxMs: 100 } })
  const before = children('rclone').length
  await storage.put('a', utf8('x'))
  const bytes = randomBytes(5_000_000)
  async function* killing() {
    yield bytes.subarray(0, 2_000_000)
    for (const pid of children('rclone').slice(before)) process.kill(Number(pid), 'SIGKILL')
    yield bytes.subarray(2_000_000)
  }
  await storage.put('b', killing())
  assert.ok(Buffer.from(await collect(storage.get('b'))).equals(bytes))
  await storage.close()
})

test(
  'driver:rclone: remotes of a configuration work, encrypted ones too; unknown ones and a missing program are told',
  { skip: noRclone },
  async () => {
    const data = folder()
    mkdirSync(data)
    const config = join(base, 'rclone.conf')
    // `password` is rclone's obscured form of `crypt-password`.
    const { execFileSync } = await import('node:child_process')
    const obscured = execFileSync('rclone', ['obscure', 'crypt-password'], { encoding: 'utf8' }).trim()
    writeFileSync(config, `[secret]\ntype = crypt\nremote = ${data}\npassword = ${obscured}\n`, { mode: 0o600 })
    const storage = await openStorage(`rclone:secret:backups?config=${config}`)
    await storage.put('deep/er', streamOf(utf8('in the clear')))
    assert.equal(Buffer.from(await collect(storage.get('deep/er'))).toString(), 'in the clear')
    assert.deepEqual(
      (await listAll(storage, '')).map(({ key, size }) => [key, size]),
      [['deep/er', 12]],
    )
    await storage.close()
    assert.ok(!readdirSync(data, { recursive: true }).some((name) => String(name).includes('deep')))
    for (const [settings, code] of [
      [{ remote: 'nobody-knows:x' }, 'storage.invalid'],
      [{ remote: 'x:', program: '/nonexistent/rclone' }, 'storage.unsupported'],
    ] as const) {
      const wrong = rclone(settings, { retry })
      await assert.rejects(wrong.put('a', utf8('x')), (error) => isAppError(error, code))
      await wrong.close()
    }
  },
)

test('driver:rclone: calls that meet a dead program together start one in its place', { skip: noRclone }, async () => {
  const before = children('rclone').length
  const storage = rclone({ remote: `:local:${folder()}` }, { retry: { attempts: 4, baseMs: 10, maxMs: 100 } })
  await storage.put('a', utf8('x'))
  for (let round = 0; round < 3; round += 1) {
    const [pid = ''] = children('rclone').slice(before)
    process.kill(Number(pid), 'SIGKILL')
    while (children('rclone').slice(before).includes(pid)) await new Promise((resolve) => setTimeout(resolve, 5))
    await Promise.all(Array.from({ length: 8 }, (_, i) => storage.put(`b${i}`, utf8('x'))))
    assert.equal(children('rclone').length, before + 1)
  }
  await storage.close()
  assert.equal(children('rclone').length, before)
})

test('driver:rclone: no word of an error has the password of the remote', { skip: noRclone }, async (t) => {
  const { execFileSync } = await import('node:child_process')
  const password = execFileSync('rclone', ['obscure', 'a-password'], { encoding: 'utf8' }).trim()
  t.after(() => delete process.env['RCLONE_LOW_LEVEL_RETRIES'])
  process.env['RCLONE_LOW_LEVEL_RETRIES'] = '1'
  for (const remote of [
    `:webdav,url='http://127.0.0.1:1/',user=me,pass='${password}':x`,
    `:webdav,url='http://127.0.0.1:1/',bearer_token='pass,wo:rd-secret':b`,
    `:no-such-backend,pass=${password}:x`,
  ]) {
    const storage = rclone({ remote }, { retry })
    const errors: unknown[] = []
    for (const work of [() => storage.stat('a'), () => storage.can.space?.()])
      await Promise.resolve(work()).catch((error: unknown) => errors.push(error))
    await storage.close()
    assert.equal(errors.length, 2, remote)
    const told = inspect(errors, { depth: 8 }) + storage.name
    assert.ok(!told.includes(password) && !told.includes('rd-secret'), told)
  }
})

test(
  'driver:rclone: what replaces an object of the same length within a second is stored, where times are whole seconds',
  { skip: noRclone ?? noSshd },
  async () => {
    const server = await startSshd()
    const { port, user, root } = { ...server.settings, ...server }
    const remote = `:sftp,host=127.0.0.1,port=${port},user=${user ?? 'root'},key_file=${join(server.keys, 'user')}:${root}`
    const storage = rclone({ remote }, { retry })
    try {
      for (const text of ['first', 'other', 'third']) {
        await storage.put('a', utf8(text))
        assert.equal(Buffer.from(await collect(storage.get('a'))).toString(), text)
      }
    } finally {
      await storage.close()
      await server.stop()
    }
  },
)

test('driver:rclone: an object that others remove while it is replaced is stored', { skip: noRclone }, async () => {
  const storage = rclone({ remote: shared }, { retry: { attempts: 6, baseMs: 1, maxMs: 20 } })
  const until = Date.now() + 1500
  const last = await Promise.all(
    [0, 1, 2].map(async (writer) => {
      let text = ''
      for (let round = 0; Date.now() < until; round += 1) {
        await storage.put('raced', utf8((text = `round ${round} of ${writer}`)))
        if (Math.random() < 0.5) await storage.remove('raced')
      }
      return text
    }),
  )
  assert.ok(!last.includes(''))
  await storage.put('raced', utf8('last'))
  assert.equal(Buffer.from(await collect(storage.get('raced'))).toString(), 'last')
  await storage.close()
})
