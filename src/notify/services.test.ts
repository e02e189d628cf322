import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { sampleReport } from '../../test/support/sample-report.ts'
import { scratch } from '../../test/support/holdfast.ts'
import { isAppError } from '../base/errors.ts'
import type { Notification, NotifyEvent } from '../model/notify.ts'
import { literalSecret } from '../model/secret.ts'
import type { ServiceNotifySettings } from '../model/settings.ts'
import { composeNotification, startNotification, testNotification } from './compose.ts'
import { openNotifier } from './open.ts'

interface Got {
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

interface Answer {
  status?: number
  headers?: Record<string, string>
  body?: string
  /** Never answers. */
  hang?: boolean
}

/** A receiver on loopback; answers in turn, the last one again and again. */
async function receiver(t: TestContext, ...answers: Answer[]): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      got.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
      const answer = answers[Math.min(got.length, answers.length) - 1] ?? {}
      if (answer.hang === true) return
      response.writeHead(answer.status ?? 200, answer.headers)
      response.end(answer.body ?? 'ok')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got }
}

const on: NotifyEvent[] = ['failure']
const secret = (text: string): ReturnType<typeof literalSecret> => literalSecret(text, 'the test')
const failure = (): Notification => composeNotification(sampleReport(), 'failure')

async function sent(
  t: TestContext,
  settings: (url: string) => ServiceNotifySettings,
  notification = failure(),
): Promise<Got> {
  const { url, got } = await receiver(t)
  await openNotifier(settings(url)).send(notification)
  assert.equal(got.length, 1)
  return got[0] as Got
}

const parsed = ({ body }: Got): Record<string, unknown> => JSON.parse(body) as Record<string, unknown>

test('Slack gets a text and blocks of at most 3000 characters, in which <, > and & are escaped', async (t) => {
  const text = `a <b> & c\n${'x'.repeat(9000)}`
  const got = await sent(t, (url) => ({ name: 'ops', type: 'slack', on, url: secret(`${url}/services/T/B/x`) }), {
    ...failure(),
    text,
  })
  assert.equal(got.url, '/services/T/B/x')
  assert.match(got.headers['content-type'] ?? '', /^application\/json/)
  const { text: title, blocks } = parsed(got) as {
    text: string
    blocks: { type: string; text: { type: string; text: string } }[]
  }
  assert.match(title, /^Holdfast: .*failed/)
  assert.ok(blocks.every((block) => block.type === 'section' && block.text.type === 'mrkdwn'))
  assert.ok(blocks.every((block) => block.text.text.length <= 3000))
  assert.match(blocks[1]?.text.text ?? '', /a &lt;b&gt; &amp; c/)
})

test('Discord gets an embed within its limits, which mentions nobody', async (t) => {
  const long = { ...failure(), title: '@everyone '.repeat(40), text: 'x'.repeat(9000) }
  const got = await sent(
    t,
    (url) => ({ name: 'ops', type: 'discord', on, url: secret(`${url}/api/webhooks/1/x`) }),
    long,
  )
  const { embeds, allowed_mentions } = parsed(got) as {
    embeds: { title: string; description: string; color: number; timestamp: string }[]
    allowed_mentions: unknown
  }
  assert.ok((embeds[0]?.title.length ?? 999) <= 256 && (embeds[0]?.description.length ?? 9999) <= 4096)
  assert.ok(Number.isInteger(embeds[0]?.color))
  assert.deepEqual(allowed_mentions, { parse: [] })
})

test('Telegram gets sendMessage of the bot, at most 4096 characters', async (t) => {
  const got = await sent(
    t,
    (url) => ({ name: 'ops', type: 'telegram', on, token: secret('1234:abc'), chatId: -1001, url }),
    { ...failure(), text: 'x'.repeat(9000) },
  )
  assert.equal(got.url, '/bot1234:abc/sendMessage')
  const { chat_id, text } = parsed(got) as { chat_id: number; text: string }
  assert.equal(chat_id, -1001)
  assert.ok(text.length <= 4096)
})

