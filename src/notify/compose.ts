import { redact } from '../base/redact.ts'
import { formatSize } from '../base/units.ts'
import type { Incident } from '../model/incident.ts'
import type { Notification, NotifyEvent } from '../model/notify.ts'
import type { RunReport } from '../model/report.ts'
import type { Run } from '../model/run.ts'
import { html, type Content } from './markup.ts'
import * as outcome from './outcome.ts'
import { reportHtml } from './report.ts'

/** A report as a message: a line, some lines, the same for a mail program, and the page of the report beside it. */
export function composeNotification(report: RunReport, event: NotifyEvent): Notification {
  const { host, runs, endedAt: time } = report
  const title = `Holdfast: ${sentence(report, event)} on ${host}`
  const name = `holdfast-report-${time.toISOString().slice(0, 19).replaceAll(':', '-')}.html`
  const attachments = [{ name, type: 'text/html', text: reportHtml(report) }]
  return {
    event,
    title: oneLine(title),
    text: redact(plain(report)),
    html: mailHtml(report),
    attachments,
    runs,
    host,
    time,
  }
}

/** That a job begins, for those who measure how long it takes. */
export function startNotification(run: Run, host: string): Notification {
  const text = `${run.job} begins on ${host}.\n`
  const title = oneLine(`Holdfast: ${run.job} begins on ${host}`)
  return { event: 'start', title, text, html: html`<p>${text}</p>`.text, runs: [run], host, time: run.createdAt }
}

/** Something that is wrong, still, or again right, apart from any run. */
export function incidentNotification(incident: Incident, event: NotifyEvent, host: string, time: Date): Notification {
  const { kind, job, vault, message, hint, openedAt } = incident
  const what = `${job}${vault === undefined ? '' : ` → ${vault}`}`
  const title = oneLine(`Holdfast: ${what} ${event === 'recovered' ? 'is right again' : WORDS[kind]} on ${host}`)
  const text = redact(
    [`${kind}: ${message}`, ...(hint === undefined ? [] : [hint]), `since ${outcome.showTime(openedAt)}`].join('\n'),
  )
  return { event, title, text, html: html`<p>${text}</p>`.text, runs: [], host, time }
}

const WORDS: Record<Incident['kind'], string> = {
  failure: 'still fails',
  damage: 'is damaged',
  unreachable: 'cannot be reached',
  config: 'is set up wrongly',
  overdue: 'is overdue',
  proof: 'was not proved to restore for too long',
  space: 'runs out of space',
  warning: 'has warnings',
}

/** What `notify test` sends. */
export function testNotification(host: string, time: Date): Notification {
  const text = `This is a test from Holdfast on ${host}. Messages arrive.\n`
  return {
    event: 'test',
    title: `Holdfast: test from ${host}`,
    text,
    html: html`<p>${text}</p>`.text,
    runs: [],
    host,
    time,
  }
}

function sentence(report: RunReport, event: NotifyEvent): string {
  const line = outcome.headline(report.runs)
  const failed = report.runs.filter(outcome.isFailure)
  const codes = new Set(failed.map((run) => run.error?.code).filter((code) => code !== undefined))
  if (codes.size === 1) return `${line} (${[...codes][0]})`
  return event === 'recovered' ? `${line} again` : line
}

const oneLine = (text: string): string =>
  redact(text)
    .replaceAll(/[\u0000-\u001f\u007f\s]+/g, ' ')
    .slice(0, 200)

