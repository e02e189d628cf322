import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const script = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Violation {
  id: string
  help: string
  nodes: { target: string[]; failureSummary?: string }[]
}

/** What axe finds wrong with the page, one line each; of some rules only, if named. */
export async function violations(page: Page, only?: string[]): Promise<string[]> {
  // The page's policy refuses inline scripts, also ours: this one is given by the browser's own debugger.
  if (await page.evaluate<boolean>("typeof axe === 'undefined'")) await page.evaluate(script)
  const options = only === undefined ? {} : { runOnly: { type: 'rule', values: only } }
  const found = await page.evaluate<Violation[]>(
    `axe.run(document, ${JSON.stringify(options)}).then(({ violations }) => violations)`,
  )
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${help}: ${target.join(' ')} ${failureSummary ?? ''}`),
  )
}
