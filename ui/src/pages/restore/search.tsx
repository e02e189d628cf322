import { useEffect } from 'preact/hooks'
import { type Answer, api } from '../../app/api.ts'
import { count, number, words } from '../../app/language.ts'
import { useLoad } from '../../app/load.ts'
import { pathOf, to } from '../../app/router.ts'
import { size } from '../../format/size.ts'
import { Icon } from '../../parts/icon.tsx'
import { Empty } from '../../parts/notice.tsx'
import { Panel, Shown } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Moment } from '../../parts/time.tsx'
import { iconOf } from '../backup/browser.tsx'

const text = words({
  en: {
    title: 'Found',
    none: 'Nothing by this name in the backups that were looked through',
    searched: (n: number) => `${count(n, 'backup', 'backups')} looked through`,
    pending: (n: number) => `${number(n)} still to go: goes on by itself`,
    unsearched: (why: string) => `Not searched: ${why}`,
    versions: (n: number) => count(n, 'version', 'versions'),
    same: 'as before',
    changed: 'changed',
    first: 'first',
  },
  de: {
    title: 'Gefunden',
    none: 'In den durchgesehenen Sicherungen heißt nichts so',
    searched: (n: number) => `${count(n, 'Sicherung', 'Sicherungen')} durchgesehen`,
    pending: (n: number) => `noch ${number(n)}: geht von selbst weiter`,
    unsearched: (why: string) => `Nicht durchsucht: ${why}`,
    versions: (n: number) => count(n, 'Fassung', 'Fassungen'),
    same: 'wie zuvor',
    changed: 'geändert',
    first: 'erste',
  },
})

type Hit = Answer<'GET /api/v1/search'>['items'][number]

const AGAIN_MS = 1500

/** One path, and each backup that holds it. */
export function SearchResults({ q, path, job }: { q: string; path: string; job: string }) {
  const t = text.value
  const found = useLoad(
    async (signal) =>
      api.call('GET /api/v1/search', {
        query: { limit: 100, ...(q !== '' ? { q } : { path }), ...(job !== '' && { job }) },
        signal,
      }),
    [q, path, job],
  )
  const pending = found.data?.pending ?? 0
  useEffect(() => {
    if (pending === 0 || found.loading) return undefined
    const timer = setTimeout(() => found.reload(), AGAIN_MS)
    return () => clearTimeout(timer)
  }, [found.data])
  return (
    <Shown of={found} lines={6}>
      {({ items, searched, problems }) => (
        <Panel
          title={t.title}
          actions={
            <span class="soft row">
              {t.searched(searched)}
              {pending > 0 && (
                <>
                  <span class="spin" /> {t.pending(pending)}
                </>
              )}
            </span>
          }
        >
          {problems.map((problem) => (
            <p class="warn" key={problem}>
              {t.unsearched(problem)}
            </p>
          ))}
          {items.length === 0 ? (
            <Empty icon="search" title={t.none} />
          ) : (
            <ul>
              {items.map((hit) => (
                <HitRow key={`${hit.job} ${hit.path}`} hit={hit} open={items.length === 1} />
              ))}
            </ul>
          )}
        </Panel>
      )}
    </Shown>
  )
}

function HitRow({ hit, open }: { hit: Hit; open: boolean }) {
  const t = text.value
  const { path, job, versions } = hit
  const [newest] = versions
  const folder = path.split('/').slice(0, -1).join('/')
  return (
    <li class="hit">
      <details open={open}>
        <summary>
          <Icon name={iconOf({ kind: newest?.kind === 'dir' ? 'dir' : 'file' })} />
          <code class="break">{path}</code>
          <span class="mute push nowrap">
            {job} · {t.versions(versions.length)}
          </span>
        </summary>
        <div class="scroll">
          <table>
            <tbody>
              {versions.map(({ backup, vault, time, size: bytes, same }, at) => (
                <tr key={`${vault} ${backup}`}>
                  <td>
                    <a class="name" href={to(pathOf('backup', backup), { vault, path: folder })}>
                      <Moment at={time} />
                    </a>
                  </td>
                  <td>
                    {same ? (
                      <span class="mute">{t.same}</span>
                    ) : (
                      <Tag
                        tone={at === versions.length - 1 ? 'mute' : 'run'}
                        text={at === versions.length - 1 ? t.first : t.changed}
                      />
                    )}
                  </td>
                  <td class="hide-s soft">{vault}</td>
                  <td class="num">{size(bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </li>
  )
}
