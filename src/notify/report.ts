import { redact } from '../base/redact.ts'
import { formatSize } from '../base/units.ts'
import type { PrunedBackup, PruneReport, RecentRuns, RunReport } from '../model/report.ts'
import type { Run } from '../model/run.ts'
import { html, raw, type Content, type Markup } from './markup.ts'
import * as outcome from './outcome.ts'
import { page } from './page.ts'

const SHOWN_WARNINGS = 50
const STRIP_LENGTH = 30

/** A page that needs nothing beside itself: no script, and nothing is fetched. */
export function reportHtml(report: RunReport): string {
  const { runs } = report
  const title = outcome.headline(runs)
  return page({
    title: `${title} · ${report.host}`,
    what: `Report of ${report.host}`,
    version: report.version,
    time: report.endedAt,
    main: html`${hero(report, title)} ${attention(runs)} ${figures(report)} ${results(report)} ${warnings(runs)}
    ${pruned(report.pruned)}`,
    foot: `Holdfast ${report.version} on ${report.host} · started ${outcome.showTime(report.startedAt)}`,
  })
}

/** The same as data. Times are ISO 8601 in UTC, sizes are bytes. */
export function reportJson(report: RunReport): string {
  const { host, version, startedAt, endedAt, ...rest } = report
  const status = outcome.worstStatus(report.runs)
  const whole = { host, version, status, title: outcome.headline(report.runs), startedAt, endedAt, ...rest }
  const clean = (_: string, value: unknown): unknown => (typeof value === 'string' ? redact(value) : value)
  return `${JSON.stringify(whole, clean, 2)}\n`
}

function tag(run: Pick<Run, 'status'>): Markup {
  const { tone, shape, word } = outcome.LOOKS[run.status]
  return html`<span class="tag ${tone}"><span aria-hidden="true">${shape}</span>${word}</span>`
}

function hero({ runs, startedAt, endedAt }: RunReport, title: string): Markup {
  const { tone, shape } = outcome.LOOKS[outcome.worstStatus(runs)]
  const took = outcome.showDuration(endedAt.getTime() - startedAt.getTime())
  return html`<section class="panel hero">
    <div class="disc ${tone}" aria-hidden="true">${shape}</div>
    <div>
      <h1>${title}</h1>
      <p>Started ${outcome.showTime(startedAt)}, took ${took}.</p>
    </div>
  </section>`
}

/** What failed, worst first, each with what to do. */
function attention(runs: readonly Run[]): Content {
  const incidents = outcome.worstFirst(runs).filter((run) => run.error !== undefined)
  if (incidents.length === 0) return undefined
  return html`<section class="panel" aria-label="Errors">
    ${incidents.map(
      (run) =>
        html`<div class="incident">
          <div>${tag(run)}</div>
          <div>
            <b>${outcome.runTitle(run)}</b> <code class="mute">${run.error?.code}</code>
            <p>${run.error?.message}</p>
            <p class="hint">${run.error?.hint}</p>
          </div>
        </div>`,
    )}
  </section>`
}

function figures({ runs, pruned }: RunReport): Markup {
  const files = outcome.total(runs, 'total_files_processed') + outcome.total(runs, 'files_restored')
  const fresh = outcome.total(runs, 'files_new') + outcome.total(runs, 'files_changed')
  const read = outcome.total(runs, 'total_bytes_processed') + outcome.total(runs, 'bytes_restored')
  const applied = pruned.filter((plan) => plan.applied)
  const removed = applied.reduce((sum, plan) => sum + plan.remove.length, 0)
  const freed = applied.reduce((sum, plan) => sum + plan.bytesFreed, 0)
  const good = runs.filter((run) => run.status === 'success').length
  const cells: [string, string][] = [
    [`${good} of ${runs.length}`, 'good'],
    [count(files), `files · ${count(fresh)} new or changed`],
    [formatSize(read), 'read'],
    [
      formatSize(outcome.total(runs, 'data_added_packed')),
      `stored · ${formatSize(outcome.total(runs, 'data_added'))} new`,
    ],
  ]
  if (applied.length > 0) cells.push([count(removed), `old backups removed · ${formatSize(freed)} freed`])
  return html`<section class="panel figs" aria-label="Figures">
    ${cells.map(([figure, word]) => html`<div><b>${figure}</b><small>${word}</small></div>`)}
  </section>`
}

/** Of a snapshot the eight digits that restic shows; names of archives whole. */
const shortId = (id: string): string => (/^[\da-f]{64}$/.test(id) ? id.slice(0, 8) : id)

const count = (number: number): string => number.toLocaleString('en')