test('ntfy and Gotify get title, message and a priority that fits what happened', async (t) => {
  const ntfy = await sent(t, (url) => ({ name: 'n', type: 'ntfy', on, url, topic: 'backups', token: secret('tk_x') }))
  assert.equal(ntfy.headers.authorization, 'Bearer tk_x')
  const published = parsed(ntfy) as { topic: string; title: string; priority: number }
  assert.deepEqual([published.topic, published.priority], ['backups', 4])
  const gotify = await sent(t, (url) => ({ name: 'g', type: 'gotify', on, url: `${url}/`, token: secret('A.x') }))
  assert.equal(gotify.url, '/message')
  assert.equal(gotify.headers['x-gotify-key'], 'A.x')
  assert.equal(parsed(gotify)['priority'], 8)
  const calm = await sent(
    t,
    (url) => ({ name: 'g', type: 'gotify', on, url, token: secret('A.x') }),
    testNotification('h', new Date(0)),
  )
  assert.equal(parsed(calm)['priority'], 2)
})

test('a webhook gets JSON with the runs, signed over time and body, with further headers; or a body of the user', async (t) => {
  const settings = (url: string): ServiceNotifySettings => ({
    name: 'hook',
    type: 'webhook',
    on,
    url: secret(`${url}/in?x=1`),
    secret: secret('shared secret'),
    method: 'PUT',
    headers: { 'X-Team': secret('ops') },
  })
  const got = await sent(t, settings)
  assert.deepEqual([got.method, got.url, got.headers['x-team']], ['PUT', '/in?x=1', 'ops'])
  const [, at, sum] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(got.headers['x-holdfast-signature'])) ?? []
  assert.equal(sum, createHmac('sha256', 'shared secret').update(`${at}.${got.body}`).digest('hex'))
  const { event, runs } = parsed(got) as { event: string; runs: { job: string; status: string }[] }
  assert.equal(event, 'failure')
  assert.deepEqual(runs.find(({ job }) => job === 'uploads')?.status, 'failed')

  const odd = { ...failure(), title: 'a "quoted"\nline' }
  const own = await sent(
    t,
    (url) => ({
      name: 'h',
      type: 'webhook',
      on,
      url: secret(url),
      body: '{"msg": "{title} / {event}", "x": "{unknown}"}',
    }),
    odd,
  )
  assert.deepEqual(parsed(own), { msg: 'a "quoted"\nline / failure', x: '{unknown}' })
})

test('pings tell start, success and failure with the id of the run, and the end of its log as long as the server takes it', async (t) => {
  const { url, got } = await receiver(t, { headers: { 'Ping-Body-Limit': '50' } })
  const log = join(scratch(t), 'run.ndjson')
  writeFileSync(log, `${'early '.repeat(100)}the end of the log`)
  const [run] = sampleReport().runs
  assert.ok(run)
  const runs = [{ ...run, log }]
  const notifier = openNotifier({ name: 'hc', type: 'healthchecks', on, url: secret(`${url}/ping/uuid/`) })
  await notifier.send(startNotification(run, 'h'))
  await notifier.send({ ...failure(), event: 'success', runs })
  await notifier.send({ ...failure(), runs })
  assert.deepEqual(
    got.map((one) => one.url),
    [`/ping/uuid/start?rid=${run.id}`, `/ping/uuid?rid=${run.id}`, `/ping/uuid/fail?rid=${run.id}`],
  )
  assert.equal(Buffer.byteLength(got[1]?.body ?? ''), 50)
  assert.match(got[2]?.body ?? '', /the end of the log$/)

  const coded = await receiver(t)
  const byExit = openNotifier({ name: 'hc', type: 'healthchecks', on, url: secret(coded.url), exitStatus: true })
  const error = { code: 'storage.unreachable', message: 'm', hint: 'h' }
  await byExit.send({ ...failure(), runs: [{ ...run, error }] })
  assert.equal(coded.got[0]?.url, `/13?rid=${run.id}`)
})

