/** What a check found wrong. Summaries are open: each field is looked at before it is shown. */
import { pathOf, to } from '../../app/router.ts'
import { Panel } from '../../parts/page.tsx'
import type { Run } from './live-run.ts'
import { text } from './text.ts'

interface Damaged {
  key: string
  problem: string
  backups: string[]
}

export function Damage({ run }: { run: Run }) {
  const t = text.value
  const found = damageOf(run.summary?.['damage'])
  if (found.length === 0) return null
  const all = run.summary?.['damaged']
  return (
    <Panel title={t.damage(typeof all === 'number' ? all : found.length)}>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>{t.damagedObject}</th>
              <th>{t.damagedHow}</th>
              <th>{t.damagedBackups}</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ key, problem, backups }) => (
              <tr key={key}>
                <td>
                  <code class="break">{key}</code>
                </td>
                <td>{problem}</td>
                <td>
                  <ul class="plain">
                    {backups.map((id) => (
                      <li key={id}>
                        <a href={to(pathOf('backup', id), { vault: run.vault })}>{id}</a>
                      </li>
                    ))}
                  </ul>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function damageOf(value: unknown): Damaged[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((one: unknown) => {
    if (typeof one !== 'object' || one === null) return []
    const [key, problem, backups] = ['key', 'problem', 'backups'].map((name): unknown => Reflect.get(one, name))
    if (typeof key !== 'string' || typeof problem !== 'string') return []
    const ids = Array.isArray(backups) ? backups.filter((id): id is string => typeof id === 'string') : []
    return [{ key, problem, backups: ids }]
  })
}
