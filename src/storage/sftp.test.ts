import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { plain } from '../../test/servers/s3-servers.ts'
import { noSshd, startSshd, type SshServer } from '../../test/servers/sshd.ts'
import { utf8, type Bytes } from '../base/bytes.ts'
import { isAppError, type AppError } from '../base/errors.ts'
import { collect, streamOf } from '../base/streams.ts'
import type { SftpStorageSettings } from '../model/settings.ts'
import { STORAGE_STRESS } from '../testing/storage-stress.ts'
import { storageSuite } from '../testing/storage-suite.ts'
import { openStorage } from './open.ts'
import { sftp } from './sftp.ts'
import { fingerprint, knownHosts } from './sftp/host-keys.ts'

const retry = { attempts: 5, baseMs: 50, maxMs: 500 }
const MiB = 1024 * 1024

let shared: SshServer | undefined
storageSuite('driver:sftp', {
  unavailable: noSshd,
  open: async () => sftp((shared = await startSshd()).settings, { retry }),
  close: () => shared?.stop(),
  // Folders come in answers of a hundred names: these have 110.
  manyKeys: 770,
  child: () => ({ module: join(import.meta.dirname, 'open.ts'), call: 'openStorage', args: [shared?.url] }),
})

describe('driver:sftp as a user meets it', { skip: noSshd }, () => {
  let server: SshServer
  before(async () => {
    server = await startSshd()
  })
  after(() => server.stop())

  async function failureOf(more: Partial<SftpStorageSettings>): Promise<AppError> {
    const storage = sftp({ ...server.settings, ...more }, { retry: { ...retry, attempts: 1 } })
    try {
      await storage.stat('a')
    } catch (error) {
      assert.ok(isAppError(error))
      return error
    } finally {
      await storage.close()
    }
    return assert.fail('it logged in')
  }

  async function works(more: Partial<SftpStorageSettings>): Promise<void> {
    const storage = sftp({ ...server.settings, ...more }, { retry })
    await storage.put('works', utf8('x'))
    await storage.close()
  }

  test('driver:sftp: keys of either kind log in, an agent too, and a key that the server does not know is storage.denied', async () => {
    await works({ privateKey: plain(readFileSync(join(server.keys, 'user-rsa'), 'utf8')) })
    const socket = join(server.keys, 'agent')
    const agent = spawn('ssh-agent', ['-D', '-a', socket])
    try {
      for (let i = 0; i < 100 && !readdirSync(server.keys).includes('agent'); i += 1)
        await new Promise((resolve) => setTimeout(resolve, 20))
      spawnSync('ssh-add', ['-q', join(server.keys, 'user')], { env: { ...process.env, SSH_AUTH_SOCK: socket } })
      await works({ privateKey: undefined, agent: socket })
    } finally {
      const gone = once(agent, 'exit')
      agent.kill()
      await gone
    }
    const stranger = plain(readFileSync(join(server.keys, 'host'), 'utf8'))
    assert.equal((await failureOf({ privateKey: stranger })).code, 'storage.denied')
    assert.equal((await failureOf({ privateKey: plain('no key') })).code, 'storage.invalid')
    assert.equal((await failureOf({ privateKey: undefined, password: plain('wrong-password') })).code, 'storage.denied')
  })

  test('driver:sftp: a server that is not known, or has another key, is refused before any login; told otherwise it is taken', async () => {
    const empty = join(server.keys, 'empty')
    writeFileSync(empty, '')
    const unknown = await failureOf({ knownHosts: empty })
    assert.equal(unknown.code, 'storage.denied')
    const shown = /hostKey: "(SHA256:[\w+/]+)"/.exec(unknown.hint)?.[1] ?? assert.fail(unknown.hint)
    const wrong = join(server.keys, 'wrong')
    const [type = '', key = ''] = readFileSync(join(server.keys, 'user.pub'), 'utf8').split(' ')
    writeFileSync(wrong, `[127.0.0.1]:${server.port} ${type} ${key}\n`)
    const changed = await failureOf({ knownHosts: wrong })
    assert.match(changed.message, /has changed/)
    assert.equal((await failureOf({ hostKey: fingerprint(Buffer.from(key, 'base64')) })).code, 'storage.denied')
    await works({ knownHosts: empty, hostKey: shown })
    await works({ knownHosts: empty, verifyHost: false })
  })

  test('driver:sftp: a port where nothing listens is storage.unreachable', async () => {
    assert.equal((await failureOf({ port: 1 })).code, 'storage.unreachable')
  })

  test('driver:sftp: a folder that may not be written is storage.denied or unusable, and says where', async () => {
    const storage = sftp({ ...server.settings, path: '/proc/nothing' }, { retry: { ...retry, attempts: 1 } })
    await assert.rejects(
      storage.put('a', utf8('x')),
      (error) => isAppError(error) && error.message.includes('/proc/nothing'),
    )
    await storage.close()
  })

  test('driver:sftp: connections that are cut in the middle of a stream are replaced, and the stream is stored whole', async () => {
    const storage = sftp({ ...server.settings, connections: 2 }, { retry })
    const bytes = randomBytes(24 * MiB)
    async function* cutting(): AsyncGenerator<Bytes> {
      for (let at = 0; at < bytes.length; at += MiB) {
        if (at === 7 * MiB || at === 15 * MiB) server.cut()
        yield bytes.subarray(at, at + MiB)
      }
    }
    await storage.put('cut', cutting())
    assert.ok(Buffer.from(await collect(storage.get('cut'))).equals(bytes))
    assert.ok(readFileSync(join(server.root, 'cut')).equals(bytes))
    await storage.close()
  })

  test('driver:sftp: with retries a get goes on where its connection was cut', async () => {
    const storage = await openStorage(server.settings, { retry })
    const bytes = randomBytes(24 * MiB)
    await storage.put('read', bytes)
    const got: Bytes[] = []
    let length = 0
    for await (const chunk of storage.get('read')) {
      got.push(chunk)
      length += chunk.length
      if (length > 8 * MiB && length < 8.3 * MiB) server.cut()
    }
    assert.ok(Buffer.concat(got).equals(bytes))
    await storage.close()
  })

  test('driver:sftp: a put of the same size within the same second changes the etag', async () => {
    const storage = sftp(server.settings, { retry })
    const etags = new Set<string | undefined>()
    for (const word of ['one', 'two', 'six', 'ten']) etags.add((await storage.put('same', utf8(word))).etag)
    assert.equal(etags.size, 4)
    assert.equal((await storage.stat('same'))?.etag, [...etags].at(-1))
    await storage.close()
  })

  test('driver:sftp: files have the modes asked for; no temporary file is left', async () => {
    const path = join(server.root, 'modes')
    const storage = sftp({ ...server.settings, path, permissions: 0o640, directoryPermissions: 0o750 }, { retry })
    await storage.put('a/b', streamOf(utf8('x')), { ifAbsent: true })
    await assert.rejects(storage.put('a/b', utf8('y'), { ifAbsent: true }))
    assert.deepEqual([statSync(join(path, 'a/b')).mode & 0o777, statSync(join(path, 'a')).mode & 0o777], [0o640, 0o750])
    assert.deepEqual(readdirSync(join(path, 'a')), ['b'])
    assert.ok(((await storage.can.space?.())?.free ?? 0) > 0)
    await storage.close()
  })
})

