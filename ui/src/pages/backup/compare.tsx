import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { number } from '../../app/language.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { place, setQuery } from '../../app/router.ts'
import { quoted } from '../../format/shell.ts'
import { size } from '../../format/size.ts'
import { moment } from '../../format/time.ts'
import { Select } from '../../parts/form.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Listed, Panel, Shown } from '../../parts/page.tsx'
import type { BackupFull } from './backup.tsx'
import { TEXT_SHOWN } from './look.ts'
import { text } from './text.ts'
import { TextChanges } from './text-changes.tsx'

export function Compare({ backup }: { backup: BackupFull }) {
  const t = text.value
  const { job, vault, time, id } = backup
  const others = useLoad(
    async (signal) => api.call('GET /api/v1/backups', { query: { job, vault, until: time, limit: 100 }, signal }),
    [id],
  )
  return (
    <Shown of={others}>
      {({ items }) => {
        const earlier = items.filter((one) => one.id !== id)
        const other = place.value.query.get('with') ?? backup.parent ?? earlier[0]?.id
        return (
          <div class="stack">
            <div class="filters">
              <Select
                label={t.with}
                value={other ?? ''}
                options={earlier.map((one) => [one.id, moment(one.time)] as const)}
                onChange={(chosen) => setQuery({ with: chosen })}
              />
            </div>
            {other === undefined ? (
              <Empty title={t.pickOther} />
            ) : (
              <Changes key={other} backup={backup} other={other} />
            )}
          </div>
        )
      }}
    </Shown>
  )
}

const MARK = { added: ['ok', '+'], removed: ['bad', '−'], modified: ['warn', '≠'] } as const

function Changes({ backup, other }: { backup: BackupFull; other: string }) {
  const t = text.value
  const { id, vault } = backup
  const counts = useSignal<{ added: number; removed: number; modified: number } | undefined>(undefined)
  const changes = usePages(
    async (cursor, signal) => {
      const answer = await api.call('GET /api/v1/backups/{id}/diff', {
        params: { id },
        query: { vault, with: other, limit: 250, ...(cursor && { cursor }) },
        signal,
      })
      counts.value = answer.data
      return answer
    },
    [id, vault, other],
  )
  return (
    <Panel
      label={t.tabs.diff}
      title={
        counts.value &&
        (['added', 'modified', 'removed'] as const)
          .map((kind) => `${number(counts.value?.[kind] ?? 0)} ${t[kind]}`)
          .join(' · ')
      }
    >
      <Listed of={changes} empty={<Empty icon="check" title={t.same} />}>
        {(items) => (
          <div class="scroll">
            <table>
              <tbody>
                {items.map((change) => (
                  <Change key={`${change.change} ${change.path}`} of={change} backup={backup} other={other} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Listed>
    </Panel>
  )
}

type OneChange = Answer<'GET /api/v1/backups/{id}/diff'>['items'][number]

function Change({ of, backup, other }: { of: OneChange; backup: BackupFull; other: string }) {
  const t = text.value
  const open = useSignal(false)
  const { path, change, sizeBefore, sizeAfter } = of
  const readable = change === 'modified' && Math.max(sizeBefore ?? Infinity, sizeAfter ?? Infinity) <= TEXT_SHOWN
  const lines = readable && may('restore')
  return (
    <>
      <tr>
        <td class={`nowrap ${MARK[change][0]}`}>
          <b aria-hidden="true">{MARK[change][1]}</b> {t[change]}
        </td>
        <td class="break">
          <code>{path}</code>
        </td>
        <td class="num soft">
          {sizeBefore !== undefined && sizeAfter !== undefined && sizeBefore !== sizeAfter
            ? `${size(sizeBefore)} → ${size(sizeAfter)}`
            : (sizeAfter ?? sizeBefore) === undefined
              ? ''
              : size(sizeAfter ?? sizeBefore)}
        </td>
        <td class="num">
          {lines && (
            <button
              type="button"
              class="btn s"
              aria-expanded={open.value}
              aria-label={t.linesOf(path)}
              onClick={() => (open.value = !open.value)}
            >
              {t.lines}
            </button>
          )}
        </td>
      </tr>
      {open.value && (
        <tr>
          <td colSpan={4}>
            <TextChanges vault={backup.vault} before={other} after={backup.id} path={path} />
            <p class="small mute">
              <code class="break">
                {`diff <(holdfast dump ${quoted(other)} ${quoted(path)}) <(holdfast dump ${quoted(backup.id)} ${quoted(path)})`}
              </code>
            </p>
          </td>
        </tr>
      )}
    </>
  )
}