function results(report: RunReport): Markup {
  const rows = report.runs.map((run) => {
    const made = report.backups.find((backup) => backup.id === run.backupId)
    const size = (name: string) => {
      const bytes = outcome.figure(run, name)
      return bytes === undefined ? '–' : formatSize(bytes)
    }
    const files = outcome.figure(run, 'total_files_processed') ?? outcome.figure(run, 'files_restored')
    const fresh = (outcome.figure(run, 'files_new') ?? 0) + (outcome.figure(run, 'files_changed') ?? 0)
    return html`<tr>
      <td><b>${run.job}</b><small>${run.kind}${run.vault === undefined ? '' : ` → ${run.vault}`}</small></td>
      <td>${tag(run)}</td>
      <td class="hide-s">
        ${
          made === undefined
            ? '–'
            : html`<code title="${made.id}">${shortId(made.id)}</code
                ><small>${made.type} · proof ${made.proof.level}</small>`
        }
      </td>
      <td class="num">
        ${files === undefined ? '–' : count(files)}${files === undefined ? undefined : html`<small>${count(fresh)} new</small>`}
      </td>
      <td class="num">${size(run.kind === 'restore' ? 'bytes_restored' : 'total_bytes_processed')}</td>
      <td class="num hide-s">${size('data_added_packed')}</td>
      <td class="num">${outcome.showDuration(outcome.durationOf(run))}</td>
      <td class="hide-s">
        ${strip(
          report.recent.find((one) => one.job === run.job),
          run,
        )}
      </td>
    </tr>`
  })
  return html`<section class="panel">
    <h2>Results</h2>
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>Job</th>
            <th>State</th>
            <th class="hide-s">Backup</th>
            <th class="num">Files</th>
            <th class="num">Read</th>
            <th class="num hide-s">Stored</th>
            <th class="num">Took</th>
            <th class="hide-s">Recent runs</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  </section>`
}

/** One mark a run, oldest first; a list, so that it can be read aloud. Height says the state beside colour. */
function strip(recent: RecentRuns | undefined, current: Run): Content {
  if (recent === undefined || recent.runs.length === 0) return '–'
  const marks = recent.runs.slice(-STRIP_LENGTH).map((run) => {
    const { tone, word } = outcome.LOOKS[run.status]
    const took = run.durationMs === undefined ? '' : `, ${outcome.showDuration(run.durationMs)}`
    const label = `${word} · ${run.kind} ${outcome.showTime(run.at)}${took}`
    return html`<li class="${tone}${run.id === current.id ? ' now' : ''}" title="${label}">
      <span class="hidden">${label}</span>
    </li>`
  })
  return html`<ol class="strip" aria-label="Recent runs of ${recent.job}">
    ${marks}
  </ol>`
}

function warnings(runs: readonly Run[]): Content {
  const warned = runs.filter((run) => run.warningCount > 0)
  if (warned.length === 0) return undefined
  const groups = warned.map((run) => {
    const shown = run.warnings.slice(0, SHOWN_WARNINGS)
    const more = run.warningCount - shown.length
    const items = shown.map(
      (one) =>
        html`<li>
          <span class="warn">${one.code}</span>
          ${one.path === undefined ? undefined : html`<code>${one.path}</code> `}${one.message}
        </li>`,
    )
    return html`<details${raw(shown.length <= 10 ? ' open' : '')}>
      <summary>
        ${outcome.runTitle(run)}: ${run.warningCount === 1 ? 'one warning' : `${count(run.warningCount)} warnings`}
      </summary>
      <ul class="plain">
        ${items}${more > 0 ? html`<li class="mute">and ${count(more)} more, in the log of the run</li>` : undefined}
      </ul>
    </details>`
  })
  return html`<section class="panel">
    <h2>Warnings</h2>
    ${groups}
  </section>`
}

function pruned(plans: readonly PruneReport[]): Content {
  const touched = plans.filter((plan) => plan.keep.length + plan.remove.length > 0)
  if (touched.length === 0) return undefined
  return html`<section class="panel">
    <h2>Old backups</h2>
    ${touched.map(
      (plan) =>
        html`<details${raw(plan.remove.length > 0 ? ' open' : '')}><summary>${plan.vault}: ${plan.applied ? 'removed' : 'would remove'} ${count(plan.remove.length)}, kept ${count(plan.keep.length)}${plan.applied && plan.remove.length > 0 ? `, freed ${formatSize(plan.bytesFreed)}` : ''}</summary><div class="scroll"><table><thead><tr><th>Backup</th><th>Job</th><th>Made</th><th class="num">Size</th><th>What</th><th>Why</th></tr></thead><tbody>${[
          ...plan.remove.map((one) => prunedRow(one, plan.applied ? 'removed' : 'to remove')),
          ...plan.keep.map((one) => prunedRow(one, 'kept')),
        ]}</tbody></table></div></details>`,
    )}
  </section>`
}

const prunedRow = (one: PrunedBackup, what: string): Markup =>
  html`<tr>
    <td><code>${shortId(one.id)}</code></td>
    <td>${one.job}</td>
    <td>${outcome.showTime(one.time)}</td>
    <td class="num">${formatSize(one.storedBytes)}</td>
    <td>${what === 'kept' ? html`<span class="ok">✓ kept</span>` : html`<span class="mute">– ${what}</span>`}</td>
    <td>${one.reasons.join(', ')}</td>
  </tr>`