test(
  'driver:sftp: on a server without extensions objects are replaced and created too, and it says that others may come between',
  { skip: noSshd },
  async () => {
    const server = await startSshd({ without: ['posix-rename', 'hardlink', 'fsync', 'statvfs', 'limits'] })
    const storage = sftp(server.settings, { retry })
    try {
      await storage.put('a', utf8('one'))
      await storage.put('a', utf8('two'))
      assert.equal(Buffer.from(await collect(storage.get('a'))).toString(), 'two')
      await storage.put('b', utf8('one'), { ifAbsent: true })
      assert.equal(storage.can.conditionalCreate, false)
      await assert.rejects(storage.put('b', utf8('two'), { ifAbsent: true }), (error) =>
        isAppError(error, 'storage.exists'),
      )
      assert.equal(await storage.can.space?.(), undefined)
      const bytes = randomBytes(3 * MiB)
      await storage.put('c', streamOf(bytes))
      assert.ok(Buffer.from(await collect(storage.get('c'))).equals(bytes))
      assert.deepEqual(readdirSync(server.root).sort(), ['a', 'b', 'c'])
    } finally {
      await storage.close()
      await server.stop()
    }
  },
)

test(
  'driver:sftp: without extensions, an object that is replaced while answers are lost is old or new, and never gone',
  { skip: noSshd },
  async () => {
    const server = await startSshd({ without: ['posix-rename', 'hardlink'], losing: true })
    const storage = sftp(server.settings, { retry })
    const once = sftp(server.settings, { retry: { ...retry, attempts: 1 } })
    const now = async (key: string): Promise<string> => Buffer.from(await collect(storage.get(key))).toString()
    try {
      await storage.put('a', utf8('old'))
      for (const [round, kind] of [18, 13].entries()) {
        server.loseAnswerTo(kind)
        const word = `new ${round}`
        await storage.put('a', utf8(word))
        assert.equal(await now('a'), word)
        // Without a second try.
        server.loseAnswerTo(kind)
        await once.put('a', utf8(`${word} again`)).catch(() => undefined)
        assert.ok([word, `${word} again`].includes(await now('a')))
        assert.ok((await storage.stat('a')) !== undefined)
      }
      await storage.put('a', utf8('last'))
      assert.equal(await now('a'), 'last')
      await storage.sweep(new Date(Date.now() + 60_000))
      assert.deepEqual(readdirSync(server.root), ['a'])
      assert.equal(await now('a'), 'last')
    } finally {
      await storage.close()
      await once.close()
      await server.stop()
    }
  },
)