function plain(report: RunReport): string {
  const runs = outcome.worstFirst(report.runs).map((run) => {
    const { shape, word } = outcome.LOOKS[run.status]
    const lines = [`${shape} ${outcome.runTitle(run)}: ${word.toLowerCase()}${details(run)}`]
    if (run.error !== undefined) lines.push(`    ${run.error.code}: ${run.error.message}`, `    ${run.error.hint}`)
    for (const one of run.warnings.slice(0, 10))
      lines.push(`    ! ${one.path === undefined ? '' : `${one.path}: `}${one.message}`)
    if (run.warningCount > 10) lines.push(`    … and ${run.warningCount - 10} more warnings`)
    if (run.log !== undefined && outcome.isFailure(run)) lines.push(`    log: ${run.log}`)
    return lines.join('\n')
  })
  const removed = report.pruned.filter((plan) => plan.applied && plan.remove.length > 0)
  const pruned = removed.map(
    (plan) => `– ${plan.vault}: ${plan.remove.length} old backups removed, ${formatSize(plan.bytesFreed)} freed`,
  )
  const took = outcome.showDuration(report.endedAt.getTime() - report.startedAt.getTime())
  const foot = `Holdfast ${report.version} on ${report.host}, ${outcome.showTime(report.startedAt)}, took ${took}`
  return `${[outcome.headline(report.runs), '', ...runs, ...pruned, '', foot].join('\n')}\n`
}

function details(run: Run): string {
  const files = outcome.figure(run, 'total_files_processed')
  const stored = outcome.figure(run, 'data_added_packed')
  const parts = [
    files === undefined ? undefined : `${files.toLocaleString('en')} files`,
    stored === undefined ? undefined : `${formatSize(stored)} stored`,
    outcome.durationOf(run) === undefined ? undefined : `took ${outcome.showDuration(outcome.durationOf(run))}`,
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? '' : `, ${parts.join(', ')}`
}

/** Mail programs know little CSS: inline styles, tables, and colours that stand on light and dark. */
const COLOURS: Record<outcome.Look['tone'], string> = {
  ok: '#1f8a4f',
  warn: '#b7791f',
  bad: '#d0453a',
  run: '#3b7dc4',
  mute: '#7a8682',
}

function mailHtml(report: RunReport): string {
  const { tone, shape } = outcome.LOOKS[outcome.worstStatus(report.runs)]
  const rows = outcome.worstFirst(report.runs).map(
    (run) =>
      html`<tr>
        <td style="padding:10px 12px 10px 0;border-top:1px solid #d9dedb;white-space:nowrap;vertical-align:top">
          ${badge(run)}
        </td>
        <td style="padding:10px 0;border-top:1px solid #d9dedb">
          <b>${outcome.runTitle(run)}</b><span style="color:#7a8682">${details(run)}</span>${trouble(run)}
        </td>
      </tr>`,
  )
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="color-scheme" content="light dark" />
      </head>
      <body style="margin:0;padding:16px;font:15px/1.5 system-ui,-apple-system,Segoe UI,Roboto,sans-serif">
        <h1 style="font-size:20px;margin:0 0 12px">
          <span style="color:${COLOURS[tone]}">${shape}</span> ${outcome.headline(report.runs)}
        </h1>
        <table style="border-collapse:collapse;width:100%;max-width:720px;font-size:14px">
          ${rows}
        </table>
        <p style="color:#7a8682;font-size:13px">
          Holdfast ${report.version} on ${report.host}, ${outcome.showTime(report.startedAt)}. The whole report is
          attached.
        </p>
      </body>
    </html>`.text
}

function badge(run: Run): Content {
  const { tone, shape, word } = outcome.LOOKS[run.status]
  return html`<b style="color:${COLOURS[tone]}">${shape} ${word}</b>`
}

function trouble(run: Run): Content {
  const error =
    run.error === undefined
      ? undefined
      : html`<br /><code style="font-size:13px">${run.error.code}</code>: ${run.error.message}<br /><span
            style="color:#7a8682"
            >${run.error.hint}</span
          >`
  const warnings = run.warnings
    .slice(0, 5)
    .map(
      (one) =>
        html`<br /><span style="color:${COLOURS.warn}">!</span>
          ${one.path === undefined ? '' : `${one.path}: `}${one.message}`,
    )
  const more =
    run.warningCount > 5
      ? html`<br /><span style="color:#7a8682">and ${run.warningCount - 5} more warnings</span>`
      : undefined
  return [error, ...warnings, more]
}
