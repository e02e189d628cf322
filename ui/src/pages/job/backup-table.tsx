import type { Answer } from '../../app/api.ts'
import { pathOf, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Tag } from '../../parts/state.tsx'
import { Moment } from '../../parts/time.tsx'
import { common } from '../../parts/words.ts'
import { text } from './text.ts'

export type Backup = Answer<'GET /api/v1/backups'>['items'][number]

export const proven = ({ proof }: Backup): boolean => proof.level >= 'V3'

export function BackupTable({ backups, showJob = false }: { backups: Backup[]; showJob?: boolean }) {
  const t = text.value
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{t.columns.time}</th>
            <th>{t.columns.type}</th>
            <th class="hide-s">{t.columns.vault}</th>
            <th>{t.columns.proof}</th>
            <th class="num hide-s">{t.columns.size}</th>
            <th class="num hide-s">{t.columns.stored}</th>
          </tr>
        </thead>
        <tbody>
          {backups.map((backup) => (
            <tr key={`${backup.vault} ${backup.id}`}>
              <td>
                <a class="name" href={to(pathOf('backup', backup.id), { vault: backup.vault })}>
                  <Moment at={backup.time} />
                </a>
                <small class="break">
                  {showJob && `${backup.job} · `}
                  {backup.id.length > 34 ? `${backup.id.slice(0, 32)}…` : backup.id}
                </small>
              </td>
              <td>
                <span class="row tight">
                  {t.types[backup.type]}
                  {backup.hold && <Tag text={t.held} />}
                  {backup.warnings > 0 && <Tag tone="warn" mark="!" text={String(backup.warnings)} />}
                  {backup.broken !== undefined && <Tag tone="bad" mark="✕" text={t.broken} title={backup.broken} />}
                  {backup.tags.map((tag) => (
                    <Tag key={tag} text={tag} />
                  ))}
                </span>
              </td>
              <td class="hide-s">
                <a href={to(pathOf('vaults', backup.vault))}>{backup.vault}</a>
              </td>
              <td>
                <span class={proven(backup) ? 'ok' : 'soft'} title={common.value.proof[backup.proof.level]}>
                  {backup.proof.level}
                </span>
                <small class="hide-s">{common.value.proof[backup.proof.level]}</small>
              </td>
              <td class="num hide-s">{size(backup.sourceBytes)}</td>
              <td class="num hide-s">{size(backup.storedBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