test(
  'driver:sftp: without extensions, an object that others remove while it is replaced is stored',
  { skip: noSshd },
  async () => {
    const server = await startSshd({ without: ['posix-rename', 'hardlink'] })
    const storage = sftp(server.settings, { retry })
    const race = STORAGE_STRESS.find(({ name }) => name === 'racing-removals') ?? assert.fail()
    try {
      for (let round = 0; round < 4; round += 1) await race.check({ storage, prefix: `${round}/` })
    } finally {
      await storage.close()
      await server.stop()
    }
  },
)

test('driver:sftp: keys that are exchanged anew in the middle of a stream are used', { skip: noSshd }, async () => {
  const server = await startSshd({ more: ['RekeyLimit 1M'] })
  const storage = sftp(server.settings, { retry: { ...retry, attempts: 1 } })
  try {
    const bytes = randomBytes(9 * MiB)
    await storage.put('a', streamOf(bytes))
    assert.ok(Buffer.from(await collect(storage.get('a'))).equals(bytes))
  } finally {
    await storage.close()
    await server.stop()
  }
})

test('known hosts: names, ports, patterns, negations, hashes, several keys, revoked ones', () => {
  const [one, two] = ['ssh-ed25519', 'ssh-rsa'].map((type) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(type.length)
    return Buffer.concat([length, Buffer.from(type), randomBytes(32)])
  })
  if (one === undefined || two === undefined) return assert.fail()
  const line = (names: string, key: Buffer): string => `${names} x ${key.toString('base64')}\n`
  const state = (text: string, host = 'example.org', port = 22, key = one): string =>
    knownHosts(text, host, port).check(key)
  assert.equal(state(line('example.org', one)), 'known')
  assert.equal(state(line('EXAMPLE.org,10.0.0.1', one), 'Example.ORG'), 'known')
  assert.equal(state(line('example.org', one), 'example.org', 2222), 'unknown')
  assert.equal(state(line('[example.org]:2222', one), 'example.org', 2222), 'known')
  assert.equal(state(line('*.org', one)), 'known')
  assert.equal(state(line('*.org,!example.org', one)), 'unknown')
  assert.equal(state(line('exampleXorg', one)), 'unknown')
  assert.equal(state(line('example.org', two)), 'changed')
  assert.equal(state(line('example.org', two) + line('example.org', one)), 'known')
  assert.equal(state(line('example.org', one) + line('@revoked *', one)), 'revoked')
  assert.equal(state(line('@cert-authority *', one)), 'unknown')
  // Made by `ssh-keygen -H` of the line `hashed.example x AAAA`.
  const hashed = '|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg='
  assert.equal(state(`# comment\n\n${line(hashed, one)}`, '192.168.1.61'), 'known')
  assert.deepEqual(knownHosts(line('example.org', one) + line('example.org', two), 'example.org', 22).types, [
    'ssh-ed25519',
    'ssh-rsa',
  ])
})
