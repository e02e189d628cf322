import { api } from '../../app/api.ts'
import { count, words } from '../../app/language.ts'
import { useLoad, usePages } from '../../app/load.ts'
import { place, setQuery } from '../../app/router.ts'
import { Empty } from '../../parts/notice.tsx'
import { Listed, Panel } from '../../parts/page.tsx'
import { Tag } from '../../parts/state.tsx'
import { Moment } from '../../parts/time.tsx'
import { Twin } from '../../parts/twin.tsx'
import { Frame } from './frame.tsx'

const text = words({
  en: {
    title: 'Audit log',
    who: 'Who',
    what: 'What',
    on: 'On',
    when: 'When',
    none: 'Nothing fits',
    actor: 'Filter by person',
    action: 'Filter by action',
    whole: (n: number) => `Chain whole: ${count(n, 'entry', 'entries')}`,
    broken: (at: number) => `The chain is broken at entry ${at}`,
  },
  de: {
    title: 'Prüfprotokoll',
    who: 'Wer',
    what: 'Was',
    on: 'Woran',
    when: 'Wann',
    none: 'Nichts passt',
    actor: 'Nach Person filtern',
    action: 'Nach Handlung filtern',
    whole: (n: number) => `Kette heil: ${count(n, 'Eintrag', 'Einträge')}`,
    broken: (at: number) => `Die Kette ist bei Eintrag ${at} gebrochen`,
  },
})

export function Page() {
  const t = text.value
  const actor = place.value.query.get('actor') ?? ''
  const action = place.value.query.get('action') ?? ''
  const chain = useLoad(async (signal) => api.call('GET /api/v1/audit/check', { signal }), [])
  const entries = usePages(
    async (cursor, signal) =>
      api.call('GET /api/v1/audit', {
        query: {
          limit: 100,
          ...(cursor && { cursor }),
          ...(actor !== '' && { actor }),
          ...(action !== '' && { action }),
        },
        signal,
      }),
    [actor, action],
  )
  return (
    <Frame tab="audit">
      <div class="filters">
        <input
          class="input"
          type="search"
          aria-label={t.actor}
          placeholder={t.actor}
          value={actor}
          onChange={(event) => setQuery({ actor: event.currentTarget.value.trim() })}
        />
        <input
          class="input"
          type="search"
          aria-label={t.action}
          placeholder={t.action}
          value={action}
          onChange={(event) => setQuery({ action: event.currentTarget.value.trim() })}
        />
        <span class="push">
          {chain.data !== undefined &&
            (chain.data.ok ? (
              <Tag tone="ok" mark="✓" text={t.whole(chain.data.entries)} />
            ) : (
              <Tag tone="bad" mark="✕" text={t.broken(chain.data.brokenAt ?? 0)} />
            ))}
        </span>
      </div>
      <Panel label={t.title}>
        <Listed of={entries} empty={<Empty icon="search" title={t.none} />}>
          {(items) => (
            <div class="scroll">
              <table>
                <thead>
                  <tr>
                    <th>{t.when}</th>
                    <th>{t.who}</th>
                    <th>{t.what}</th>
                    <th class="hide-s">{t.on}</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map(({ id, at, actor: who, action: what, object, detail, address, hash }) => (
                    <tr key={id} title={`#${id} ${hash}`}>
                      <td>
                        <Moment at={at} />
                      </td>
                      <td>
                        {who}
                        {address !== undefined && <small>{address}</small>}
                      </td>
                      <td>
                        <code>{what}</code>
                      </td>
                      <td class="hide-s break">
                        {object}
                        {Object.keys(detail).length > 0 && (
                          <small class="break">
                            {Object.entries(detail)
                              .map(
                                ([key, value]) =>
                                  `${key}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
                              )
                              .join(', ')}
                          </small>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )}
        </Listed>
      </Panel>
      <Twin http="GET /api/v1/audit" />
    </Frame>
  )
}
