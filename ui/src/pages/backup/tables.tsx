/** The tables of a database's backup, with rows and sizes; some of them can be brought back alone. */
import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { number } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { size } from '../../format/size.ts'
import { Empty } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import type { BackupFull } from './backup.tsx'
import { RestoreDialog } from './restore-dialog.tsx'
import { text } from './text.ts'

type Table = Answer<'GET /api/v1/backups/{id}/tables'>['items'][number]

/** More than these are found by a part of their name. */
const MOST = 500
const SOURCES = ['postgres', 'mysql', 'mongodb', 'sqlite']

export const hasTables = ({ source }: BackupFull): boolean => SOURCES.includes(source)

export function Tables({ backup }: { backup: BackupFull }) {
  const { id, vault } = backup
  const tables = useLoad(
    async (signal) => api.call('GET /api/v1/backups/{id}/tables', { params: { id }, query: { vault }, signal }),
    [id, vault],
  )
  return (
    <Shown of={tables} lines={8}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={text.value.noTables}>{text.value.noTablesText}</Empty>
        ) : (
          <TableList backup={backup} tables={items} />
        )
      }
    </Shown>
  )
}

const keyOf = ({ database, name }: Table): string => JSON.stringify([database, name])

function TableList({ backup, tables }: { backup: BackupFull; tables: Table[] }) {
  const t = text.value
  const part = useSignal('')
  const chosen = useSignal<readonly Table[]>([])
  const restoring = useSignal(false)
  // A file is restored as a whole.
  const single = backup.source !== 'sqlite' && may('restore')
  const several = new Set(tables.map(({ database }) => database)).size > 1
  const sought = part.value.trim().toLowerCase()
  const found = tables.filter(({ database, name }) => `${database} ${name}`.toLowerCase().includes(sought))
  const choose = (table: Table, on: boolean): void => {
    // One restore goes into one database.
    const others = chosen.value.filter((one) => one.database === table.database && keyOf(one) !== keyOf(table))
    chosen.value = on ? [...others, table] : others
  }
  return (
    <Panel
      title={t.tables(tables.length)}
      actions={
        <>
          <input
            class="input find-in"
            type="search"
            aria-label={t.findTable}
            placeholder={t.findTable}
            value={part.value}
            onInput={(event) => (part.value = event.currentTarget.value)}
          />
          {may('restore') && (
            <button type="button" class="btn primary s" onClick={() => (restoring.value = true)}>
              {t.goTables(chosen.value.length)}
            </button>
          )}
        </>
      }
    >
      <div class="scroll">
        <table class="tree">
          <thead>
            <tr>
              {single && (
                <th class="pick">
                  <span class="sr">{t.restore}</span>
                </th>
              )}
              {several && <th>{t.database}</th>}
              <th>{t.name}</th>
              <th class="num">{t.rows}</th>
              <th class="num">{t.size}</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, MOST).map((table) => (
              <tr key={keyOf(table)}>
                {single && (
                  <td class="pick">
                    <label class="check">
                      <input
                        type="checkbox"
                        aria-label={t.pick(table.name)}
                        checked={chosen.value.some((one) => keyOf(one) === keyOf(table))}
                        onChange={(event) => choose(table, event.currentTarget.checked)}
                      />
                    </label>
                  </td>
                )}
                {several && <td class="break">{table.database}</td>}
                <td class="break">{table.name}</td>
                <td class="num soft">{table.rows === undefined ? '' : number(table.rows)}</td>
                <td class="num soft">{table.bytes === undefined ? '' : size(table.bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {found.length > MOST && <p class="mute pad">{t.shown(MOST, found.length)}</p>}
      {restoring.value && (
        <RestoreDialog
          backup={backup}
          paths={chosen.value.map(({ name }) => name)}
          from={chosen.value[0]?.database}
          onClose={() => (restoring.value = false)}
        />
      )}
    </Panel>
  )
}
