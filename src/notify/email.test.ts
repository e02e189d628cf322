import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { sampleReport } from '../../test/support/sample-report.ts'
import { TEST_CERTIFICATE, TEST_KEY } from '../../test/support/localhost-certificate.ts'
import { isAppError, type AppError } from '../base/errors.ts'
import { literalSecret } from '../model/secret.ts'
import type { EmailSettings } from '../model/settings.ts'
import { composeNotification, testNotification } from './compose.ts'
import { email } from './email.ts'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-mail-'))
const ca = join(folder, 'ca.pem')
await writeFile(ca, TEST_CERTIFICATE)
after(() => rm(folder, { recursive: true }))

const PASSWORD = 'm4il-pass/word+'

interface Mail {
  from: string
  to: string[]
  secure: boolean
  user: string | undefined
  text: string
}

/** A real mail server; `mails` gets what it accepts. */
async function mailServer(options: SMTPServerOptions = {}): Promise<{ port: number; mails: Mail[] } & AsyncDisposable> {
  const mails: Mail[] = []
  const server = new SMTPServer({
    key: TEST_KEY,
    cert: TEST_CERTIFICATE,
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: ({ username, password }, _session, done) =>
      password === PASSWORD
        ? done(null, { user: username ?? '' })
        : done(new Error(`no entry for ${String(username)}`)),
    onData(stream, { envelope, secure, user }, done) {
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
        const text = Buffer.concat(parts).toString('utf8')
        mails.push({ from, to: envelope.rcptTo.map((one) => one.address), secure, user, text })
        done()
      })
    },
    ...options,
  })
  server.on('error', () => {}) // broken connections are part of the tests
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return { port, mails, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(resolve)) }
}

const settings = (port: number, smtp: Partial<EmailSettings['smtp']> = {}): EmailSettings => ({
  name: 'mail',
  type: 'email',
  on: ['failure'],
  from: 'Holdfast <backup@example.org>',
  to: ['ops@example.org', 'dev@example.org'],
  smtp: { host: 'localhost', port, ...smtp },
})

const note = testNotification('db-1', new Date('2024-03-15T03:00:00Z'))

async function failureOf(work: Promise<void>): Promise<AppError> {
  try {
    await work
  } catch (error) {
    assert.ok(isAppError(error, 'notify.failed'), String(error))
    assert.ok(!`${error.message}${JSON.stringify(error.details)}`.includes(PASSWORD))
    return error
  }
  return assert.fail('the mail should not have been sent')
}

/** Quoted-printable and base64 undone, well enough to look for words. */
const decoded = (mail: string) =>
  mail
    .replaceAll(/=\r\n/g, '')
    .replaceAll(/(?:=[\dA-F]{2})+/g, (bytes) => Buffer.from(bytes.replaceAll('=', ''), 'hex').toString('utf8'))
    .replaceAll(/(?:^[\w+/=]{40,76}\r\n)+/gm, (block) => Buffer.from(block, 'base64').toString('utf8'))

test('a mail says what failed in its subject, in text and in HTML, with the report attached', async () => {
  await using server = await mailServer()
  const mailer = email(settings(server.port))
  await mailer.send(composeNotification(sampleReport(), 'failure'))
  assert.deepEqual([mailer.name, mailer.on], ['mail', ['failure']])
  const [mail] = server.mails
  assert.deepEqual([mail?.from, mail?.to], ['backup@example.org', ['ops@example.org', 'dev@example.org']])
  const text = decoded(mail?.text ?? '')
  assert.match(text, /^Subject: Holdfast: 1 of 5 backups failed: uploads \(storage\.denied\) on\s+db-1\.example\.org/m)
  assert.match(text, /^Content-Type: text\/plain/m)
  assert.match(text, /✕ uploads → offsite: failed/)
  assert.match(text, /filename=holdfast-report-2024-03-15T03-13-27\.html/)
  assert.match(text, /<!doctype html>.*<h1>1 of 5 backups failed: uploads<\/h1>/s)
  assert.match(text, /^Auto-Submitted: auto-generated/m)
})

test('it logs in with the user and the password', async () => {
  await using server = await mailServer({ authOptional: false })
  const password = literalSecret(PASSWORD, 'test')
  await email(settings(server.port, { user: 'backup', password })).send(note)
  assert.equal(server.mails[0]?.user, 'backup')
})

