import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { api, type ApiError, may, problemOf } from '../../app/api.ts'
import { to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Icon } from '../../parts/icon.tsx'
import { Failure, Wait } from '../../parts/notice.tsx'
import { Panel } from '../../parts/page.tsx'
import { Moment } from '../../parts/time.tsx'
import type { BackupFull } from './backup.tsx'
import type { Item } from './browser.tsx'
import { look, type Seen } from './look.ts'
import { text } from './text.ts'

export function Preview({ backup, item, close }: { backup: BackupFull; item: Item | undefined; close: () => void }) {
  const t = text.value
  const seen = useSignal<Seen | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const { id, vault } = backup
  const readable = item?.kind === 'file' && may('restore')
  useEffect(() => {
    seen.value = undefined
    error.value = undefined
    if (item === undefined || !readable) return undefined
    const abort = new AbortController()
    let url: string | undefined
    look(id, vault, item, abort.signal).then(
      (found) => {
        if (found.kind === 'image') url = found.url
        seen.value = found
      },
      (thrown: unknown) => {
        if (!abort.signal.aborted) error.value = problemOf(thrown)
      },
    )
    return () => {
      abort.abort()
      if (url !== undefined) URL.revokeObjectURL(url)
    }
  }, [id, vault, item?.path])

  return (
    <Panel
      title={item === undefined ? t.preview : <span class="break">{item.name}</span>}
      actions={
        item !== undefined && (
          <button type="button" class="btn quiet icon s" aria-label={t.close} onClick={close}>
            <Icon name="close" size={14} />
          </button>
        )
      }
    >
      {item === undefined ? (
        <p class="pad mute">{t.previewText}</p>
      ) : (
        <div class="preview">
          <p class="soft small">
            {size(item.size)}
            {item.mtime !== undefined && (
              <>
                {' '}
                · <Moment at={item.mtime} />
              </>
            )}
            {item.mode !== undefined && <code> {item.mode.toString(8).padStart(4, '0')}</code>}
          </p>
          {error.value !== undefined ? (
            <Failure error={error.value} />
          ) : !readable ? null : seen.value === undefined ? (
            <Wait lines={3} />
          ) : seen.value.kind === 'text' ? (
            <>
              <pre tabIndex={0}>{seen.value.text}</pre>
              {seen.value.cut && <p class="mute small">{t.previewCut}</p>}
            </>
          ) : seen.value.kind === 'image' ? (
            <img src={seen.value.url} alt={item.name} />
          ) : (
            <p class="mute">{t.previewBinary}</p>
          )}
          <div class="row">
            {readable && (
              <a
                class="btn s"
                href={api.url('GET /api/v1/backups/{id}/download', {
                  params: { id },
                  query: { vault, path: item.path, format: 'raw' },
                })}
                download
              >
                <Icon name="down" size={14} />
                {t.download}
              </a>
            )}
            <a class="btn s" href={to('/restore', { job: backup.job, path: item.path })}>
              {t.versions}
            </a>
          </div>
        </div>
      )}
    </Panel>
  )
}
