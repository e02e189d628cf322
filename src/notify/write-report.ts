import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, errno } from '../base/errors.ts'
import { timeForName } from '../base/ids.ts'
import type { RunReport } from '../model/report.ts'
import type { ReportSettings } from '../model/settings.ts'
import { worstStatus } from './outcome.ts'
import { reportHtml, reportJson } from './report.ts'

/**
 * Writes the page and the JSON where the settings say, and gives the paths. A reader sees the old file or the new one.
 * Rejects with `notify.failed` when a file cannot be written.
 */
export async function writeReport(report: RunReport, settings: ReportSettings, time: Date): Promise<string[]> {
  const written: string[] = []
  for (const [template, render] of [[settings.html, reportHtml] as const, [settings.json, reportJson] as const]) {
    if (template === undefined) continue
    const path = reportPath(template, report, time)
    await writeWhole(path, render(report))
    written.push(path)
  }
  return written
}

/** `{date}` and `{time}` are UTC; `{job}` is `all` for several jobs. Values cannot leave the folder. */
export function reportPath(template: string, report: RunReport, time: Date): string {
  const [date = '', clock = ''] = timeForName(time).split('T')
  const jobs = new Set(report.runs.map((run) => run.job))
  const [job = 'none'] = jobs
  const values: Record<string, string> = {
    date,
    time: clock,
    job: jobs.size > 1 ? 'all' : job,
    runId: report.runs[0]?.id ?? 'none',
    status: worstStatus(report.runs),
    host: report.host,
  }
  return template.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    return value === undefined ? whole : value.replaceAll(/[/\\\u0000-\u001f]/g, '_').replace(/^\.+/, '_')
  })
}

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await mkdir(dirname(path), { recursive: true })
    try {
      const handle = await open(temporary, 'wx')
      try {
        await handle.writeFile(text)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  } catch (error) {
    throw new AppError('notify.failed', `cannot write the report ${path}: ${errno(error) ?? 'failed'}`, {
      cause: error,
      hint: 'Check the paths under `report:` in the configuration, and that this user may write there.',
    })
  }
}