test('a wrong password gives the answer of the server, and is not tried again', async () => {
  await using server = await mailServer({ authOptional: false })
  const password = literalSecret(`${PASSWORD}wrong`, 'test')
  const error = await failureOf(email(settings(server.port, { user: 'backup', password })).send(note))
  assert.match(error.message, /localhost:\d+: 535 .*no entry for backup/)
  assert.match(error.hint, /smtp\.user/)
  assert.equal(error.retryable, false)
})

test('a self-signed certificate is refused, unless its authority is given', async () => {
  await using server = await mailServer({ disabledCommands: [] })
  const error = await failureOf(email(settings(server.port)).send(note))
  assert.match(error.message, /self[- ]signed certificate/)
  assert.match(error.hint, /smtp\.ca/)
  assert.equal(server.mails.length, 0)
  await email(settings(server.port, { ca })).send(note)
  assert.equal(server.mails[0]?.secure, true)
})

test('TLS from the first byte works alike', async () => {
  await using server = await mailServer({ secure: true })
  await failureOf(email(settings(server.port, { secure: true })).send(note))
  await email(settings(server.port, { secure: true, ca })).send(note)
  assert.equal(server.mails[0]?.secure, true)
  const missing = await failureOf(email(settings(server.port, { secure: true, ca: join(folder, 'none') })).send(note))
  assert.match(missing.message, /cannot read the certificate authority/)
})

test('a server without TLS gets neither the password nor the mail where TLS is required', async () => {
  let logins = 0
  await using server = await mailServer({
    onAuth: (_auth, _session, done) => done(new Error(`login ${(logins += 1)}`)),
  })
  const password = literalSecret(PASSWORD, 'test')
  const error = await failureOf(email(settings(server.port, { requireTls: true, user: 'backup', password })).send(note))
  assert.match(error.hint, /requireTls/)
  assert.deepEqual([logins, server.mails.length], [0, 0])
})

test('a refused sender or recipient gives the answer of the server', async () => {
  await using server = await mailServer({
    onRcptTo: ({ address }, _session, done) =>
      address.startsWith('dev') ? done(Object.assign(new Error('no such user'), { responseCode: 550 })) : done(),
  })
  const some = await failureOf(email(settings(server.port)).send(note))
  assert.match(some.message, /refused some recipients: dev@example\.org; the others got the mail/)
  assert.equal(some.retryable, false)
  assert.deepEqual(server.mails[0]?.to, ['ops@example.org'])

  await using closed = await mailServer({
    onMailFrom: (_address, _session, done) => done(Object.assign(new Error('try later'), { responseCode: 451 })),
  })
  const later = await failureOf(email(settings(closed.port)).send(note))
  assert.match(later.message, /451 try later/)
  assert.equal(later.retryable, true)
})

async function silentServer(greeting: string): Promise<{ port: number } & AsyncDisposable> {
  const open = new Set<{ destroy(): void }>()
  const server: Server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.write(greeting)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a server that hangs, before its greeting or after, is given up in time', async () => {
  for (const greeting of ['', '220 hello\r\n']) {
    await using server = await silentServer(greeting)
    const started = performance.now()
    const error = await failureOf(email(settings(server.port, { timeoutMs: 200 })).send(note))
    assert.match(error.message, /never received|time|no end/i)
    assert.equal(error.retryable, true)
    assert.ok(performance.now() - started < 3000)
  }
})

test('a server that is not there is told with its address', async () => {
  const server = await silentServer('')
  await server[Symbol.asyncDispose]()
  const error = await failureOf(email(settings(server.port)).send(note))
  assert.match(error.message, new RegExp(`localhost:${server.port}: .*ECONNREFUSED`))
})

test('sending ends when it is cancelled', async () => {
  await using server = await silentServer('')
  const signal = AbortSignal.timeout(50)
  await assert.rejects(email(settings(server.port)).send(note, { signal }), (error) =>
    isAppError(error, 'run.cancelled'),
  )
})

test('a text that looks like a header or an address stays text', async () => {
  await using server = await mailServer()
  const title = 'Holdfast: x\r\nBcc: victim@example.org'
  await email(settings(server.port)).send({ ...note, title, text: '/etc/passwd' })
  assert.ok(!/^Bcc:/m.test(server.mails[0]?.text ?? ''))
  assert.deepEqual(server.mails[0]?.to, ['ops@example.org', 'dev@example.org'])
})
