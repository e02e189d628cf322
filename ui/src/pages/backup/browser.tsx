/** What is in a backup: folders in pages, a preview beside, and what is chosen for a restore. */
import { useSignal } from '@preact/signals'
import { type Answer, api, may } from '../../app/api.ts'
import { usePages } from '../../app/load.ts'
import { number } from '../../app/language.ts'
import { go, place, setQuery, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Icon, type IconName } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Listed, Panel } from '../../parts/page.tsx'
import { Moment } from '../../parts/time.tsx'
import type { BackupFull } from './backup.tsx'
import { Preview } from './preview.tsx'
import { RestoreDialog } from './restore-dialog.tsx'
import { text } from './text.ts'

export type Item = Answer<'GET /api/v1/backups/{id}/tree'>['items'][number]

export const iconOf = ({ kind }: Pick<Item, 'kind'>): IconName =>
  kind === 'dir' ? 'folder' : kind === 'symlink' ? 'link' : 'file'

export function Browser({ backup }: { backup: BackupFull }) {
  const t = text.value
  const { id, vault } = backup
  const path = place.value.query.get('path') ?? ''
  const q = place.value.query.get('q') ?? ''
  /** Of a database the first tab is another. */
  const here = { vault, tab: place.value.query.get('tab') ?? undefined }
  const chosen = useSignal<ReadonlyMap<string, Item>>(new Map())
  const looked = useSignal<Item | undefined>(undefined)
  const restoring = useSignal(false)
  const total = useSignal<number | undefined>(undefined)
  const items = usePages(
    async (cursor, signal) => {
      const answer = await api.call('GET /api/v1/backups/{id}/tree', {
        params: { id },
        query: { vault, path, limit: 250, ...(cursor && { cursor }), ...(q !== '' && { q }) },
        signal,
      })
      total.value = answer.data.total
      return answer
    },
    [id, vault, path, q],
  )
  const choose = (item: Item, on: boolean): void => {
    const next = new Map(chosen.value)
    if (on) next.set(item.path, item)
    else next.delete(item.path)
    chosen.value = next
  }
  const open = (item: Item): void => {
    if (item.kind === 'dir') {
      looked.value = undefined
      go(to(place.value.path, { ...here, path: item.path }))
    } else looked.value = item
  }
  const all = items.items ?? []
  const every = all.length > 0 && all.every((item) => chosen.value.has(item.path))
  return (
    <div class="browse">
      <Panel
        title={<Crumbs path={path} here={here} />}
        actions={
          <input
            class="input find-in"
            type="search"
            aria-label={t.find}
            placeholder={t.find}
            value={q}
            onChange={(event) => setQuery({ q: event.currentTarget.value.trim() })}
          />
        }
      >
        <Listed of={items} empty={<Empty icon="folder" title={t.empty} />}>
          {(list) => (
            <table class="tree">
              <thead>
                <tr>
                  <th class="pick">
                    <label class="check">
                      <input
                        type="checkbox"
                        aria-label={t.pickAll}
                        checked={every}
                        onChange={(event) => {
                          const on = event.currentTarget.checked
                          const next = new Map(chosen.value)
                          for (const item of list) {
                            if (on) next.set(item.path, item)
                            else next.delete(item.path)
                          }
                          chosen.value = next
                        }}
                      />
                    </label>
                  </th>
                  <th>
                    {t.name}
                    {total.value !== undefined && q === '' && (
                      <span class="mute"> · {t.shown(list.length, total.value)}</span>
                    )}
                  </th>
                  <th class="num">{t.size}</th>
                  <th class="hide-s">{t.changed}</th>
                </tr>
              </thead>
              <tbody>
                {list.map((item) => (
                  <tr key={item.path} aria-selected={looked.value?.path === item.path}>
                    <td class="pick">
                      <label class="check">
                        <input
                          type="checkbox"
                          aria-label={t.pick(item.name)}
                          checked={chosen.value.has(item.path)}
                          onChange={(event) => choose(item, event.currentTarget.checked)}
                        />
                      </label>
                    </td>
                    <td>
                      <button type="button" class="entry" onClick={() => open(item)}>
                        <Icon name={iconOf(item)} />
                        <span class="break">{q === '' ? item.name : item.path}</span>
                        {item.target !== undefined && <span class="mute">→ {item.target}</span>}
                      </button>
                    </td>
                    <td class="num soft">
                      {item.kind === 'dir'
                        ? item.children === undefined
                          ? ''
                          : t.items(item.children)
                        : size(item.size)}
                    </td>
                    <td class="hide-s soft">{item.mtime !== undefined && <Moment at={item.mtime} />}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </Listed>
      </Panel>
      <div class="stack">
        <Panel
          title={t.cart}
          actions={
            chosen.value.size > 0 && (
              <button type="button" class="btn quiet s" onClick={() => (chosen.value = new Map())}>
                {t.clear}
              </button>
            )
          }
        >
          <Cart
            backup={backup}
            chosen={[...chosen.value.values()]}
            drop={(item) => choose(item, false)}
            restore={() => (restoring.value = true)}
          />
        </Panel>
        <Preview backup={backup} item={looked.value} close={() => (looked.value = undefined)} />
      </div>
      {restoring.value && (
        <RestoreDialog backup={backup} paths={[...chosen.value.keys()]} onClose={() => (restoring.value = false)} />
      )}
    </div>
  )
}

function Crumbs({ path, here }: { path: string; here: { vault: string; tab: string | undefined } }) {
  const absolute = path.startsWith('/')
  const parts = path.split('/').filter((part) => part !== '')
  return (
    <span class="crumbs">
      <a href={to(place.value.path, here)}>{text.value.root}</a>
      {parts.map((part, at) => (
        <span key={at}>
          {' / '}
          <a
            href={to(place.value.path, { ...here, path: `${absolute ? '/' : ''}${parts.slice(0, at + 1).join('/')}` })}
          >
            {part}
          </a>
        </span>
      ))}
    </span>
  )
}

function Cart({
  backup,
  chosen,
  drop,
  restore,
}: {
  backup: BackupFull
  chosen: Item[]
  drop: (item: Item) => void
  restore: () => void
}) {
  const t = text.value
  const { id, vault } = backup
  const download = (format: 'zip' | 'tar'): string =>
    api.url('GET /api/v1/backups/{id}/download', {
      params: { id },
      query: { vault, format, ...(chosen.length > 0 && { path: chosen.map(({ path }) => path) }) },
    })
  const bytes = chosen.reduce((sum, item) => sum + (item.size ?? 0), 0)
  return (
    <div class="cart">
      {chosen.length === 0 ? (
        <p class="mute">{t.cartEmpty}</p>
      ) : (
        <>
          <ul class="list">
            {chosen.slice(0, 12).map((item) => (
              <li key={item.path}>
                <Icon name={iconOf(item)} size={14} />
                <span class="clip" title={item.path}>
                  {item.name} <span class="mute">{item.path.slice(0, -item.name.length)}</span>
                </span>
                <button
                  type="button"
                  class="btn quiet icon s push"
                  aria-label={`${t.clear}: ${item.name}`}
                  onClick={() => drop(item)}
                >
                  <Icon name="close" size={13} />
                </button>
              </li>
            ))}
          </ul>
          <p class="mute small">
            {t.items(chosen.length)}
            {bytes > 0 && ` · ${size(bytes)}`}
            {chosen.length > 12 && ` (+${number(chosen.length - 12)})`}
          </p>
        </>
      )}
      {may('restore') && (
        <>
          <button type="button" class="btn primary" onClick={restore}>
            {t.go(chosen.length)}
          </button>
          <div class="row">
            <a class="btn s grow" href={download('zip')} download>
              <Icon name="down" size={14} />
              {t.zip}
            </a>
            <a class="btn s grow" href={download('tar')} download>
              <Icon name="down" size={14} />
              {t.tar}
            </a>
          </div>
        </>
      )}
    </div>
  )
}
