/** What a monitoring system asks for, in Prometheus' text form, from the catalogue alone. */
import type { App } from '../app.ts'
import { VERSION } from '../base/version.ts'
import { PROOF_LEVELS, type Backup } from '../model/backup.ts'
import type { Incident } from '../model/incident.ts'
import type { Run } from '../model/run.ts'
import { nextDue, recurrencesOf } from '../service/times.ts'

type Labels = Record<string, string>

interface Metric {
  name: string
  type: 'gauge'
  help: string
  samples: [labels: Labels, value: number][]
}

const PREFIX = 'holdfast_'
const seconds = (time: Date): number => time.getTime() / 1000

export function metricsText(app: App): string {
  return [...jobMetrics(app), ...vaultMetrics(app), ...serviceMetrics(app)].map(show).join('')
}

function jobMetrics(app: App): Metric[] {
  const catalogue = app.history()
  const incidents = catalogue.incidents.list({ open: true, limit: 10_000 })
  const gauge = (name: string, help: string): Metric => ({ name: `job_${name}`, type: 'gauge', help, samples: [] })
  const success = gauge('last_success_timestamp_seconds', 'When the last good backup of the job began.')
  const proof = gauge(
    'last_proof_timestamp_seconds',
    'When a backup of the job was last proved to restore (V3 or more).',
  )
  const overdue = gauge('overdue', '1 while a run that was due did not come.')
  const bad = gauge('incidents', 'Open incidents of the job, by kind.')
  const duration = gauge('last_duration_seconds', 'How long the last finished backup took.')
  const ok = gauge('last_ok', '1 if the last finished backup was good.')
  const read = gauge('last_bytes_read', 'What the last finished backup read.')
  const stored = gauge('last_bytes_stored', 'What the last finished backup added to the vault.')
  const next = gauge('next_run_timestamp_seconds', 'When the job is due next.')
  const due = nextOfJobs(app)
  for (const { name: job, enabled } of Object.values(app.settings.jobs)) {
    if (!enabled) continue
    const runs = catalogue.runs({ job, kind: 'backup', limit: 50 })
    const last = runs.find(({ endedAt, status }) => endedAt !== undefined && !['skipped', 'cancelled'].includes(status))
    const good = runs.find(isGood)
    const backups = catalogue.backups({ job })
    const proved = lastProof(backups)
    if (good !== undefined) success.samples.push([{ job }, seconds(good.createdAt)])
    if (proved !== undefined) proof.samples.push([{ job }, seconds(proved)])
    if (last !== undefined) {
      ok.samples.push([{ job }, isGood(last) ? 1 : 0])
      if (last.endedAt !== undefined) duration.samples.push([{ job }, seconds(last.endedAt) - seconds(last.createdAt)])
      push(read, job, last.summary?.['total_bytes_processed'])
      push(stored, job, last.summary?.['data_added_packed'])
    }
    const own = incidents.filter((incident) => incident.job === job)
    overdue.samples.push([{ job }, own.some(({ kind }) => kind === 'overdue') ? 1 : 0])
    for (const [kind, count] of countsOf(own)) bad.samples.push([{ job, kind }, count])
    const time = due.get(job)
    if (time !== undefined) next.samples.push([{ job }, seconds(time)])
  }
  return [success, proof, overdue, bad, ok, duration, read, stored, next]
}

function nextOfJobs(app: App): Map<string, Date> {
  const due = new Map<string, Date>()
  for (const one of recurrencesOf(app)) {
    const next = one.kind === 'backup' ? nextDue(app, one) : undefined
    if (next !== undefined && next < (due.get(one.job) ?? Infinity)) due.set(one.job, next)
  }
  return due
}

const isGood = ({ status }: Run): boolean => status === 'success' || status === 'warning'

function lastProof(backups: readonly Backup[]): Date | undefined {
  const proved = backups.filter(({ proof }) => PROOF_LEVELS.indexOf(proof.level) >= PROOF_LEVELS.indexOf('V3'))
  return proved.length === 0 ? undefined : new Date(Math.max(...proved.map(({ proof }) => proof.at.getTime())))
}

function push({ samples }: Metric, job: string, value: unknown): void {
  if (typeof value === 'number') samples.push([{ job }, value])
}

function countsOf(incidents: readonly Incident[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { kind } of incidents) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return counts
}

function vaultMetrics(app: App): Metric[] {
  const catalogue = app.history()
  const gauge = (name: string, help: string): Metric => ({ name: `vault_${name}`, type: 'gauge', help, samples: [] })
  const backups = gauge('backups', 'Backups in the vault that are known.')
  const bytes = gauge('bytes', 'What these backups take.')
  const problems = gauge('incidents', 'Open incidents that name the vault.')
  const checked = gauge('last_check_timestamp_seconds', 'When somebody looked for damage last.')
  const damaged = gauge('damaged_objects', 'What that look found.')
  const incidents = catalogue.incidents.list({ open: true, limit: 10_000 })
  for (const vault of Object.keys(app.settings.vaults)) {
    const known = catalogue.backups({ vault })
    backups.samples.push([{ vault }, known.length])
    bytes.samples.push([{ vault }, known.reduce((sum, backup) => sum + (backup.storedBytes ?? 0), 0)])
    problems.samples.push([{ vault }, incidents.filter((incident) => incident.vault === vault).length])
    const runs = catalogue.runs({ job: '', vault, kind: 'check', limit: 20 })
    const looked = runs.find(({ summary }) => typeof summary?.['damaged'] === 'number')
    if (looked === undefined) continue
    checked.samples.push([{ vault }, seconds(looked.createdAt)])
    damaged.samples.push([{ vault }, Number(looked.summary?.['damaged'])])
  }
  return [backups, bytes, problems, checked, damaged]
}

function serviceMetrics(app: App): Metric[] {
  const tasks = app.history().service.tasks()
  const now = app.clock.now()
  const waiting = tasks.filter(({ state, notBefore }) => state === 'queued' && notBefore <= now)
  const workers = new Set(tasks.flatMap(({ by }) => by ?? []))
  const one = (name: string, help: string, value: number, labels: Labels = {}): Metric => ({
    name,
    type: 'gauge',
    help,
    samples: [[labels, value]],
  })
  return [
    one('queue_waiting', 'Runs that could begin.', waiting.length),
    one('queue_working', 'Runs at work.', tasks.filter(({ state }) => state === 'claimed').length),
    one('workers_busy', 'Processes at work.', workers.size),
    one('build_info', 'The version.', 1, { version: VERSION }),
  ]
}

function show({ name, type, help, samples }: Metric): string {
  if (samples.length === 0) return ''
  const lines = samples.map(([labels, value]) => {
    const text = Object.entries(labels).map(([key, label]) => `${key}="${escaped(label)}"`)
    return `${PREFIX}${name}${text.length === 0 ? '' : `{${text.join(',')}}`} ${value}`
  })
  return `# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} ${type}\n${lines.join('\n')}\n`
}

const escaped = (label: string): string =>
  label
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`)
