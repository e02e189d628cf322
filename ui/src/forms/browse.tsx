import { useSignal } from '@preact/signals'
import { api } from '../app/api.ts'
import { words } from '../app/language.ts'
import { usePages } from '../app/load.ts'
import { size } from '../format/size.ts'
import { Dialog } from '../parts/dialog.tsx'
import { Icon } from '../parts/icon.tsx'
import { Empty } from '../parts/notice.tsx'
import { Listed } from '../parts/page.tsx'
import { common } from '../parts/words.ts'

const text = words({
  en: {
    title: 'Choose on the server',
    button: 'Browse…',
    take: 'Choose',
    takeThis: 'Choose this folder',
    up: 'Up',
    empty: 'This folder is empty',
  },
  de: {
    title: 'Auf dem Server wählen',
    button: 'Durchsuchen…',
    take: 'Wählen',
    takeThis: 'Diesen Ordner wählen',
    up: 'Hinauf',
    empty: 'Dieser Ordner ist leer',
  },
})

/** A button that opens the folders of the server. */
export function BrowseButton({ onTake, files = true }: { onTake: (path: string) => void; files?: boolean }) {
  const open = useSignal(false)
  return (
    <>
      <button type="button" class="btn" onClick={() => (open.value = true)}>
        <Icon name="folder" size={15} />
        {text.value.button}
      </button>
      {open.value && <BrowseDialog files={files} onTake={onTake} onClose={() => (open.value = false)} />}
    </>
  )
}

function BrowseDialog({
  onTake,
  onClose,
  files,
}: {
  onTake: (path: string) => void
  onClose: () => void
  files: boolean
}) {
  const t = text.value
  const path = useSignal<string | undefined>(undefined)
  const place = useSignal<{ path: string; parent?: string | undefined; roots: string[] } | undefined>(undefined)
  const items = usePages(
    async (cursor, signal) => {
      const answer = await api.call('GET /api/v1/sources/browse', {
        query: { limit: 200, ...(path.value !== undefined && { path: path.value }), ...(cursor && { cursor }) },
        signal,
      })
      place.value = answer.data
      return answer
    },
    [path.value],
  )
  const take = (chosen: string): void => {
    onTake(chosen)
    onClose()
  }
  const here = place.value
  return (
    <Dialog title={t.title} onClose={onClose}>
      <div class="row">
        {here?.parent !== undefined && (
          <button type="button" class="btn s" onClick={() => (path.value = here.parent)}>
            ↑ {t.up}
          </button>
        )}
        <code class="break">{here?.path ?? ''}</code>
      </div>
      {(here?.roots.length ?? 0) > 1 && (
        <div class="row">
          {here?.roots.map((root) => (
            <button type="button" key={root} class="btn quiet s" onClick={() => (path.value = root)}>
              {root}
            </button>
          ))}
        </div>
      )}
      <div class="panel places">
        <Listed of={items} empty={<Empty icon="folder" title={t.empty} />}>
          {(list) => (
            <ul>
              {list
                .filter(({ kind }) => files || kind === 'dir')
                .map((item) => (
                  <li key={item.path}>
                    {item.kind === 'dir' ? (
                      <button type="button" class="entry" onClick={() => (path.value = item.path)}>
                        <Icon name="folder" />
                        <span class="clip">{item.name}</span>
                      </button>
                    ) : (
                      <span class="entry">
                        <Icon name={item.kind === 'link' ? 'link' : 'file'} />
                        <span class="clip">{item.name}</span>
                        <span class="mute small push">{size(item.size)}</span>
                      </span>
                    )}
                    <button
                      type="button"
                      class="btn s"
                      aria-label={`${t.take}: ${item.name}`}
                      onClick={() => take(item.path)}
                    >
                      {t.take}
                    </button>
                  </li>
                ))}
            </ul>
          )}
        </Listed>
      </div>
      <div class="buttons">
        <button type="button" class="btn" onClick={onClose}>
          {common.value.cancel}
        </button>
        <button type="button" class="btn primary" disabled={here === undefined} onClick={() => take(here?.path ?? '/')}>
          {t.takeThis}
        </button>
      </div>
    </Dialog>
  )
}
