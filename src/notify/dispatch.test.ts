import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleReport } from '../../test/support/sample-report.ts'
import { AppError } from '../base/errors.ts'
import { registerSecret } from '../base/redact.ts'
import type { Notification, NotifyEvent } from '../model/notify.ts'
import { composeNotification, testNotification } from './compose.ts'
import { notifyAll } from './dispatch.ts'

function collector(name: string, on: NotifyEvent[], error?: Error) {
  const sent: Notification[] = []
  const send = async (notification: Notification) => {
    sent.push(notification)
    if (error !== undefined) throw error
  }
  return { name, on, sent, send }
}

test('each notifier hears of the jobs that name it, once, if it wants the event', async () => {
  const ops = collector('ops', ['failure', 'warning'])
  const dev = collector('dev', ['failure'])
  const log = collector('log', ['success', 'warning', 'failure'])
  const wantedBy = (job: string) =>
    job === 'uploads' ? ['ops', 'log'] : job === 'shop-db' ? ['log'] : ['ops', 'dev', 'log']
  const deliveries = await notifyAll(sampleReport(), [ops, dev, log], { wantedBy })
  assert.deepEqual(deliveries, [
    { notifier: 'ops', event: 'failure' },
    { notifier: 'log', event: 'failure' },
  ])
  assert.deepEqual([ops.sent.length, dev.sent.length, log.sent.length], [1, 0, 1])
  assert.deepEqual(
    ops.sent[0]?.runs.map((run) => run.job),
    ['uploads', 'home', 'metrics'],
  )
  assert.match(ops.sent[0]?.title ?? '', /^Holdfast: 1 of 3 backups failed: uploads/)
})

test('a notifier that fails hinders neither the others nor the caller', async () => {
  const bad = collector('bad', ['failure'], new AppError('notify.failed', 'no answer'))
  const good = collector('good', ['failure'])
  const deliveries = await notifyAll(sampleReport(), [bad, good], { wantedBy: () => ['bad', 'good'] })
  assert.equal(deliveries[0]?.error?.code, 'notify.failed')
  assert.equal(deliveries[1]?.error, undefined)
  assert.equal(good.sent.length, 1)
})

test('a message has no secret in title, text, HTML or attachment', () => {
  registerSecret('msg-secret-1')
  const report = sampleReport()
  const runs = report.runs.map((run) => ({
    ...run,
    job: 'msg-secret-1',
    error: { code: 'x', message: 'msg-secret-1', hint: '' },
  }))
  const { title, text, html, attachments } = composeNotification({ ...report, runs }, 'failure')
  assert.ok(!JSON.stringify([title, text, html, attachments]).includes('msg-secret-1'))
  assert.match(text, /\[redacted\]/)
})

test('the title is one line, however the error is written', () => {
  const report = sampleReport()
  const runs = report.runs.map((run) => ({ ...run, job: 'two\r\nlines' }))
  assert.ok(!/[\r\n]/.test(composeNotification({ ...report, runs }, 'failure').title))
  assert.equal(testNotification('h', new Date(0)).title, 'Holdfast: test from h')
})
