import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { AppError } from '../../base/errors.ts'
import { VERSION } from '../../base/version.ts'
import type { Context } from '../context.ts'

export function register(program: Command, context: Context): void {
  program
    .command('report')
    .description('write the report of the last runs as a self-contained page, or as JSON')
    .option('--html <file>', 'where to write the page', './holdfast-report.html')
    .option('--json-file <file>', 'also write it as JSON')
    .option('--job <name>', 'only this job')
    .option('--digest <period>', 'of the last week or month in place of the last runs: weekly, monthly')
    .action(async (options: { html: string; jsonFile?: string; job?: string; digest?: string }) => {
      const app = await context.app()
      if (options.digest !== undefined) {
        if (options.job !== undefined || options.jsonFile !== undefined)
          throw new AppError(
            'usage.invalid',
            'a digest is of all jobs, and a page: neither --job nor --json-file go with it',
            {
              hint: 'With --json it is written to stdout too.',
            },
          )
        await digest(context, options.digest, options.html)
        return
      }
      const { reportOfLastRuns } = await import('../../operations/tell.ts')
      const report = reportOfLastRuns({ ...app.deps, catalogue: app.history() }, VERSION, options.job)
      if (report.runs.length === 0) throw new AppError('usage.invalid', 'there are no runs to report on')
      const written = await app.writeReport(report, {
        html: options.html,
        ...(options.jsonFile !== undefined && { json: options.jsonFile }),
      })
      context.out.result({ written }, () => `wrote ${written.join(', ')}`)
    })
}

const DAYS = { weekly: 7, monthly: 31 }

async function digest(context: Context, text: string, file: string): Promise<void> {
  if (text !== 'weekly' && text !== 'monthly')
    throw new AppError('usage.invalid', `--digest ${text} is neither weekly nor monthly`)
  const app = await context.app()
  const to = app.clock.now()
  const found = await app.digest(text, { from: new Date(to.getTime() - DAYS[text] * 86_400_000), to })
  writeFileSync(file, await app.digestPage(found))
  context.out.result(found, () => `wrote ${file}`)
}
