/** A week or a month as a message, and as a page that needs nothing beside itself. */
import { formatDuration, formatSize } from '../base/units.ts'
import type { Digest, DigestJob } from '../model/digest.ts'
import type { Notification } from '../model/notify.ts'
import { html, type Markup } from './markup.ts'
import { LOOKS, showTime, type Look } from './outcome.ts'
import { page } from './page.ts'

const LOOK: Record<DigestJob['state'], Look> = {
  ok: LOOKS.success,
  warning: LOOKS.warning,
  bad: LOOKS.failed,
  unknown: { tone: 'mute', shape: '○', word: 'No backup yet' },
}
const WORST: readonly DigestJob['state'][] = ['bad', 'warning', 'unknown', 'ok']
const PERIOD = { weekly: 'week', monthly: 'month' } as const

export function digestNotification(digest: Digest): Notification {
  const { period, host, to } = digest
  const whole = digestHtml(digest)
  return {
    event: period,
    title: `Holdfast: ${PERIOD[period]} of ${host}: ${headline(digest)}`,
    text: plain(digest),
    html: whole,
    attachments: [
      { name: `holdfast-${period}-${to.toISOString().slice(0, 10)}.html`, type: 'text/html', text: whole },
      {
        name: `holdfast-${period}-${to.toISOString().slice(0, 10)}.json`,
        type: 'application/json',
        text: `${JSON.stringify(digest, undefined, 2)}\n`,
      },
    ],
    runs: [],
    host,
    time: to,
  }
}

function headline({ jobs }: Digest): string {
  const bad = worstFirst(jobs).flatMap(({ state, job }) => (state === 'ok' ? [] : [job]))
  const unproven = jobs.filter(({ proof }) => proof === undefined).length
  if (jobs.length === 0) return 'there are no jobs'
  if (bad.length > 0)
    return `${bad.slice(0, 3).join(', ')}${bad.length > 3 ? ` and ${bad.length - 3} more` : ''} ${bad.length === 1 ? 'needs' : 'need'} attention`
  return unproven === 0
    ? 'all is good and proven'
    : `all is good, ${unproven} of ${jobs.length} never proven to restore`
}

const worstFirst = (jobs: readonly DigestJob[]): DigestJob[] =>
  jobs.toSorted((a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state) || a.job.localeCompare(b.job))

const proofOf = ({ proof }: DigestJob, to: Date): string =>
  proof === undefined
    ? 'never proven'
    : `${proof.level}, ${formatDuration(Math.max(0, to.getTime() - proof.at.getTime()))} before`

const growthOf = (growth: number | undefined): string =>
  growth === undefined ? '' : `${growth < 0 ? '−' : '+'}${formatSize(Math.abs(growth))}`

function plain(digest: Digest): string {
  const jobs = worstFirst(digest.jobs).map(
    (job) =>
      `${LOOK[job.state].shape} ${job.job}: ${job.good} good, ${job.failed} failed, ${formatSize(job.stored)} stored, ${proofOf(job, digest.to)}${job.why === undefined ? '' : `\n    ${job.why}`}`,
  )
  const vaults = digest.vaults.map(
    ({ vault, bytes, growth, daysToFull }) =>
      `– ${vault}: ${formatSize(bytes)} ${growthOf(growth)}${daysToFull === undefined ? '' : `, full in ${daysToFull} days`}`,
  )
  const restores = digest.restores === 0 ? [] : [`${digest.restores} restores were made`]
  return `${[`${showTime(digest.from)} to ${showTime(digest.to)}: ${headline(digest)}`, '', ...jobs, '', ...vaults, ...restores].join('\n')}\n`
}

export function digestHtml(digest: Digest): string {
  const { period, from, to, host, version, jobs, vaults, alerts, restores } = digest
  const worst = LOOK[WORST.find((state) => jobs.some((job) => job.state === state)) ?? 'ok']
  const sum = (pick: (job: DigestJob) => number): number => jobs.reduce((all, job) => all + pick(job), 0)
  const what = `The ${PERIOD[period]} of ${host}`
  const main = html`<section class="panel hero">
      <div class="disc ${worst.tone}" aria-hidden="true">${worst.shape}</div>
      <div>
        <h1>${capital(headline(digest))}</h1>
        <p>${showTime(from)} to ${showTime(to)}</p>
      </div>
    </section>
    <section class="panel figs">
      ${figure(String(sum(({ good }) => good)), 'good backups')}
      ${figure(String(sum(({ failed }) => failed)), 'failed')}
      ${figure(formatSize(sum(({ stored }) => stored)), 'stored')} ${figure(String(restores), 'restores')}
    </section>
    ${
      alerts.length === 0
        ? undefined
        : html`<section class="panel">
            ${alerts.map(
              ({ kind, job, message, openedAt }) =>
                html`<div class="incident">
                  <span class="tag bad">${kind}</span>
                  <div>
                    <b>${job}</b> ${message}
                    <p class="hint">since ${showTime(openedAt)}</p>
                  </div>
                </div>`,
            )}
          </section>`
    }
    <section class="panel scroll">
      <table>
        <thead>
          <tr>
            <th>Job</th>
            <th>State</th>
            <th class="num">Good</th>
            <th class="num">Failed</th>
            <th class="num">Read</th>
            <th class="num">Stored</th>
            <th>Last good</th>
            <th>Proven restore</th>
          </tr>
        </thead>
        <tbody>
          ${worstFirst(jobs).map((job) => jobRow(job, to))}
        </tbody>
      </table>
    </section>
    <section class="panel scroll">
      <table>
        <thead>
          <tr>
            <th>Vault</th>
            <th class="num">Size</th>
            <th class="num">Growth</th>
            <th class="num">Full in</th>
          </tr>
        </thead>
        <tbody>
          ${vaults.map(
            ({ vault, bytes, growth, daysToFull }) =>
              html`<tr>
                <td>${vault}</td>
                <td class="num">${formatSize(bytes)}</td>
                <td class="num">${growthOf(growth)}</td>
                <td class="num">${daysToFull === undefined ? '–' : `${daysToFull} days`}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
  return page({ title: what, what, version, time: to, main, foot: `Holdfast ${version} on ${host}` })
}

function jobRow(job: DigestJob, to: Date): Markup {
  const { tone, shape, word } = LOOK[job.state]
  return html`<tr>
    <td><b>${job.job}</b>${job.why === undefined ? undefined : html`<small>${job.why}</small>`}</td>
    <td><span class="tag ${tone}">${shape} ${word}</span></td>
    <td class="num">${job.good}</td>
    <td class="num">${job.failed}</td>
    <td class="num">${formatSize(job.read)}</td>
    <td class="num">${formatSize(job.stored)}</td>
    <td>${job.lastGood === undefined ? 'never' : showTime(job.lastGood)}</td>
    <td>${proofOf(job, to)}</td>
  </tr>`
}

const figure = (value: string, label: string): Markup => html`<div><b>${value}</b><small>${label}</small></div>`
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