test('a collector of OpenTelemetry gets each run as a trace with its stages; what it does not take is a fault', async (t) => {
  const [first, , failed] = sampleReport().runs
  assert.ok(first && failed)
  const at = (s: number): Date => new Date(Date.UTC(2024, 2, 15, 3, 0, s))
  const stages = [
    { stage: 'backup' as const, startedAt: at(0), endedAt: at(5), status: 'success' as const },
    { stage: 'verify' as const, startedAt: at(5), endedAt: at(9), status: 'failed' as const },
  ]
  const key = { 'x-key': secret('k3y') }
  const notification = { ...failure(), runs: [{ ...first, startedAt: at(0), endedAt: at(9), stages }, failed] }
  const got = await sent(t, (url) => ({ name: 'o', type: 'opentelemetry', on, url, headers: key }), notification)
  assert.equal(got.url, '/v1/traces')
  assert.equal(got.headers['x-key'], 'k3y')
  const { resourceSpans } = JSON.parse(got.body) as {
    resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[]
  }
  const spans = resourceSpans[0]?.scopeSpans[0]?.spans ?? []
  const [run, backup, verify, other] = spans
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['backup shop-db', 'backup', 'verify', 'backup uploads'],
  )
  assert.match(`${String(run?.['traceId'])} ${String(run?.['spanId'])}`, /^[0-9a-f]{32} [0-9a-f]{16}$/)
  for (const one of [backup, verify]) {
    assert.equal(one?.['traceId'], run?.['traceId'])
    assert.equal(one?.['parentSpanId'], run?.['spanId'])
  }
  assert.notEqual(other?.['traceId'], run?.['traceId'])
  assert.equal(run?.['startTimeUnixNano'], '1710471600000000000')
  assert.equal(verify?.['endTimeUnixNano'], '1710471609000000000')
  assert.deepEqual(verify?.['status'], { code: 2 })
  assert.match(JSON.stringify(other?.['status']), /"code":2,"message":"cannot store/)

  const answer = JSON.stringify({ partialSuccess: { rejectedSpans: '2', errorMessage: 'too old' } })
  const partly = await receiver(t, { body: answer })
  const notifier = openNotifier({ name: 'o', type: 'opentelemetry', on, url: `${partly.url}/v1/traces?tenant=a` })
  await assert.rejects(notifier.send(notification), /did not take all: 2 spans were rejected: too old/)
  assert.equal(partly.got[0]?.url, '/v1/traces?tenant=a')
  const whole = await receiver(t, { body: '{"partialSuccess":{}}' })
  await openNotifier({ name: 'o', type: 'opentelemetry', on, url: whole.url }).send(testNotification('h', at(0)))
  assert.match(whole.got[0]?.body ?? '', /"spans":\[\{"traceId"/)
})

test('a program gets the event as JSON on its input; one that fails says why', async (t) => {
  const dir = scratch(t)
  const file = join(dir, 'got')
  await openNotifier({
    name: 'c',
    type: 'command',
    on,
    command: `cat > ${file}; echo "$HOLDFAST_EVENT" >> ${file}`,
  }).send(failure())
  assert.match(readFileSync(file, 'utf8'), /^\{"event":"failure".*\}failure\n$/)
  await openNotifier({ name: 'c', type: 'command', on, command: ['/bin/true'] }).send(failure())
  await assert.rejects(
    openNotifier({ name: 'c', type: 'command', on, command: 'echo no such pager >&2; exit 3' }).send(failure()),
    (error) => isAppError(error, 'notify.failed') && /exit code 3: no such pager/.test(error.message),
  )
})

test('what passes is tried again, what is refused is not, and no error shows the address or a secret', async (t) => {
  const busy = await receiver(t, { status: 503 }, { status: 429, headers: { 'retry-after': '0' } }, {})
  const hook = (url: string): ReturnType<typeof openNotifier> =>
    openNotifier({ name: 'h', type: 'webhook', on, url: secret(`${url}/path-secret-77`) })
  await hook(busy.url).send(failure())
  assert.equal(busy.got.length, 3)
  for (const [answer, wanted] of [
    [{ status: 403, body: 'bad path-secret-77 token' }, /answered 403: bad/],
    [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, /redirects are not followed/],
  ] as const) {
    const refusing = await receiver(t, answer)
    await assert.rejects(hook(refusing.url).send(failure()), (error) => {
      assert.ok(isAppError(error, 'notify.failed'))
      assert.match(error.message, wanted)
      assert.ok(!`${error.message} ${error.hint}`.includes('path-secret-77'), error.message)
      return true
    })
    assert.equal(refusing.got.length, 1)
  }
  const controller = new AbortController()
  const hanging = await receiver(t, { hang: true })
  const waiting = hook(hanging.url).send(failure(), { signal: controller.signal })
  setTimeout(() => controller.abort(), 50)
  await assert.rejects(waiting, (error) => isAppError(error, 'run.cancelled'))
})
